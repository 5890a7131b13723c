# SPDX-License-Identifier: GPL-2.0-only
"""The study deployment: solvers and learned policies place the same services; learned on a model, scored by ns-3."""

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
    """Users, an edge server that decides, and a cloud."""
    return Needs(roles={"ue": config.serving.num_users, "edge": 1, "cloud": 1})


def check(config: "Config") -> None:
    """Refuse a run that learns where the package gymnasium is not there."""
    if config.deployment.learned:
        import edgelam.gym  # noqa: F401  # the error says how to get it


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Train, compare on the model, and serve."""
    from . import jobs

    jobs.run(config, folder, progress)


def plot(path: Path) -> list[Path]:
    """Draw the figures of a run folder from its files alone."""
    from . import plotting

    return plotting.plot(path)


def report(path: Path, console: "Console") -> None:
    """Print the result tables of a run folder from its files alone."""
    from . import reporting

    reporting.report(path, console)
