"""Pages of HTML that need nothing else: reports that a person opens from disk, in light and dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1c2128, #e6edf3); --dim: light-dark(#59636e, #9198a1);
  --line: light-dark(#d1d9e0, #3d444d); --paper: light-dark(#fff, #0d1117); --soft: light-dark(#f6f8fa, #151b23);
  --ours: light-dark(#0a62c9, #58a6ff); --other: light-dark(#c3ccd6, #424a53); --good: #2da44e; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; }
p.note, figcaption { color: var(--dim); } figure { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; } td small { color: var(--dim); }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .7rem; overflow-x: auto;
  font-size: 12.5px; line-height: 1.4; } details { border-bottom: 1px solid var(--line); padding: .3rem 0; }
summary { cursor: pointer; } .grid { display: flex; flex-wrap: wrap; gap: 3px; margin: .5rem 0 1rem; }
.grid i { width: 13px; height: 13px; border-radius: 3px; background: var(--soft); border: 1px solid var(--line); }
.bars { display: table; width: 100%; } .bars td { border: 0; padding: .12rem .6rem; white-space: nowrap; }
.bars td:nth-child(2) { width: 70%; } .bars td:last-child { text-align: left; }
.bars b { display: block; height: .8rem; min-width: 1px; border-radius: 2px; background: var(--ours); }
svg text { fill: var(--ink); font-size: 12px; } svg .dim { fill: var(--dim); }
"""


def escape(value: object) -> str:
    """A value as text of a page."""
    return html.escape(str(value))


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page.

    Args:
        title: plain text.
        parts: HTML of the body.
    """
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return f"{head}<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts, numbers at the right."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """A chart of bars that lie.

    Args:
        rows: of (name, value, value in words).
    """
    most = max((value for _, value, _ in rows), default=0) or 1
    lines = []
    for name, value, words in rows:
        bar = f"<b style='width:{100 * value / most:.2f}%'></b>"
        lines.append(f"<tr><td>{escape(name)}</td><td>{bar}</td><td>{escape(words)}</td></tr>")
    return f"<table class=bars>{''.join(lines)}</table>"
