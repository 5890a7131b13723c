# SPDX-License-Identifier: GPL-2.0-only
"""Looped tensor parallelism over a 5G cell, with optimised widths and shares, beside other ways of training.

See README.md in this folder for what is compared, what to expect, and how to read the figures.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from .config import RECIPES, Config, check, needs
    from .jobs import run
    from .plotting import plot
    from .reporting import report
    from .results import SCORES

__all__ = ["RECIPES", "SCORES", "Config", "check", "needs", "plot", "report", "run"]

# Everything is imported when it is used: drawing figures does not wait for PyTorch.
__getattr__ = lazy.attributes(
    __name__,
    {
        **dict.fromkeys(("RECIPES", "Config", "check", "needs"), "config"),
        "run": "jobs",
        "plot": "plotting",
        "report": "reporting",
        "SCORES": "results",
    },
)
