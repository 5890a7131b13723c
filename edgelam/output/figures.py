# SPDX-License-Identifier: GPL-2.0-only
"""Figures for papers: one or two columns wide, in SVG and PNG, with colours that colour-blind readers can tell apart.

Sizes are those of an IEEE two-column page (88.9 mm and 181.9 mm). Colours are Okabe and Ito's palette ("Color
Universal Design", 2008), with grey in place of yellow, since a thin yellow line cannot be seen on white paper. Lines
also differ in dash and marker, so that a black-and-white print can be read.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgelam.files.storage import write_atomically
from edgelam.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_IN = 3.5
PAGE_IN = 7.16
PNG_DPI = 300
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_STYLE: Any = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.3,
    "grid.alpha": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",  # the figure looks the same wherever it is opened
    "svg.hashsalt": "edgelam",  # the same file for the same figure
}


@contextmanager
def figure(
    path: Path, *, width_in: float = COLUMN_IN, height_in: float | None = None, rows: int = 1, columns: int = 1
) -> Iterator[tuple["Figure", "list[Axes]"]]:
    """Draw inside ``with figure(folder / "name") as (figure, axes):``; leaving it writes ``name.svg`` and ``name.png``.

    width_in, height_in: size in inches (a golden rectangle by default); axes: the rows x columns panels in reading
    order. Nothing is written if the body raises. No display is needed. Raises StorageError.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(width_in, height_in or width_in / columns / 1.45 * rows))
        panels = drawn.subplots(rows, columns, squeeze=False)
        yield drawn, list(panels.flat)
        _show_names_as_they_are(drawn)
        formats: dict[str, Any] = {".svg": {"metadata": {"Date": None}}, ".png": {"dpi": PNG_DPI}}
        for suffix, options in formats.items():
            buffer = io.BytesIO()
            try:
                drawn.savefig(buffer, format=suffix[1:], **options)
            except ValueError:  # the text of a tick's label, which exists only now
                _show_no_formulas(drawn)
                drawn.savefig(buffer := io.BytesIO(), format=suffix[1:], **options)
            drawn.set_layout_engine("none")  # laid out once, for all formats
            write_atomically(path.with_suffix(suffix), buffer.getvalue())


def _show_names_as_they_are(drawn: "Figure") -> None:
    """Show names with dollars that are not a formula, and names with control characters, as ordinary text."""
    from matplotlib.mathtext import MathTextParser
    from matplotlib.text import Text

    parser: Any = MathTextParser("path")
    for text in drawn.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() != printable(text.get_text()):
            text.set_text(printable(text.get_text()))
        if "$" in text.get_text():
            try:
                parser.parse(text.get_text())
            except ValueError:
                text.set_parse_math(False)


def _show_no_formulas(drawn: "Figure") -> None:
    from matplotlib.text import Text

    for text in drawn.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)


def line_style(index: int, points: int = 10) -> dict[str, Any]:
    """Return colour, dash and marker of the index-th curve with this many points (above 12, markers are fewer)."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markevery": max(1, points // 12),
    }
