"""Tables of what a command found, for people; `--json` is for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], figures: bool = True) -> None:
    """Print rows under headings, as plain text: what stands in a cell is never taken for markup.

    Args:
        headings: of all columns, the first one too.
        rows: a cell for each heading.
        figures: whether the columns after the first are figures, which end at the right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if figures and number else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
