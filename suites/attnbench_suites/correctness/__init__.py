"""The correctness suite: is an implementation the variant that it says it is?

An implementation is compared with the variant's definition in float64, forward and in every gradient; each declared
reduction and property is tested; decoding must equal the full run. Free of torch.
"""

from attnbench.suite import Suite
from attnbench_suites.correctness.cases import VERSION, cases

SUITE = Suite(
    name="correctness",
    version=VERSION,
    summary="every implementation against its definition in float64",
    cases=cases,
    measure="attnbench_suites.correctness.measure:measure",
    judge="attnbench_suites.correctness.judge:judge",
    gates=True,
)
