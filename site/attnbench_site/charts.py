"""Charts as inline SVG: the same bytes for the same ranking, colours left to the style sheet."""

from collections import Counter
from xml.etree import ElementTree as ET

import vl_convert
from markupsafe import Markup

from attnbench.suite import Metric
from attnbench_reports.ranking import Ranking
from attnbench_reports.scores import interval

SVG = "http://www.w3.org/2000/svg"
ET.register_namespace("", SVG)
CONFIG = {
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "domain": False},
}
LETTER = 7.5  # pixels of a wide letter: readers' fonts differ from those that the labels were measured with


def chart(ranking: Ranking, title: str, name: str) -> Markup:
    """Draw each ranked contender's score with its 95 % interval.

    Args:
        ranking: what to draw; the table beside the chart holds the same numbers.
        title: what a screen reader says.
        name: prefix of the element ids, unique in the page.
    """
    svg = ET.fromstring(vl_convert.vegalite_to_svg(_spec(ranking), vl_version="5.20"))  # noqa: S314 - made right here
    best = ranking.ranked[0]
    texts = {"title": title, "desc": f"{len(ranking.ranked)} scores with intervals; the best is {best.contender}."}
    for index, (tag, text) in enumerate(texts.items()):
        element = ET.Element(f"{{{SVG}}}{tag}", id=f"{name}-{tag}")
        element.text = text
        svg.insert(index, element)
    svg.set("role", "img")
    svg.set("aria-labelledby", f"{name}-title {name}-desc")
    return Markup(ET.tostring(svg, encoding="unicode"))  # noqa: S704 - ElementTree escaped every text


def _spec(ranking: Ranking) -> dict[str, object]:
    """Write the Vega-Lite specification: a line from low to high, a dot at the score, a dashed line at the baseline."""
    names = _labels(ranking)
    rows = [_datum(name, row.score) for name, row in zip(names, ranking.ranked, strict=True) if row.score]
    labels = {"ticks": False, "labelPadding": 10, "labelLimit": 0, "minExtent": LETTER * max(map(len, names))}
    y = {"field": "who", "type": "nominal", "title": None, "sort": names, "axis": labels}
    is_ratio = ranking.metric == "ratio"
    x = {
        "field": "low",
        "type": "quantitative",
        "title": "times as fast as the baseline (log scale)" if is_ratio else ranking.metric,
        "scale": {"type": "log" if is_ratio else "linear", "zero": False, "nice": False, "padding": 16},
        "axis": {"tickCount": 6, "format": "~g" if is_ratio else "~p"},
    }
    score = {"field": "score", "type": "quantitative"}
    baseline = [{"mark": {"type": "rule", "strokeDash": [3, 3]}, "encoding": {"x": {"datum": 1}}}]
    marks = [
        {"mark": {"type": "rule", "strokeWidth": 4}, "encoding": {"x": x, "x2": {"field": "high"}, "y": y}},
        {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1}, "encoding": {"x": score, "y": y}},
    ]
    return {
        "width": 680,
        "height": {"step": 26},
        "background": "transparent",
        "data": {"values": rows},
        "layer": baseline + marks if is_ratio else marks,
        "config": CONFIG,
    }


def _labels(ranking: Ranking) -> list[str]:
    """Name each contender, with its settings only where the name alone is not one of a kind."""
    keys = Counter(row.contender.key for row in ranking.ranked)
    return [row.contender.key if keys[row.contender.key] == 1 else str(row.contender) for row in ranking.ranked]


def _datum(who: str, score: Metric) -> dict[str, str | float]:
    low, high = interval(score)
    return {"who": who, "low": low, "high": high, "score": score.value}
