# SPDX-License-Identifier: GPL-2.0-only
"""The study deployment: solvers and learned policies place the same services; learned on a model, scored by ns-3."""

from typing import TYPE_CHECKING

from edgelam import lazy
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
    """Users, an edge server that decides, and a cloud."""
    return Needs(roles={"ue": config.serving.num_users, "edge": 1, "cloud": 1})


def check(config: "Config") -> None:
    """Refuse a run that learns where the package gymnasium is not there."""
    if config.deployment.learned:
        import edgelam.gym  # noqa: F401  # the error says how to get it
