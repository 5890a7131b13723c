# SPDX-License-Identifier: GPL-2.0-only
"""Curves and numbers that show whether the 5G NR cell is right, each beside what theory or the standards say.

See README.md in this folder for what each figure shows and the numbers to expect.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from .cases import plot, report, run
    from .config import RECIPES, Config, check
    from .results import SCORES

__all__ = ["RECIPES", "SCORES", "Config", "check", "plot", "report", "run"]

__getattr__ = lazy.attributes(
    __name__,
    {
        **dict.fromkeys(("RECIPES", "Config", "check"), "config"),
        **dict.fromkeys(("run", "plot", "report"), "cases"),
        "SCORES": "results",
    },
)
