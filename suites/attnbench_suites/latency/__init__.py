"""The latency suite: how long does an implementation's core take, next to a baseline? Free of torch."""

from attnbench.suite import Suite
from attnbench_suites.latency.cases import VERSION, cases

SUITE = Suite(
    name="latency",
    version=VERSION,
    summary="the time of the core, next to a baseline in the same blocks",
    cases=cases,
    measure="attnbench_suites.latency.measure:measure",
    judge="attnbench_suites.latency.judge:judge",
    exclusive=True,
)
