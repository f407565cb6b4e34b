"""Hand-made outcomes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from attnbench.facts import Case
from attnbench.nouns import Dtype, Layout, Pattern, Profile, Status
from attnbench.suite import Metric
from attnbench.testing.records import DEVICES, EPOCH
from attnbench_reports.outcomes import Contender, Outcome

Make = Callable[..., Outcome]


@pytest.fixture
def make() -> Make:
    """Make an outcome: `make("multi_head/sdpa", n=512, ratio=(2.0, 1.9, 2.1))`."""
    made: list[Outcome] = []

    def outcome(key: str, n: int = 512, later: int = 0, **fields: Any) -> Outcome:
        metrics = {
            name: Metric(value=value[0], unit="", low=value[1], high=value[2])
            for name, value in fields.items()
            if isinstance(value, tuple)
        }
        case: dict[str, Any] = {
            "suite": "latency",
            "version": 1,
            "kind": "forward",
            "layout": Layout.SEQUENCE,
            "pattern": Pattern.CAUSAL_SELF,
            "dtype": Dtype.FLOAT32,
            "shape": {"batch": 1, "n": n},
            "profile": Profile.QUICK,
            "seconds": 1.0,
        }
        variant, name = key.split("/")
        status = fields.get("status", Status.PASSED)
        one = Outcome(
            id=f"{len(made):064x}",
            contender=Contender(variant, name, fields.get("settings", "")),
            case=Case(**case | fields.get("case", {})),
            device=fields.get("device", DEVICES[0]),
            status=status,
            reason=fields.get("reason", ""),
            metrics=metrics,
            started=EPOCH + timedelta(seconds=later),
            ranked=fields.get("ranked", status is Status.PASSED),
        )
        made.append(one)
        return one

    return outcome
