# SPDX-License-Identifier: GPL-2.0-only
"""The study orchestration: requests of moving users are routed over replicas, by rules and by learned routers."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgelam import lazy
from edgelam.errors import ConfigurationError
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
    """Users, edge servers at gNBs, and a cloud."""
    return Needs(roles={"ue": config.orchestration.num_users, "cloud": 1}, observables=("nearest_edge",))


def check(config: "Config") -> None:
    """Refuse a crowd where nobody can be told where to stand."""
    moved = {"crowd", "both"} & set(config.orchestration.shifts)
    if moved and config.network.scenario != "nr-highway":
        raise ConfigurationError(
            f"shift {min(moved)!r} puts users at the first gNB of nr-highway; with --scenario "
            f"{config.network.scenario}, shifts are: none, demand"
        )


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Learn, and run the methods that `config` names."""
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
