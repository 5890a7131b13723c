# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of the nodes, as solvers are told; and the refusal of what no placement could compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Graph, Service, unshared
from edgelam.inference.calibration import Line, Links
from edgelam.inference.deployment import feasible, monolithic
from edgelam.inference.problem import Problem, problem_of
from edgelam.inference.profile import mean, profile

from ..config import Config
from . import needs, workload
from .settings import Method
from .workload import Workload

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

PROFILED = 4
"""Samples of each graph whose mean work and bytes the solvers are given."""


def hosts_of(sim: Simulation) -> list[str]:
    """Return the names of the nodes that may run services: edge servers, then the cloud."""
    return [node.name for node in sim.nodes.values() if node.role in ("edge", "cloud")]


def cloud_of(sim: Simulation) -> str:
    """Return the name of the cloud."""
    return next(node.name for node in sim.nodes.values() if node.role == "cloud")


def users_of(sim: Simulation, config: Config) -> list[str]:
    """Return the names of the nodes that ask."""
    return [node.name for node in needs(config).nodes(sim)[0]]


def problem(
    sim: Simulation, config: Config, load: Workload, *, services: dict[str, Service], graphs: dict[str, Graph],
    computing: Computing, links: Links,
) -> Problem:  # fmt: skip
    """Return the problem of a workload; services, graphs: those of the workload, or copies that are not shared."""
    settings = config.serving
    asked = workload.demand(settings, users_of(sim, config), load)
    profiles = {
        name: mean(profile(graphs[name], services, computing, sample) for sample, _ in load.samples[name][:PROFILED])
        for name in dict.fromkeys(each.graph for each in asked)
    }
    return problem_of(
        sim, services, profiles, asked, links, hosts=hosts_of(sim), most_utilisation=settings.most_utilisation
    )  # fmt: skip


def refuse(config: Config, loads: Sequence[Workload], computing: Computing) -> None:
    """Refuse requests that no method could serve: more than the nodes can compute, or services that do not fit them.

    What a request costs is measured: modules compute samples, once, and the results are kept in `computing`. The
    scenario is started to see its nodes; nothing is sent. Raises ConfigurationError, also for a trace that is not legal
    and for a node that is to fail and does not exist.
    """

    async def look(sim: Simulation) -> None:
        if config.serving.fail:
            sim.node(config.serving.fail)
        for load in loads:
            reasons = [_reason(sim, config, load, computing, kind) for kind in _kinds(config.serving.methods)]
            if all(reasons):
                raise ConfigurationError("; ".join(reasons))

    config.network.simulate(look, needs(config))


def _kinds(methods: Sequence[Method]) -> list[str]:
    """Return what has to be looked at: shared services have a plan if one of the other methods has one."""
    others: list[str] = [method for method in methods if not method.startswith("shared-")]
    return others if len(others) == len(methods) else ["shared"]


def _reason(sim: Simulation, config: Config, load: Workload, computing: Computing, kind: str) -> str:
    """Return why methods of a kind have no plan; empty: they may have one."""
    services, graphs = load.services, load.graphs
    if kind == "monolithic":
        services, graphs = unshared(services, graphs)
    free = Links({}, {}, Line(0.0, 0.0), {node.name: node.role for node in sim.nodes.values()})
    asked = problem(sim, config, load, services=services, graphs=graphs, computing=computing, links=free)
    try:
        feasible.check(asked)
        if kind == "cloud-only":
            monolithic.on_one_node(asked, cloud_of(sim))
    except ConfigurationError as error:
        return str(error)
    return ""
