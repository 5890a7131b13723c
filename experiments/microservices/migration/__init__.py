# SPDX-License-Identifier: GPL-2.0-only
"""The study migration: sessions of a language model follow their users along a road, by each of some policies."""

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
    """Users, two servers or more between which sessions can move, and where they are near."""
    return Needs(
        roles={"ue": config.migration.num_users, "edge|cloud": 2},
        observables=("edge_round_trip_s", "nearest_edge", "handover_counts"),
    )


def check(config: "Config") -> None:
    """Refuse a run whose model is not there; the error names the command that brings it."""
    if config.migration.model == "smollm2-135m":
        from edgelam.models.fetch import model_folder

        model_folder(config.migration.model)


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Run the policies that `config` names."""
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
