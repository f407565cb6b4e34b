"""What readers find on the pages."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from attnbench.cli.run import run
from attnbench.nouns import Status
from attnbench.record import Record
from attnbench.registry.catalogue import entries, mechanisms
from attnbench_site.pages import command

Parse = Callable[[Path], Any]


def words(document: Any) -> str:
    return " ".join(document.text.split())


def test_index_ranks_the_proved_and_names_the_others(site: Path, parse: Parse) -> None:
    text = words(parse(site / "index.html"))
    latency = text[text.index("Forward, causal self, sequence, float32") :]
    order = [latency.index(name) for name in ("linear_attention/chunked", "retention/torch", "multi_head/sdpa")]
    assert order == sorted(order)
    assert "1–2" in latency
    assert "1 not ranked" in latency
    assert "no passed correctness result of the same code, dtype and device" in latency
    assert "multi_head/flex" in latency[latency.index("1 not ranked") :]


def test_a_reconstruction_is_visible_wherever_the_variant_is(site: Path, parse: Parse) -> None:
    assert "retention/torch reconstruction" in words(parse(site / "index.html"))
    page = words(parse(site / "variants" / "retention.html"))
    assert "retention reconstruction" in page
    assert "reconstructed from the paper's text" in page
    assert "reconstruction" not in words(parse(site / "variants" / "multi_head.html"))


def test_a_variant_page_holds_the_facts(site: Path, parse: Parse) -> None:
    text = words(parse(site / "variants" / "retention.html"))
    for expected in (
        "out = softmax(q k) v",
        "A Paper That Nobody Wrote, 2020",
        "causal self, noncausal self",
        "window >= N is dense attention",
        "Twice as fast at 8k tokens",
        "scale None",
        "triton The triton form. not run ✓ passed bfloat16, float32",
    ):
        assert expected in text


def test_a_variant_that_only_results_know_has_a_page(site: Path, parse: Parse) -> None:
    text = words(parse(site / "variants" / "elsewhere.html"))
    assert "its definition is not installed" in text
    assert "1 not ranked" not in text


def test_a_run_page_reproduces(site: Path, parse: Parse, records: list[Record]) -> None:
    record = next(one for one in records if one.case.suite == "latency")
    text = words(parse(site / "runs" / f"{record.id}.html"))
    command = (
        f"attnbench run --variant {record.variant} --implementation {record.implementation} --suite latency "
        f"--profile quick --device cpu_made_up_4t --seed {record.provenance.seed} --again"
    )
    assert command in text
    assert record.source_hash in text
    assert "torch 2.12.0" in text
    assert str(record.samples["forward_s"][0]) in text


def test_the_command_is_one_that_run_reads(records: list[Record]) -> None:
    app = typer.Typer()
    app.command()(run)
    for record in records:
        arguments = shlex.split(command(record))[2:]
        read = typer.main.get_command(app).make_context("run", arguments).params
        assert (read["variant"], read["seed"]) == ([record.variant], record.provenance.seed)
        assert read["profile"] == record.case.profile
        assert read["again"] is True


def test_run_pages_say_why_a_result_does_not_count(site: Path, parse: Parse, records: list[Record]) -> None:
    unproved = next(one for one in records if one.implementation == "flex" and one.case.suite == "latency")
    assert "Not ranked" in words(parse(site / "runs" / f"{unproved.id}.html"))
    wrong = next(one for one in records if one.status is Status.WRONG)
    assert "relative error 3.1e-02 > 1e-05" in words(parse(site / "runs" / f"{wrong.id}.html"))


def test_a_superseded_run_stays_reachable(make_site: Callable[..., Path], parse: Parse, records: list[Record]) -> None:
    old = records[0]
    moment = old.provenance.started.replace(year=old.provenance.started.year + 1)
    new = old.model_copy(update={"provenance": old.provenance.model_copy(update={"started": moment})})
    site = make_site(records=[old, new])
    assert "took this one's place" in words(parse(site / "runs" / f"{old.id}.html"))
    assert "took this one's place" not in words(parse(site / "runs" / f"{new.id}.html"))


def test_the_catalogue_is_whole(site: Path, parse: Parse) -> None:
    text = words(parse(site / "catalogue.html"))
    assert f"{len(entries())} entries" in text
    assert f"{len(mechanisms())} mechanisms" in text
    for entry in entries().values():
        assert " ".join(entry.title.split()) in text
    for mechanism, _ in mechanisms().values():
        assert " ".join(mechanism.name.split()) in text
    rows = [tag for tag, _ in parse(site / "catalogue.html").elements].count("tr")
    assert rows == 1 + len(mechanisms()) + sum(not entry.mechanisms for entry in entries().values())
    assert "variants/multi_head.html" in parse(site / "catalogue.html").all("href")
