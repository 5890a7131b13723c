# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of the nodes, as solvers are told; and the refusal of what no placement could compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgelam.inference import Computing, Graph, Service
from edgelam.inference.calibration import Line, Links
from edgelam.inference.problem import Demand, Problem, problem_of
from edgelam.inference.profile import mean, profile

from ..config import Config
from . import needs
from .workload import Workload, tasks

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

PROFILED = 4
"""Samples of each graph whose mean work and bytes the solvers are given."""


def hosts_of(sim: Simulation) -> list[str]:
    """Return the names of the nodes that may run services: edge servers, then the cloud."""
    return [node.name for node in sim.nodes.values() if node.role in ("edge", "cloud")]


def users_of(sim: Simulation, config: Config) -> list[str]:
    """Return the names of the nodes that ask."""
    return [node.name for node in needs(config).nodes(sim)[0]]


def problem(
    sim: Simulation, config: Config, load: Workload, *, services: dict[str, Service], graphs: dict[str, Graph],
    computing: Computing, links: Links,
) -> Problem:  # fmt: skip
    """Return the problem of a workload; services, graphs: those of the workload, or copies that are not shared."""
    users, settings = users_of(sim, config), config.serving
    demand = [
        Demand(user, task.graph, task.arrivals.mean_rate, task.deadline_s)
        for user, mine in tasks(settings, users, load).items()
        for task in mine
    ]
    profiles = {
        name: mean(profile(graphs[name], services, computing, sample) for sample, _ in load.samples[name][:PROFILED])
        for name in dict.fromkeys(each.graph for each in demand)
    }
    return problem_of(
        sim, services, profiles, demand, links, hosts=hosts_of(sim), most_utilisation=settings.most_utilisation
    )  # fmt: skip


def refuse_overload(config: Config, loads: Sequence[Workload], computing: Computing) -> None:
    """Refuse a demand that all nodes together cannot compute, and a node that is to fail and does not exist.

    The scenario is started to see its nodes; nothing is sent. Raises ConfigurationError.
    """

    async def look(sim: Simulation) -> None:
        if config.serving.fail:
            sim.node(config.serving.fail)
        free = Links({}, {}, Line(0.0, 0.0), {node.name: node.role for node in sim.nodes.values()})
        for load in loads:
            asked = problem(
                sim, config, load, services=load.services, graphs=load.graphs, computing=computing, links=free
            )  # fmt: skip
            asked.check()

    config.network.simulate(look, needs(config))
