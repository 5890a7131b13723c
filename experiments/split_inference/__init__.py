# SPDX-License-Identifier: GPL-2.0-only
"""Split inference: where to cut a model between a device and a server, beside the device, the edge and the cloud alone.

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
    """Users, an edge server, and a cloud; for decoding alone, a device and two servers."""
    if config.decoding.methods and not config.models:
        from .decoding import NEEDS

        return NEEDS
    return Needs(roles={"ue": config.users, "edge": 1, "cloud": 1})


def check(config: "Config") -> None:
    """Refuse a run whose models are not there; the error names the command that brings them."""
    from .workloads import check_models

    check_models(config)
