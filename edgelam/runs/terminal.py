# SPDX-License-Identifier: GPL-2.0-only
"""`edgelam.output.terminal`, under the name by which experiments import it."""

from edgelam.output.terminal import WIDE, TextTable, results
from edgelam.text import printable

__all__ = ["WIDE", "TextTable", "printable", "results"]
