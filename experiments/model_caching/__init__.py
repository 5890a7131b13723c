# SPDX-License-Identifier: GPL-2.0-only
"""Models that share blocks, cached at the edge: which are kept where, and what reaches users in time by ns-3.

See README.md in this folder for the settings, the results and how to read the figure.
"""

from typing import TYPE_CHECKING

from edgelam import lazy
from edgelam.runs.needs import Needs

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

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
    """Users, an edge server at their sites, one in the middle, the cloud, and who is near whom."""
    return Needs(roles={"ue": config.num_users, "edge": 2, "cloud": 1}, observables=("nearest_edge",))


def check(config: "Config") -> None:
    """Refuse a run without the node in the middle, and one whose users are at no site."""
    from .jobs import sites_of

    async def look(sim: "Simulation") -> None:
        await sites_of(sim, config)

    config.network.simulate(look, needs(config), seed=config.seed)
