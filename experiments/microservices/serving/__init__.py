# SPDX-License-Identifier: GPL-2.0-only
"""The study serving: the same requests, served by services that are placed by each of some methods."""

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
    """Users, an edge server, and a cloud."""
    return Needs(roles={"ue": config.serving.num_users, "edge": 1, "cloud": 1})


def check(config: "Config") -> None:
    """Refuse a run whose models are not there (the error names the commands that bring them), or that asks too much.

    Real models compute some requests for that, since what they cost is measured.
    """
    from . import demand, jobs, multimodal

    if config.serving.workload == "multimodal":
        multimodal.check()
    computing, loads = jobs.prepared(config)
    demand.refuse(config, list(loads.values()), computing)
