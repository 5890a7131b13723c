# SPDX-License-Identifier: GPL-2.0-only
"""Tables that break no words, however narrow the terminal is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgelam.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE = 10_000  # columns if the output goes to a file, where lines need not be broken
_GAP = 3  # between two columns, as rich sets them


def results() -> Console:
    """Return the console for results: as wide as the terminal, or without an edge if the output goes to a file.

    If $COLUMNS is set, it is the width in both cases. Text is printed as it is: brackets in names are not markup, and
    control characters are written out.
    """
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else WIDE
    return Plain(width=wide, markup=False, emoji=False)


class TextTable:
    """Rows of text under a title; the first `left` columns are words, and the others are right-aligned numbers.

    Text is broken only between words, and numbers are never broken. If a row does not fit, rows become columns, with as
    many columns beside one another as fit.
    """

    def __init__(self, title: str, *heads: str, left: int = 1, caption: str = "") -> None:
        """Make a table without rows; caption: a line below it."""
        self.title, self.left, self.caption = printable(title), left, caption
        self.heads = tuple(map(printable, heads))
        self.rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """Add a row, with one cell for each head."""
        self.rows.append(tuple(map(printable, cells)))

    def print(self, console: Console) -> None:
        """Print the table, or nothing if it has no rows."""
        columns = [_Column(head, list(cells), i >= self.left)
                   for i, (head, *cells) in enumerate(zip(self.heads, *self.rows, strict=True))]  # fmt: skip
        if self.rows and _narrowest(columns) <= console.width:
            self._print(console, columns, self.caption)
            return
        first, *heads = self.heads
        waiting = [_Column(name, list(cells), False) for name, *cells in self.rows]
        while waiting:
            count = 1  # a single column that is too wide goes beyond the edge
            while count < len(waiting) and _narrowest([_Column(first, heads), *waiting[: count + 1]]) <= console.width:
                count += 1
            shown, waiting = waiting[:count], waiting[count:]
            self._print(console, [_Column(first, heads), *shown], "" if waiting else self.caption)

    def _print(self, console: Console, columns: list[_Column], caption: str) -> None:
        from rich import box
        from rich.segment import SegmentLines
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column, width in zip(columns, _widths(columns, console.width), strict=True):
            table.add_column(Text(column.head), width=width, justify="right" if column.numbers else "left")
        for cells in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*map(Text, cells))
        console.print(Text(self.title, style="bold"), soft_wrap=True)
        wide = console.options.update(width=max(console.width, _narrowest(columns)))  # print would not go beyond
        console.print(SegmentLines(console.render_lines(table, wide, pad=False), new_lines=True), crop=False, end="")
        if caption:
            console.print(Text(caption, style="dim"), soft_wrap=True)


class _Column:
    def __init__(self, head: str, cells: Sequence[str], numbers: bool = False) -> None:
        from rich.cells import cell_len

        self.head, self.cells, self.numbers = head, cells, numbers
        words = [*head.split(), *(cells if numbers else (word for cell in cells for word in cell.split()))]
        self.least = max(map(cell_len, words), default=1)
        self.most = max(map(cell_len, [head, *cells]), default=1)


def _narrowest(columns: Sequence[_Column]) -> int:
    return sum(column.least + _GAP for column in columns) - 1


def _widths(columns: Sequence[_Column], edge: int) -> list[int]:
    """Return the width of each column: that of its longest word; the rest goes first to those that need the least."""
    spare = edge - _narrowest(columns)
    widths = [column.least for column in columns]
    for i in sorted(range(len(columns)), key=lambda i: columns[i].most - columns[i].least):
        more = max(0, min(columns[i].most - columns[i].least, spare))
        widths[i], spare = widths[i] + more, spare - more
    return widths
