"""A made-up registry and store, from which the tests build a site."""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from attnbench.facts import Claim, ImplementationFacts, Paper, VariantFacts
from attnbench.nouns import Dtype, Fidelity, Layout, Pattern, Profile, Status
from attnbench.record import Record
from attnbench.registry.registry import Registry
from attnbench.store import Store
from attnbench.suite import Metric, Suite
from attnbench.testing.records import DEVICES, make_case, make_record
from attnbench_site.generator import build

SPEEDS = {"multi_head/sdpa": 1.0, "multi_head/torch": 0.42, "linear_attention/chunked": 3.4, "retention/torch": 3.35}


def implementation(key: str, **fields: Any) -> ImplementationFacts:
    variant, name = key.split("/")
    made: dict[str, Any] = {
        "variant": variant,
        "name": name,
        "summary": f"The {name} form.",
        "module": f"made_up.{variant}",
        "plugin": variant,
        "distribution": "attnbench",
        "devices": {"cpu", "cuda"},
        "dtypes": {Dtype.FLOAT32, Dtype.BFLOAT16},
    }
    return ImplementationFacts(**made | fields)


def variant(slug: str, *names: str, **fields: Any) -> VariantFacts:
    made: dict[str, Any] = {
        "slug": slug,
        "summary": "Every query reads every visible key, weighted by a softmax.",
        "description": "x (B, N, D) -> (B, N, D).\n\n    q, k, v = W x\n    out = softmax(q k) v\n\nSource: made up.",
        "paper": Paper(entry=slug, title="A Paper That Nobody Wrote", year=2020),
        "family": "dense_softmax",
        "layout": Layout.SEQUENCE,
        "patterns": {Pattern.CAUSAL_SELF, Pattern.NONCAUSAL_SELF},
        "fidelity": Fidelity.KNOWN_WELL,
        "mechanisms": (slug,),
        "hyperparameters": {"window": 64, "scale": None},
        "properties": (),
        "requires": (),
        "accepts": (),
        "settings": {},
        "reductions": (("full_window", "window >= N is dense attention"),),
        "claims": (Claim(text="Twice as fast at 8k tokens", metric="speed-up", value=2.0),),
        "module": f"made_up.{slug}",
        "plugin": slug,
        "implementations": tuple(implementation(f"{slug}/{name}") for name in names),
    }
    return VariantFacts(**made | fields)


def suite(name: str) -> Suite:
    return Suite(name, 1, f"The {name} suite.", lambda *_: (), "made_up:measure", "made_up:judge")


def registry_of(*variants: VariantFacts) -> Registry:
    suites = {name: suite(name) for name in ("correctness", "latency", "accuracy")}
    return Registry({one.slug: one for one in variants}, suites, ())


def proof(key: str, seed: int, **fields: Any) -> Record:
    """A correctness result; passed unless told otherwise."""
    metrics = {"error": Metric(value=2e-7, unit=""), "bound": Metric(value=1e-5, unit="")}
    return result(key, seed, make_case(seed, suite="correctness", dtype=Dtype.FLOAT32), metrics, **fields)


def timing(key: str, seed: int, n: int, speed: float, **fields: Any) -> Record:
    """A latency result that is `speed` times as fast as the baseline."""
    seconds = n * 1e-6 / speed
    case = make_case(
        0,
        suite="latency",
        dtype=Dtype.FLOAT32,
        pattern=Pattern.CAUSAL_SELF,
        profile=Profile.QUICK,
        settings={},
        shape={"batch": 1, "heads": 8, "n": n, "head_dim": 64},
    )
    metrics = {
        "latency": Metric(value=seconds, unit="s", low=0.97 * seconds, high=1.03 * seconds),
        "ratio": Metric(value=speed, unit="x", low=0.97 * speed, high=1.03 * speed),
    }
    return result(key, seed, case, metrics, **fields)


def score(key: str, seed: int, accuracy: float, **fields: Any) -> Record:
    """An accuracy result."""
    case = make_case(
        0,
        suite="accuracy",
        kind="mqar",
        dtype=Dtype.FLOAT32,
        pattern=Pattern.CAUSAL_SELF,
        profile=Profile.QUICK,
        settings={},
        shape={"batch": 64, "n": 64},
        options={"lr": 3e-3, "seed": 0},
    )
    metric = Metric(value=accuracy, unit="fraction", low=accuracy - 0.02, high=min(1.0, accuracy + 0.02))
    return result(key, seed, case, {"accuracy": metric, "validation_accuracy": metric}, **fields)


def result(key: str, seed: int, case: Any, metrics: dict[str, Metric], **fields: Any) -> Record:
    slug, name = key.split("/")
    status = fields.get("status", Status.PASSED)
    made: dict[str, Any] = {"variant": slug, "implementation": name, "status": status, "device": DEVICES[0]}
    return make_record(seed, case=case, metrics=metrics if status is Status.PASSED else {}, **made | fields)


def made_up_records() -> list[Record]:
    records = [proof(f"{key.split('/')[0]}/reference", 90 + seed) for seed, key in enumerate(SPEEDS)]
    for seed, (key, speed) in enumerate(SPEEDS.items()):
        records += [proof(key, 10 * seed + case) for case in range(3)]
        records += [timing(key, 200 + 10 * seed + n, n, speed * (1 + 1e-4 * n)) for n in (512, 2048)]
        records.append(score(key, 300 + seed, 0.97 - 0.01 * seed))
    records += [timing("multi_head/flex", 400 + n, n, 1.4) for n in (512, 2048)]
    records.append(proof("multi_head/flex", 410, status=Status.WRONG, reason="relative error 3.1e-02 > 1e-05"))
    records.append(timing("retention/triton", 420, 512, 5.0, device=DEVICES[1]))
    records.append(proof("retention/triton", 421, device=DEVICES[1]))
    records.append(proof("elsewhere/torch", 430))
    return records


def made_up_registry() -> Registry:
    return registry_of(
        variant("linear_attention", "reference", "chunked", family="linear"),
        variant("multi_head", "reference", "flex", "sdpa", "torch"),
        variant("retention", "reference", "torch", "triton", fidelity=Fidelity.RECONSTRUCTED, family="linear"),
    )


class Document(HTMLParser):
    """A page that was read: its elements, its text, and whether every tag is closed where it should be."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "wbr", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in {"dd", "td", "th"}:
            self.text += " "
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="session")
def parse() -> Callable[[Path], Document]:
    """Read a page."""
    return lambda path: Document(path.read_text(encoding="utf-8"))


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Build a site of records and a registry, in a folder of their own."""
    with Store.open(tmp_path / "results.db") as store:

        def make(name: str = "site", records: list[Record] | None = None, registry: Registry | None = None) -> Path:
            for record in records or []:
                store.ingest(record)
            build(store, registry or made_up_registry(), tmp_path / name)
            return tmp_path / name

        yield make


@pytest.fixture
def records() -> list[Record]:
    """Results of two devices, with failures and ties."""
    return made_up_records()


@pytest.fixture
def make_variant() -> Callable[..., VariantFacts]:
    """Make the facts of a variant."""
    return variant


@pytest.fixture
def make_registry() -> Callable[..., Registry]:
    """Make a registry of the variants given."""
    return registry_of


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the made-up records, built once."""
    folder = tmp_path_factory.mktemp("built")
    with Store.open(folder / "results.db") as store:
        for record in made_up_records():
            store.ingest(record)
        build(store, made_up_registry(), folder / "site")
    return folder / "site"
