# SPDX-License-Identifier: GPL-2.0-only
"""Models are downloaded where they are needed: which size, how soon it answers, and what that needs of the network.

See README.md in this folder for what is compared, what to expect, and how to read the figures.
"""

from typing import TYPE_CHECKING

from edgelam import lazy
from edgelam.runs.needs import Needs

if TYPE_CHECKING:
    from .config import RECIPES, Config
    from .jobs import run
    from .results import SCORES, plot, report

__all__ = ["RECIPES", "SCORES", "Config", "check", "needs", "plot", "report", "run"]

__getattr__ = lazy.attributes(
    __name__,
    {
        **dict.fromkeys(("RECIPES", "Config"), "config"),
        "run": "jobs",
        **dict.fromkeys(("SCORES", "plot", "report"), "results"),
    },
)


def needs(config: "Config") -> Needs:
    """Users, an edge server near them, one in the middle, and the cloud."""
    return Needs(roles={"ue": max(config.num_users, *config.sharers), "edge": 2, "cloud": 1})


def check(config: "Config") -> None:
    """Refuse a run whose models or trained weights are not there; the error names the command that brings them."""
    from edgelam.downloading.lattice import Point

    from .models import load, trained

    if {"downloads", "sharing"} & set(config.parts):
        load(config.model).lattice.check(Point(*config.fixed_size))
    if config.weights == "trained" or {"loss", "ladder", "exits"} & set(config.parts):
        trained(config.model)
    if "cnn" in config.parts:
        from . import cnn

        cnn.check()
