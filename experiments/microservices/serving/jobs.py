# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: for each seed, calibrate; for each method, decide, deploy, serve; all written to the run folder."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Dispatcher, Graph, Request, Service, Serving, recovery, unshared
from edgelam.inference.calibration import Links, fit, of_moves, probed
from edgelam.inference.deployment import SOLVERS, monolithic
from edgelam.inference.metrics import percentile, summary
from edgelam.inference.planner import Decision, decide
from edgelam.inference.problem import Plan, Problem, delay, flow_delay
from edgelam.inference.records import RequestRecord
from edgelam.inference.routing import Planned
from edgelam.inference.serving import Outcome
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from ..config import Config
from . import declared, demand, multimodal, needs, tables, workload
from .settings import Method

PROBES = (500, 5_000, 60_000)
"""Bytes of the probes from which the links are calibrated."""


@dataclasses.dataclass(frozen=True)
class _Case:
    """One simulation to do: a method, with the services and graphs that it serves."""

    config: Config
    method: Method
    seed: int
    load: workload.Workload
    computing: Computing
    links: Links
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
    hosts: list[dict[str, Any]]


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    computing, loads = prepared(config)
    settings = config.serving
    seeds = list(loads)
    progress.begin("methods", len(seeds) * (1 + len(settings.methods)), "simulations")
    done = itertools.count(1)
    for seed, load in loads.items():
        links = calibrated(config, seed, folder)
        progress.step(next(done))
        for method in settings.methods:
            services, graphs = load.services, load.graphs
            if method == "monolithic":
                services, graphs = unshared(services, graphs)
            _simulate(_Case(config, method, seed, load, computing, links, services, graphs), folder)
            progress.step(next(done))


@functools.lru_cache(maxsize=1)
def prepared(config: Config) -> tuple[Computing, dict[int, workload.Workload]]:
    """Return what computes, and the workload of each seed; `check` has used them already, and `run` goes on."""
    make = declared.make if config.serving.workload == "declared" else multimodal.make
    seeds = range(config.seed, config.seed + config.serving.num_seeds)
    return Computing(), {seed: make(seed) for seed in seeds}


def _label(config: Config, what: str, seed: int) -> str:
    return what if config.serving.num_seeds == 1 else f"{what}, seed {seed}"


def calibrated(config: Config, seed: int, folder: RunFolder) -> Links:
    """Send probes over the network of a seed, in a simulation of their own, and return how long transfers take."""

    async def main(sim: cosim.Simulation) -> Links:
        users, hosts = demand.users_of(sim, config), demand.hosts_of(sim)
        pairs = [(a, b) for a in (*users, *hosts) for b in (*users, *hosts) if a != b and not {a, b} <= set(users)]
        roles = {node.name: node.role for node in sim.nodes.values()}
        return fit(await probed(sim, pairs, PROBES, times=1), roles)

    return config.network.simulate(main, needs(config), folder, _label(config, "calibration", seed), seed=seed)


def _simulate(case: _Case, folder: RunFolder) -> None:
    config = case.config
    refused: list[str] = []

    async def main(sim: cosim.Simulation) -> _Served | None:
        return await _serve(sim, case, refused)

    label = _label(config, case.method, case.seed)
    served = config.network.simulate(main, needs(config), folder, label, seed=case.seed)
    if served is None:
        folder.table("refused", tables.REFUSED).append(case.row | {"reason": refused[0]})
    else:
        _write(folder, case, served)


async def _serve(sim: cosim.Simulation, case: _Case, refused: list[str]) -> _Served | None:
    """Decide, deploy, serve; if there is no plan, append the reason to `refused`, and return None."""
    config, settings = case.config, case.config.serving
    users, hosts = demand.users_of(sim, config), demand.hosts_of(sim)
    cloud = demand.cloud_of(sim)
    serving = Serving(
        sim, case.services, case.graphs, computing=case.computing, dispatcher=Dispatcher(Planned({})),
        repository=cloud, recover=lambda node: recovery.lost(serving, hosts, node),
    )  # fmt: skip
    try:
        problem = demand.problem(
            sim, config, case.load, services=case.services, graphs=case.graphs, computing=case.computing,
            links=case.links,
        )  # fmt: skip
        decision = await decide(
            serving, hosts[0], hosts, lambda: problem, lambda given: _plan(case.method, given, case.seed, cloud),
            charge=settings.charge,
        )  # fmt: skip
    except ConfigurationError as error:
        refused.append(str(error))
        return None
    serving.deploy(decision.plan.placement(problem), cold=settings.cold)
    serving.dispatcher.rule = Planned(decision.plan.routes(problem))
    asked = workload.requests(settings, users, case.load, case.seed)
    before = {name: (sim.node(name).busy_s, sim.node(name).energy_j) for name in hosts}
    failures = {settings.fail: workload.middle_s(settings, asked)} if settings.fail else None
    outcome = await serving.serve(asked, failures=failures)
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
    return _Served(asked, outcome, decision, rows)


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
    errors = case.links.errors(of_moves(outcome.moves))
    model_errors = _model_errors(decision, outcome)
    known = [value for value in worth.values() if value is not None]
    more = {
        "e2e_mean_s": float(np.mean(done)) if done else None,
        "energy_j": sum(host["energy_j"] for host in served.hosts),
        "quality": float(np.mean(known)) if known else None,
        "predicted_s": delay(decision.problem, decision.plan),
        "model_error_p50": percentile(model_errors, 50), "model_error_p95": percentile(model_errors, 95),
        "link_error_p50": percentile(errors, 50), "link_error_p95": percentile(errors, 95),
        "declared": any(each.declared for each in outcome.requests),
    }  # fmt: skip
    cloud = [host["node"] for host in served.hosts if host["node"].startswith("cloud")]
    folder.table("metrics", tables.METRICS).append(row | summary(outcome, cloud=cloud) | more)


def _model_errors(decision: Decision, outcome: Outcome) -> list[float]:
    """Return |predicted / taken - 1| of the latency of each request that was answered."""
    problem, plan = decision.problem, decision.plan
    predicted = {
        (flow.user, flow.graph): flow_delay(problem, f, at)
        for f, (flow, at) in enumerate(zip(problem.flows, plan.at, strict=True))
    }
    return [
        abs(predicted[each.user, each.graph] / each.e2e_s - 1)
        for each in outcome.requests
        if each.status == "complete" and each.e2e_s > 0
    ]
