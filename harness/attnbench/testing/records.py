"""Made-up records for tests: valid, random by seed, alike in whatever a test names.

Two records made with the same seed and keywords are equal; with another seed they differ. Implementations, devices
and environments come from small sets, so that many records share them as real ones do.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from attnbench.facts import Case, DeviceFacts
from attnbench.nouns import Dtype, Layout, Pattern, Profile, Status
from attnbench.record import Environment, Provenance, Record
from attnbench.suite import Metric

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES = (
    DeviceFacts(id="cpu_made_up_4t", kind="cpu", name="Made-up CPU", memory_bytes=2**34, threads=4),
    DeviceFacts(
        id="cuda_made_up",
        kind="cuda",
        name="Made-up GPU",
        uuid="GPU-00000000-0000-0000-0000-000000000000",
        memory_bytes=2**36,
        threads=8,
        driver="600.1",
    ),
)
KINDS = {"correctness": "forward", "latency": "forward", "accuracy": "recall"}
PATTERNS = (Pattern.NONCAUSAL_SELF, Pattern.CAUSAL_SELF)


def make_case(seed: int = 0, **fields: Any) -> Case:
    """Make a case of a sequence workload.

    Args:
        seed: decides the fields that are not named.
        **fields: fields of `Case` to set.
    """
    draw = Random(seed)
    suite = fields.get("suite", draw.choice(list(KINDS)))
    made: dict[str, Any] = {
        "suite": suite,
        "version": 1,
        "kind": KINDS.get(suite, "forward"),
        "layout": Layout.SEQUENCE,
        "pattern": draw.choice(PATTERNS),
        "dtype": draw.choice([Dtype.FLOAT32, Dtype.BFLOAT16]),
        "shape": {"batch": draw.choice([1, 2]), "n": 2 ** draw.randint(4, 12), "dim": 64, "heads": 4},
        "settings": draw.choice([{}, {"window": 64}, {"expand_k": 0.5}]),
        "profile": draw.choice(list(Profile)),
        "seconds": 60.0,
    }
    return Case(**made | fields)


def make_device(seed: int = 0, **fields: Any) -> DeviceFacts:
    """Choose one of the made-up devices.

    Args:
        seed: decides which.
        **fields: fields of `DeviceFacts` to set.
    """
    return DeviceFacts(**DEVICES[Random(seed).randrange(len(DEVICES))].model_dump() | fields)


def make_environment(**fields: Any) -> Environment:
    """Make an environment.

    Args:
        **fields: fields of `Environment` to set.
    """
    made = {"python": "3.11.7", "platform": "Linux-x86_64", "packages": {"torch": "2.12.0", "triton": "3.6.0"}}
    return Environment(**made | fields)


def make_record(
    seed: int = 0,
    *,
    suite: str | None = None,
    dtype: Dtype | None = None,
    case: Case | None = None,
    device: DeviceFacts | None = None,
    started: datetime | None = None,
    **fields: Any,
) -> Record:
    """Make a record.

    A passed one has metrics, and samples where its suite takes them; any other has a reason instead. The hash of the
    source follows from the variant and the implementation.

    Args:
        seed: decides everything that is not named.
        suite: the suite of the case.
        dtype: the number format of the case.
        case: a whole case, instead of one made for `suite` and `dtype`.
        device: a whole device.
        started: when the measurement began.
        **fields: further fields of `Record` to set.
    """
    draw = Random(seed)
    named = {name: value for name, value in (("suite", suite), ("dtype", dtype)) if value is not None}
    case = case or make_case(draw.getrandbits(32), **named)
    variant = fields.get("variant", draw.choice(["multi_head", "linear_attention", "retention"]))
    implementation = fields.get("implementation", draw.choice(["reference", "torch", "triton"]))
    status = Status(fields.get("status", draw.choice([*Status, *[Status.PASSED] * 30])))
    passed = status is Status.PASSED
    made: dict[str, Any] = {
        "variant": variant,
        "implementation": implementation,
        "distribution": "attnbench 0.1.0",
        "source_hash": hashlib.sha256(f"{variant}/{implementation}".encode()).hexdigest(),
        "case": case,
        "device": device or make_device(draw.getrandbits(32)),
        "environment": make_environment(),
        "status": status,
        "reason": "" if passed else f"made up: {status}",
        "metrics": _metrics(draw, case.suite) if passed else {},
        "samples": {"forward_s": tuple(draw.uniform(1e-4, 1e-2) for _ in range(5))} if passed else {},
        "provenance": _provenance(draw, started),
    }
    return Record(**made | fields)


def _metrics(draw: Random, suite: str) -> dict[str, Metric]:
    if suite == "latency":
        value = draw.uniform(1e-4, 1e-2)
        return {"forward": Metric(value=value, unit="s", low=0.9 * value, high=1.1 * value)}
    if suite == "accuracy":
        return {"recall": Metric(value=draw.random(), unit="")}
    return {"forward_error": Metric(value=draw.uniform(1e-8, 1e-6), unit="")}


def _provenance(draw: Random, started: datetime | None) -> Provenance:
    return Provenance(
        attnbench="0.1.0",
        commit=f"{draw.getrandbits(160):040x}",
        dirty=draw.choice([True, False]),
        seed=draw.getrandbits(53),
        started=started or EPOCH + timedelta(microseconds=draw.randrange(10**13)),
        seconds=draw.uniform(0, 10),
        threads=4,
    )
