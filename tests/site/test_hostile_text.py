"""Text from plugins and records is data: none of it becomes markup, whatever it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnbench.facts import Claim, DeviceFacts, ImplementationFacts, Paper, VariantFacts
from attnbench.nouns import Status
from attnbench.registry.registry import Registry
from attnbench.testing.records import DEVICES, make_case, make_environment, make_record

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '"><script>alert(1)</script>',
    "'><b onclick=alert(1)>",
    "</title><script>alert(1)</script>",
    "</pre></code><h1>",
    "</caption></table><form action=x>",
    "<!-- --><script>",
    "<![CDATA[<b>]]>",
    "<a href=javascript:alert(1)>",
    "<iframe src=//x.example>",
    "<style>*{display:none}</style>",
    "<base href=//x.example/>",
    '<meta http-equiv=refresh content="0;url=//x">',
    "{{ content.digest }}",
    "{% raw %}",
    "&lt;script&gt;",
    "<b style=background:url(//x.example)>",
    "<textarea><plaintext>",
)


def hostile_variant(make: Callable[..., VariantFacts], text: str) -> VariantFacts:
    implementation = ImplementationFacts(
        variant="multi_head",
        name="torch",
        summary=text,
        module=text,
        plugin=text,
        distribution=text,
        devices={text},
        dtypes=(),
    )
    return make(
        "multi_head",
        summary=text,
        description=f"{text}\n\n    {text}",
        paper=Paper(title=text, year=2020),
        hyperparameters={text: text},
        reductions=(("identity", text),),
        claims=(Claim(text=text, metric=text, conditions=text),),
        module=text,
        implementations=(implementation,),
    )


@pytest.fixture(scope="module")
def known(site: Path, parse: Callable[[Path], Any]) -> set[str]:
    """The elements that a site is made of when nobody is hostile."""
    return {tag for page in site.rglob("*.html") for tag, _ in parse(page).elements}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert(
    *,
    text: str,
    make_site: Callable[..., Path],
    make_registry: Callable[..., Registry],
    make_variant: Callable[..., VariantFacts],
    parse: Callable[[Path], Any],
    known: set[str],
) -> None:
    device = DeviceFacts(**DEVICES[0].model_dump() | {"name": text, "driver": text, "uuid": text})
    case = make_case(0, suite="latency", settings={text: text}, options={text: text})
    record = make_record(
        0,
        case=case,
        device=device,
        variant="multi_head",
        implementation="torch",
        status=Status.CRASHED,
        reason=text,
        distribution=text,
        environment=make_environment(python=text, platform=text, packages={text: text}, settings={text: text}),
    )
    record = record.model_copy(update={"provenance": record.provenance.model_copy(update={"log": text})})
    hostile = make_site("hostile", [record], make_registry(hostile_variant(make_variant, text)))
    for page in (hostile / "index.html", hostile / "variants/multi_head.html", hostile / "runs" / f"{record.id}.html"):
        document = parse(page)
        assert not document.faults
        assert {tag for tag, _ in document.elements} <= known
        assert " ".join(text.split()) in " ".join(document.text.split())
        names = {name for _, attributes in document.elements for name in attributes}
        assert not {name for name in names if name.startswith("on") or name in {"style", "action"}}
