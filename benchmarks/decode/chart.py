"""A bar chart of engines as SVG: a grid of shapes and cases, with a bar and a figure for each engine.

It is written by hand for the sake of the README: text stays text, colours follow the reader's light or dark mode, and
the chart brings its own background, as a page's mode may be another than the browser's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

STYLE = """
  text { font-family: "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; font-size: 12px; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .case, .shape, .first { font-weight: 600 }
  .note { fill: #59636e }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .bar { fill: #c4ccd4 }
  .first.bar { fill: #0969da }
  .span { stroke: #59636e; stroke-width: 1 }
  .axis { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .card { fill: #0d1117; stroke: #3d444d }
    .bar { fill: #4a525c }
    .first.bar { fill: #4493f8 }
    .span { stroke: #9198a1 }
    .axis { stroke: #3d444d }
  }
"""
MARGIN, TOP = 20, 92
NAMES, COLUMN, GAP = 130, 164, 12  # widths: engines' names, a case, between two
FIGURE = 46  # room for the figure right of the longest bar
LINE, BAR, BETWEEN = 21, 14, 34  # heights: of an engine, of its bar, between two shapes


@dataclass(frozen=True)
class Chart:
    """What to draw. `values[shape, case][engine]` are the figures of all rounds; a missing engine has no bar.

    The first engine is drawn in colour. Bars are medians, the thin line spans all rounds. Every case of every shape
    has a scale of its own, which begins at 0.
    """

    title: str
    notes: Sequence[str]
    engines: Sequence[str]
    shapes: Sequence[str]
    cases: Sequence[str]
    values: Mapping[tuple[str, str], Mapping[str, Sequence[float]]]

    def svg(self) -> str:
        width = 2 * MARGIN + NAMES + len(self.cases) * (COLUMN + GAP) - GAP
        block = len(self.engines) * LINE + BETWEEN
        height = TOP + len(self.shapes) * block + 14 * len(self.notes) + MARGIN - 16
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(self.title)}">',
            f"<style>{STYLE}</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            text(MARGIN, 32, "title", self.title),
        ]
        left = [MARGIN + NAMES + index * (COLUMN + GAP) for index in range(len(self.cases))]
        parts += [text(x, 62, "case", case) for x, case in zip(left, self.cases, strict=True)]
        for index, shape in enumerate(self.shapes):
            top = TOP + index * block
            parts.append(text(MARGIN, top - 8, "shape", shape))
            for line, engine in enumerate(self.engines):
                parts.append(text(MARGIN, top + line * LINE + 15, "" if line else "first", engine))
            for x, case in zip(left, self.cases, strict=True):
                parts += self._cell(x, top, self.values.get((shape, case), {}))
        bottom = TOP + len(self.shapes) * block
        parts += [text(MARGIN, bottom + 14 * index, "note", note) for index, note in enumerate(self.notes)]
        return "\n".join([*parts, "</svg>", ""])

    def _cell(self, x: int, top: int, values: Mapping[str, Sequence[float]]) -> list[str]:
        """The bars of a case of a shape."""
        longest = max((max(figures) for figures in values.values()), default=1.0)
        scale = (COLUMN - FIGURE) / longest
        parts = [f'<line class="axis" x1="{x - 0.5}" y1="{top}" x2="{x - 0.5}" y2="{top + len(self.engines) * LINE}"/>']
        for line, engine in enumerate(self.engines):
            y = top + line * LINE + (LINE - BAR) / 2
            if engine not in values:
                parts.append(text(x + 6, y + 11.5, "note", "–"))
                continue
            figures = values[engine]
            middle, least, most = (scale * value for value in (median(figures), min(figures), max(figures)))
            kind = "" if line else "first "
            parts += [
                f'<rect class="{kind}bar" x="{x}" y="{y}" width="{middle:.1f}" height="{BAR}" rx="1.5"/>',
                f'<line class="span" x1="{x + least:.1f}" y1="{y + BAR / 2}" x2="{x + most:.1f}" y2="{y + BAR / 2}"/>',
                text(x + max(middle, most) + 5, y + 11.5, kind.strip(), f"{median(figures):,.0f}"),
            ]
        return parts


def text(x: float, y: float, kind: str, content: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"' + (f' class="{kind}"' if kind else "") + f">{escape(content)}</text>"
