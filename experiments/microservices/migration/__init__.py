# SPDX-License-Identifier: GPL-2.0-only
"""The study migration: sessions of a language model follow their users along a road, by each of some policies."""

from typing import TYPE_CHECKING

from edgelam import lazy
from edgelam.runs.needs import Needs

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

    from ..config import Config
    from .jobs import run
    from .plotting import plot
    from .reporting import report
    from .results import SCORES

__all__ = ["SCORES", "check", "needs", "plot", "report", "run"]

__getattr__ = lazy.attributes(__name__, {"run": "jobs", "plot": "plotting", "report": "reporting", "SCORES": "results"})


def needs(config: "Config") -> Needs:
    """Users, two servers or more between which sessions can move, and where they are near."""
    return Needs(
        roles={"ue": config.migration.num_users, "edge|cloud": 2},
        observables=("edge_round_trip_s", "nearest_edge", "handover_counts"),
    )


def check(config: "Config") -> None:
    """Refuse a run whose model is not there (the error names the command that brings it), or a server that is not."""
    settings = config.migration
    if settings.model == "smollm2-135m":
        from edgelam.models.fetch import model_folder

        model_folder(settings.model)

    async def look(sim: "Simulation") -> None:
        for name in filter(None, (settings.decider, settings.fail)):
            sim.node(name)

    if settings.decider or settings.fail:
        config.network.simulate(look, needs(config))
