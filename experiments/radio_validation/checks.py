# SPDX-License-Identifier: GPL-2.0-only
"""What a figure has to show, as numbers: each case says what it found and whether that is as it must be."""

import dataclasses
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

Frame = Any  # a pandas table with several levels, which its type stubs do not follow


@dataclasses.dataclass(frozen=True)
class Check:
    """One statement about a run and whether it holds."""

    case: str
    what: str
    found: str
    holds: bool


def jain(values: np.ndarray) -> float:
    """Jain's index of fairness, 1/n to 1: (sum x)^2 / (n sum x^2). 1 for all zeros: nobody is better off."""
    squares = float(np.square(values).sum())
    return float(values.sum()) ** 2 / (len(values) * squares) if squares > 0 else 1.0


def text_table(title: str, *columns: str) -> Table:
    """An empty table for the console; all columns but the first are numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=index > 0)
    return table
