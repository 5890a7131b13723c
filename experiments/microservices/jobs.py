# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: for each seed and method, calibrate, decide, deploy, serve; everything written to the run folder."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Dispatcher, Graph, Request, Service, Serving, unshared
from edgelam.inference.calibration import Links, fit, of_moves, probed
from edgelam.inference.deployment import SOLVERS, monolithic
from edgelam.inference.metrics import percentile, summary
from edgelam.inference.planner import Decision, decide
from edgelam.inference.problem import Demand, Plan, Problem, delay, problem_of
from edgelam.inference.profile import mean, profile
from edgelam.inference.records import RequestRecord
from edgelam.inference.routing import Planned
from edgelam.inference.serving import Outcome
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from . import declared, tables, workload
from .config import Config, Method, needs

PROBES = (500, 5_000, 60_000)
"""Bytes of the probes from which the links are calibrated."""

PROFILED = 4
"""Samples of each graph whose mean work and bytes the solvers are given."""


@dataclasses.dataclass(frozen=True)
class _Case:
    """One simulation to do: a method, with the services and graphs that it serves."""

    config: Config
    method: Method
    seed: int
    load: workload.Workload
    computing: Computing
    services: dict[str, Service]
    graphs: dict[str, Graph]

    @property
    def row(self) -> dict[str, Any]:
        """Columns of all its rows."""
        return {"method": self.method, "seed": self.seed}


@dataclasses.dataclass(frozen=True)
class _Served:
    """What came of it."""

    asked: list[Request]
    outcome: Outcome
    decision: Decision
    links: Links
    hosts: list[dict[str, Any]]


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    computing = Computing()
    seeds = range(config.seed, config.seed + config.num_seeds)
    loads = {seed: declared.make(seed) for seed in seeds}
    cases = list(itertools.product(seeds, config.methods))
    progress.begin("methods", len(cases), "simulations")
    for done, (seed, method) in enumerate(cases, 1):
        load = loads[seed]
        services, graphs = load.services, load.graphs
        if method == "monolithic":
            services, graphs = unshared(services, graphs)
        _simulate(_Case(config, method, seed, load, computing, services, graphs), folder)
        progress.step(done)


def _simulate(case: _Case, folder: RunFolder) -> None:
    config = case.config
    refused: list[str] = []

    async def main(sim: cosim.Simulation) -> _Served | None:
        return await _serve(sim, case, refused)

    label = case.method if config.num_seeds == 1 else f"{case.method}, seed {case.seed}"
    served = config.network.simulate(main, needs(config), folder, label, seed=case.seed)
    if served is None:
        folder.table("refused", tables.REFUSED).append(case.row | {"reason": refused[0]})
    else:
        _write(folder, case, served)


async def _serve(sim: cosim.Simulation, case: _Case, refused: list[str]) -> _Served | None:
    """Calibrate, decide, deploy, serve; if there is no plan, append the reason to `refused`, and return None."""
    config = case.config
    users = [node.name for node in needs(config).nodes(sim)[0]]
    hosts = [node.name for node in sim.nodes.values() if node.role in ("edge", "cloud")]
    cloud = next(node.name for node in sim.nodes.values() if node.role == "cloud")
    serving = Serving(
        sim, case.services, case.graphs, computing=case.computing, dispatcher=Dispatcher(Planned({})), repository=cloud
    )  # fmt: skip
    pairs = [(a, b) for a in (*users, *hosts) for b in (*users, *hosts) if a != b and not {a, b} <= set(users)]
    links = fit(await probed(sim, pairs, PROBES, times=1), {node.name: node.role for node in sim.nodes.values()})
    try:
        problem = _problem(sim, case, links, hosts, users)
        decision = await decide(
            serving, hosts[0], hosts, lambda: problem, lambda given: _plan(case.method, given, case.seed, cloud),
            charge=config.charge,
        )  # fmt: skip
    except ConfigurationError as error:
        refused.append(str(error))
        return None
    serving.deploy(decision.plan.placement(problem), cold=config.cold)
    serving.dispatcher.rule = Planned(decision.plan.routes(problem))
    asked = workload.requests(config, users, case.load, case.seed)
    before = {name: (sim.node(name).busy_s, sim.node(name).energy_j) for name in hosts}
    outcome = await serving.serve(asked, failures={config.fail: config.duration_s / 2} if config.fail else None)
    took_s = outcome.end_s - outcome.begin_s
    rows = [
        {
            "node": name, "busy_share": (sim.node(name).busy_s - busy_s) / took_s,
            "weight_bytes": sum(each.weight_bytes for each in outcome.instances if each.node == name),
            "energy_j": sim.node(name).energy_j - energy_j,
        }
        for name, (busy_s, energy_j) in before.items()
    ]  # fmt: skip
    await serving.close()
    return _Served(asked, outcome, decision, links, rows)


def _problem(sim: cosim.Simulation, case: _Case, links: Links, hosts: list[str], users: list[str]) -> Problem:
    profiles = {
        name: mean(
            profile(graph, case.services, case.computing, sample) for sample, _ in case.load.samples[name][:PROFILED]
        )
        for name, graph in case.graphs.items()
    }
    demand = [
        Demand(user, task.graph, task.arrivals.mean_rate, task.deadline_s)
        for user, mine in workload.tasks(case.config, users, case.load).items()
        for task in mine
    ]
    return problem_of(
        sim, case.services, profiles, demand, links, hosts=hosts, most_utilisation=case.config.most_utilisation
    )  # fmt: skip


def _plan(method: Method, problem: Problem, seed: int, cloud: str) -> Plan:
    if method == "cloud-only":
        return monolithic.on_one_node(problem, cloud)
    return SOLVERS[method.removeprefix("shared-")](problem, seed)


def _write(folder: RunFolder, case: _Case, served: _Served) -> None:
    outcome, decision, row = served.outcome, served.decision, case.row
    worth = {
        request.id: case.load.worth(request, outcome.answers[request.id])
        for request in served.asked
        if request.id in outcome.answers
    }
    requests = [tables.plain(each) | {"quality": worth.get(each.request)} for each in outcome.requests]
    tables.write_records(folder, "requests", RequestRecord, [row | each for each in requests], {"quality": float})
    for name, kind in tables.KINDS.items():
        tables.write_records(folder, name, kind, [row | tables.plain(each) for each in getattr(outcome, name)])
    for host in served.hosts:
        folder.table("hosts", tables.HOSTS).append(row | host)
    times = {
        name: getattr(decision, name) - outcome.begin_s for name in ("start_s", "measured_s", "end_s")
    }  # fmt: skip
    folder.table("decisions", tables.DECISIONS).append(
        row | times | {"operations": decision.operations, "gap": decision.plan.gap}
    )
    done = [each.e2e_s for each in outcome.requests if each.status == "complete"]
    errors = served.links.errors(of_moves(outcome.moves))
    known = [value for value in worth.values() if value is not None]
    more = {
        "e2e_mean_s": float(np.mean(done)) if done else None,
        "energy_j": sum(host["energy_j"] for host in served.hosts),
        "quality": float(np.mean(known)) if known else None,
        "predicted_s": delay(decision.problem, decision.plan),
        "link_error_p50": percentile(errors, 50), "link_error_p95": percentile(errors, 95),
        "declared": any(each.declared for each in outcome.requests),
    }  # fmt: skip
    cloud = [host["node"] for host in served.hosts if host["node"].startswith("cloud")]
    folder.table("metrics", tables.METRICS).append(row | summary(outcome, cloud=cloud) | more)
