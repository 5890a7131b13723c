# SPDX-License-Identifier: GPL-2.0-only
"""The study paper: the setting of arXiv 2601.19563 with declared services, over a wired network, for a short window."""

from typing import TYPE_CHECKING

from edgelam import lazy
from edgelam.runs.needs import Needs

if TYPE_CHECKING:
    from ..config import Config
    from .jobs import run
    from .results import SCORES, plot, report

__all__ = ["SCORES", "check", "needs", "plot", "report", "run"]

__getattr__ = lazy.attributes(__name__, {"run": "jobs", **dict.fromkeys(("SCORES", "plot", "report"), "results")})


def needs(config: "Config") -> Needs:
    """Seven devices and three servers; all run services."""
    return Needs(roles={"ue": 7, "edge": 3})


def check(config: "Config") -> None:
    """Nothing beyond the settings themselves."""
