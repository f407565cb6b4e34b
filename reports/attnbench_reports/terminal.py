"""Boards and comparisons as tables for the terminal.

What plugins wrote is data: print to a console that reads no markup.
"""

from collections.abc import Iterable, Iterator
from textwrap import shorten

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from attnbench.facts import DeviceFacts
from attnbench.suite import Metric
from attnbench_reports.board import Board
from attnbench_reports.comparison import Comparison, Pair
from attnbench_reports.outcomes import Outcome
from attnbench_reports.quantities import quantity, spread
from attnbench_reports.ranking import Ranking, Row
from attnbench_reports.standings import Standing

BADGES = {"passed": Text("✓ passed", "green"), "failed": Text("✗ failed", "red"), "unsupported": Text("– unsupported")}


def render(boards: Iterable[Board], *, brief: bool = False) -> Iterator[RenderableType]:
    """Yield what is printed for boards, each with its headline.

    Args:
        boards: what to print.
        brief: count what was proved, and list only what was not.
    """
    for board in boards:
        yield Text(f"\n{board.suite} v{board.version} on {board.device.name} ({board.device.id})", "bold")
        for ranking in board.rankings:
            yield from _ranking(ranking)
        if board.rankings:
            continue
        listed = [one for one in board.standings if not (brief and one.badge == "passed")]
        if brief:
            proved = len(board.standings) - len(listed)
            yield Text(f"{proved} of {len(board.standings)} implementations passed every case", "green")
        if listed:
            yield _standings((None, one) for one in listed)


def render_comparison(comparison: Comparison, left: str, right: str) -> Iterator[RenderableType]:
    """Yield what is printed for two names."""
    if comparison.standings:
        yield Text("\ncorrectness", "bold")
        yield _standings(comparison.standings)
    if not comparison.pairs:
        yield Text(f"\n{left} and {right} share no scored workload on any device.")
        return
    table = _table(f"{left} next to {right}")
    for name in ("device", "suite", "workload", left, right, "speed-up"):
        table.add_column(name, justify="right" if name in {left, right, "speed-up"} else "left")
    for pair in comparison.pairs:
        sides = [_cell(pair.left), _cell(pair.right)]
        table.add_row(pair.device.id, pair.suite, pair.workload, *sides, _speedup(pair))
    yield table


def _standings(standings: Iterable[tuple[DeviceFacts | None, Standing]]) -> Table:
    """Make the table of verdicts; a device of None is one that the headline names."""
    table = _table()
    for name in ("implementation", "verdict", "cases"):
        table.add_column(name, no_wrap=name != "cases")
    table.add_column("error / bound", justify="right")
    for device, one in standings:
        words = ("passed", "failed", "unsupported")
        counts = {word: sum(getattr(tally, word) for tally in one.tallies.values()) for word in words}
        cases = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        margin = f"{one.margin.error / one.margin.bound:.0%}" if one.margin else ""
        name = f"{one.key} on {device.id}" if device else one.key
        table.add_row(name, BADGES[one.badge], cases, margin)
    return table


def _ranking(ranking: Ranking) -> Iterator[RenderableType]:
    """Yield the table of a ranking, and below it, at full width, what is not ranked and why."""
    words = [ranking.group.title, ranking.group.profile, ranking.shared]
    table = _table(" · ".join(word for word in words if word))
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("implementation")
    measured = [_measured(row) for row in ranking.ranked]
    tells = len(ranking.workloads) == 1 and measured != [quantity(row.score) for row in ranking.ranked if row.score]
    for name in ("score", "95 % interval", *(["measured"] if tells else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for row, found in zip(ranking.ranked, measured, strict=True):
        won = "bold" if row.place and row.place.wins else ""
        table.add_row(str(row.place), str(row.contender), *_score(row.score), *([found] if tells else []), style=won)
    yield table if ranking.ranked else Text(f"{table.title}\n", "italic")
    for row in ranking.unranked:
        covered = f"{row.covered} of {len(ranking.workloads)} workloads"
        why = shorten(row.reason, 200, placeholder=" …")
        yield Text.assemble("     –   ", str(row.contender), (f"  not ranked, {covered}: {why}", "dim"))


def _score(score: Metric | None) -> tuple[str, str]:
    return (quantity(score), spread(score)) if score else ("", "")


def _measured(row: Row) -> str:
    """Write what was measured at each workload."""
    return ", ".join(_cell(one) for some in row.cells.values() for one in some)


def _cell(one: Outcome) -> str:
    return quantity(one.headline) if one.headline else str(one.status)


def _speedup(pair: Pair) -> str:
    if pair.speedup is None:
        return ""
    return f"{quantity(pair.speedup)}  {spread(pair.speedup)}"


def _table(title: str | None = None) -> Table:
    return Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD)
