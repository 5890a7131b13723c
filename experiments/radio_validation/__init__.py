# SPDX-License-Identifier: GPL-2.0-only
"""Curves and numbers that show whether the 5G NR cell is right, each beside what theory or the standards say.

See README.md in this folder for what each figure shows and the numbers to expect.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from rich.console import Console

    from edgelam.output.progress import Progress
    from edgelam.runs import RunFolder

    from .config import RECIPES, Config, check
    from .results import SCORES

__all__ = ["RECIPES", "SCORES", "Config", "check", "plot", "report", "run"]

__getattr__ = lazy.attributes(__name__, dict.fromkeys(("RECIPES", "Config", "check"), "config") | {"SCORES": "results"})


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Measure the cases that `config` names."""
    from . import cases

    cases.run(config, folder, progress)


def plot(path: Path) -> list[Path]:
    """Draw the figures of a run folder from its files alone."""
    from . import cases

    return cases.plot(path)


def report(path: Path, console: "Console") -> None:
    """Print the result tables of a run folder, and what was checked, from its files alone."""
    from . import cases

    cases.report(path, console)
