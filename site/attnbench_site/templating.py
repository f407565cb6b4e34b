"""The jinja environment: everything is escaped, and a missing name is an error."""

import re
from datetime import UTC, datetime
from textwrap import dedent

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from attnbench_reports.quantities import digits, quantity, seconds, size, spread
from attnbench_site.charts import chart


def environment() -> Environment:
    """Make the environment that renders all pages."""
    made = Environment(
        loader=PackageLoader("attnbench_site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for one in (digits, quantity, seconds, size, spread, words, sentence, moment, blocks, breakable):
        made.filters[one.__name__] = one
    made.globals["chart"] = chart
    return made


def words(name: str) -> str:
    """Write a slug in plain words."""
    return name.replace("_", " ")


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop where there is none, leaving all else as it is."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def moment(when: datetime) -> str:
    """Write a moment in UTC, to the minute."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def blocks(text: str) -> list[tuple[str, str]]:
    """Split a docstring at blank lines into prose and preformatted blocks (those with an indented line)."""
    parts = [part.strip("\n") for part in text.split("\n\n") if part.strip()]
    indented = [any(line.startswith(" ") for line in part.splitlines()) for part in parts]
    return [("pre" if pre else "p", dedent(part)) for part, pre in zip(parts, indented, strict=True)]


def breakable(text: str) -> Markup:
    """Allow a line break after each slash and comma of a long id."""
    return Markup(re.sub("([/,])", r"\1<wbr>", str(escape(text))))  # noqa: S704 - escaped, and <wbr> is ours
