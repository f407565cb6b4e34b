from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from attnbench.errors import UserError
from attnbench.record import Record
from attnbench.registry.registry import Registry
from attnbench.store import Store
from attnbench_site import generator

Parse = Callable[[Path], Any]
Make = Callable[..., Path]
SOURCES = ("src", "srcset", "action", "formaction", "poster", "data", "style", "onload", "onerror", "onclick")


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def contents(site: Path) -> dict[str, bytes]:
    return {str(path.relative_to(site)): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}


def test_there_is_a_page_for_everything(site: Path) -> None:
    found = {str(page.relative_to(site)) for page in pages(site) if page.parent.name != "runs"}
    variants = {f"variants/{slug}.html" for slug in ("elsewhere", "linear_attention", "multi_head", "retention")}
    assert found == {"index.html", "catalogue.html", "method.html"} | variants


def test_every_record_has_its_page_and_its_json(site: Path, records: list[Record]) -> None:
    assert {page.stem for page in (site / "runs").glob("*.html")} == {record.id for record in records}
    for record in records:
        assert (site / "runs" / f"{record.id}.json").read_bytes() == record.canonical() + b"\n"


def test_pages_are_well_formed(site: Path, parse: Parse) -> None:
    for page in pages(site):
        document = parse(page)
        assert not document.faults, page
        ids = document.all("id")
        assert len(ids) == len(set(ids)), page


def test_every_link_leads_somewhere(site: Path, parse: Parse) -> None:
    documents = {page: parse(page) for page in pages(site)}
    for page, document in documents.items():
        for link in [*document.all("href"), *document.all("src")]:
            parts = urlsplit(link)
            assert not parts.scheme, link
            assert not parts.netloc, link
            assert not link.startswith("/"), link
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.is_file(), f"{page}: {link}"
            if parts.fragment:
                assert parts.fragment in documents[target].all("id"), f"{page}: {link}"


def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(site: Path, parse: Parse) -> None:
    for page in pages(site):
        document = parse(page)
        policy = [attributes["content"] for _, attributes in document.elements if "http-equiv" in attributes]
        assert len(policy) == 1
        assert policy[0].startswith("default-src 'self';")
        assert "unsafe" not in policy[0]
        assert all("src" in attributes for tag, attributes in document.elements if tag == "script")
        assert "style" not in [tag for tag, _ in document.elements]
        for name in SOURCES[2:]:
            assert not document.all(name), (page, name)
    for asset in (site / "static").iterdir():
        text = asset.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", ""), asset
        assert "url(" not in text, asset


def test_tables_have_captions_and_headers(site: Path, parse: Parse) -> None:
    for page in pages(site):
        tags = [tag for tag, _ in parse(page).elements]
        assert tags.count("table") == tags.count("caption")
    headers = [attributes for tag, attributes in parse(site / "index.html").elements if tag == "th"]
    assert all(attributes.get("scope") in {"row", "col"} for attributes in headers)


def test_charts_carry_a_title_and_a_description(site: Path, parse: Parse) -> None:
    document = parse(site / "index.html")
    drawings = [attributes for tag, attributes in document.elements if tag == "svg"]
    assert len(drawings) == 2
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert set(drawing["aria-labelledby"].split()) <= set(document.all("id"))


def test_the_same_results_give_the_same_bytes(
    tmp_path: Path, records: list[Record], make_registry: Callable[..., Registry], make_variant: Callable[..., Any]
) -> None:
    registry = make_registry(make_variant("multi_head", "reference", "sdpa"))
    for name, some in {"one": records, "two": list(reversed(records))}.items():
        with Store.open(tmp_path / f"{name}.db") as store:
            for record in some:
                store.ingest(record)
            generator.build(store, registry, tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_site_without_results_says_what_to_do(make_site: Make, parse: Parse) -> None:
    site = make_site()
    assert "There are no results yet" in parse(site / "index.html").text
    assert "attnbench run --variant multi_head" in parse(site / "variants" / "multi_head.html").text


def test_a_failed_build_leaves_the_old_site(
    make_site: Make, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(records=records[:3])
    before = contents(site)

    def broken(record: Record) -> Any:
        raise RuntimeError("a template is broken")

    monkeypatch.setattr(generator, "run_page", broken)
    with pytest.raises(RuntimeError):
        make_site(records=records)
    assert contents(site) == before
    assert [path.name for path in site.parent.iterdir() if path.name.startswith(".")] == []


def test_a_new_build_replaces_the_old_site(make_site: Make, records: list[Record]) -> None:
    site = make_site(records=records[:3])
    (site / "left-over.html").write_text("from an older version")
    make_site(records=records)
    assert not (site / "left-over.html").exists()
    assert len(list((site / "runs").glob("*.html"))) == len(records)


def test_what_is_not_a_site_is_not_replaced(make_site: Make, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="something other than a site"):
        make_site("precious")
    assert (tmp_path / "precious" / "thesis.tex").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        make_site("file")


def test_an_unwritable_place_is_a_user_error(make_site: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the site"):
        make_site("file/site")
