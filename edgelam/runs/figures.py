# SPDX-License-Identifier: GPL-2.0-only
"""`edgelam.output.figures`, under the name by which an experiment has it: ``from edgelam.runs import figures``."""

from edgelam.output.figures import COLOURS, COLUMN_IN, DASHES, MARKERS, PAGE_IN, PNG_DPI, figure, line_style
from edgelam.text import si_bytes

__all__ = [
    "COLOURS", "COLUMN_IN", "DASHES", "MARKERS", "PAGE_IN", "PNG_DPI", "figure", "line_style", "si_bytes",
]  # fmt: skip
