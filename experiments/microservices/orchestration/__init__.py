# SPDX-License-Identifier: GPL-2.0-only
"""The study orchestration: requests of moving users are routed over replicas, by rules and by learned routers."""

from typing import TYPE_CHECKING

from edgelam import lazy
from edgelam.errors import ConfigurationError
from edgelam.runs.needs import Needs

if TYPE_CHECKING:
    from ..config import Config
    from .jobs import run
    from .plotting import plot
    from .reporting import report
    from .results import SCORES

__all__ = ["SCORES", "check", "needs", "plot", "report", "run"]

__getattr__ = lazy.attributes(__name__, {"run": "jobs", "plot": "plotting", "report": "reporting", "SCORES": "results"})


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
