"""Which pages a site has, and what each of them shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from attnbench.record import Record
from attnbench.registry.catalogue import entries
from attnbench_site.content import Content


@dataclass(frozen=True)
class Page:
    """One page: where it is, the template that makes it, and the values that are its own."""

    path: str
    template: str
    title: str
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def root(self) -> str:
        """The relative way from this page to the site's root."""
        return "../" * self.path.count("/")


def pages(content: Content) -> Iterator[Page]:
    """Yield all pages but those of single results."""
    carried = content.registry.catalogue()
    catalogue = {"entries": entries(), "carried": carried}
    yield Page("index.html", "index.html", "Leaderboard", catalogue)
    yield Page("catalogue.html", "catalogue.html", "Catalogue", catalogue)
    yield Page("method.html", "method.html", "Method")
    for slug, facts in content.variants.items():
        yield Page(f"variants/{slug}.html", "variant.html", slug, {"slug": slug, "facts": facts})


def run_page(record: Record) -> Page:
    """Return the page of one result."""
    title = f"{record.variant}/{record.implementation}: {record.case.suite}, {record.case.kind}"
    return Page(f"runs/{record.id}.html", "run.html", title, {"record": record, "command": command(record)})


def command(record: Record) -> str:
    """Write the command that measures a result again."""
    options = {
        "variant": record.variant,
        "implementation": record.implementation,
        "suite": record.case.suite,
        "profile": record.case.profile,
        "device": record.device.id,
        "seed": str(record.provenance.seed),
    }
    return " ".join(["attnbench run", *(f"--{name} {value}" for name, value in options.items()), "--again"])
