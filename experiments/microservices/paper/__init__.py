# SPDX-License-Identifier: GPL-2.0-only
"""The study paper: the setting of arXiv 2601.19563 with declared services, over a wired network, for a short window."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgelam import lazy
from edgelam.runs.needs import Needs

if TYPE_CHECKING:
    from rich.console import Console

    from edgelam.output.progress import Progress
    from edgelam.runs import RunFolder

    from ..config import Config
    from .results import SCORES

__all__ = ["SCORES", "check", "needs", "plot", "report", "run"]

__getattr__ = lazy.attributes(__name__, {"SCORES": "results"})


def needs(config: "Config") -> Needs:
    """Seven devices and three servers; all run services."""
    return Needs(roles={"ue": 7, "edge": 3})


def check(config: "Config") -> None:
    """Nothing beyond the settings themselves."""


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Place and serve."""
    from . import jobs

    jobs.run(config, folder, progress)


def plot(path: Path) -> list[Path]:
    """Draw the figure of a run folder from its files alone."""
    from . import results

    return results.plot(path)


def report(path: Path, console: "Console") -> None:
    """Print the result tables of a run folder from its files alone."""
    from . import results

    results.report(path, console)
