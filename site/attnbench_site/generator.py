"""Build a site: all of it into a temporary folder, which then takes the old one's place."""

import shutil
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from jinja2 import Environment

from attnbench.errors import UserError
from attnbench.registry.registry import Registry
from attnbench.store import Store
from attnbench_reports import outcomes
from attnbench_site.content import Content
from attnbench_site.pages import Page, pages, run_page
from attnbench_site.templating import environment

MARK = "index.html"


def build(store: Store, registry: Registry, out: Path) -> int:
    """Build the site in `out`. When anything fails, the site that was there before stays as it is.

    Returns:
        The number of pages.

    Raises:
        UserError: `out` is something other than a site or an empty folder, or cannot be written.
    """
    _check(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
            fresh = Path(temporary, "new")
            count = _write_all(store, registry, fresh)
            if out.exists():
                out.rename(Path(temporary, "old"))
            fresh.rename(out)
    except OSError as error:
        raise UserError(f"cannot write the site to {out}: {error.strerror}") from error
    return count


def _check(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file: name a folder with --out")
    if any(out.iterdir()) and not is_site(out):
        raise UserError(f"{out} holds something other than a site: name another folder with --out")


def is_site(folder: Path) -> bool:
    """Say whether a folder holds a site that `build` made."""
    index = folder / MARK
    return index.is_file() and b'name="generator" content="attnbench"' in index.read_bytes()


def _write_all(store: Store, registry: Registry, folder: Path) -> int:
    content = Content(registry, tuple(outcomes.read(store)), frozenset(one.id for one in store.results(current=False)))
    jinja = environment()
    with as_file(files("attnbench_site") / "static") as static:
        shutil.copytree(static, folder / "static", copy_function=shutil.copyfile)
    count = 0
    for page in pages(content):
        _write(page, jinja, content, folder)
        count += 1
    for record in store.records():
        page = run_page(record)
        _write(page, jinja, content, folder)
        (folder / page.path).with_suffix(".json").write_bytes(record.canonical() + b"\n")
        count += 1
    return count


def _write(page: Page, jinja: Environment, content: Content, folder: Path) -> None:
    path = folder / page.path
    path.parent.mkdir(exist_ok=True)
    text = jinja.get_template(page.template).render(**page.values, page=page, root=page.root, content=content)
    path.write_text(text, encoding="utf-8", newline="\n")
