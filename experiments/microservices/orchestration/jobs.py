# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: for each seed, measure the links, learn on the queueing model, then serve over the network."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgelam import cosim
from edgelam.agents.ppo import NodePolicy
from edgelam.agents.robust import Demand as Behaviour
from edgelam.agents.robust import Trained, Training, tensors, train
from edgelam.inference import Computing, Dispatcher, Request, Serving, Task, drawn
from edgelam.inference.calibration import Line, Links, Taken, fit, probed
from edgelam.inference.deployment import genetic
from edgelam.inference.deployment.replicated import spread
from edgelam.inference.metrics import percentile
from edgelam.inference.problem import Demand, Problem, problem_of
from edgelam.inference.profile import mean, profile
from edgelam.inference.records import RequestRecord
from edgelam.inference.routing import RULES, Knowledge, Learned, LeastExpectedDelay, Planned, Rule
from edgelam.inference.routing_model import Places, Routed, Tables, View, replayed
from edgelam.inference.serving import Outcome
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from ..config import Config
from ..serving import declared, tables
from ..serving.settings import ServingSettings
from ..serving.workload import KINDS, Workload, tasks
from . import needs
from .settings import LEARNED, Method, OrchestrationSettings, Shift

PROBES = (500, 5_000, 60_000)
"""Bytes of the probes from which the links are fitted."""
FOLLOWED_S = 0.1
"""How often the router is told at which gNB each user is. The network knows it; it costs nothing here."""
DEMAND = {"driving": 2.5, "robotics": 1.5, "healthcare": 0.3, "assistant": 0.6}
"""Factors of the shift ``demand``; 2.5 and 0.3 are outside the default box of the adversaries."""
CASE = {"method": str, "shift": str, "charged": bool, "seed": int}
SCORES = CASE | {
    "requests": int, "completed": int, "on_time_ratio": float, "e2e_mean_s": float, "e2e_p95_s": float,
    "decision_mean_s": float, "model_mean_s": float, "model_error_p50": float, "model_error_p95": float,
}  # fmt: skip
"""One row a simulation. The model's numbers are those of the queueing model for the requests that were answered, as
they were routed, without the decision: their mean latency, and |model / taken - 1|."""
CURVES = {"method": str, "seed": int, "iteration": int, "calls": int, "updates": int, "cost": float, "on_time": float}
TRAINING = {"method": str, "seed": int, "adversary_calls": int, "operations": int, "load": float}


@dataclasses.dataclass(frozen=True)
class _World:
    """What all simulations of a seed share."""

    seed: int
    load: Workload
    computing: Computing
    problem: Problem
    places: Places
    replicas: dict[str, list[str]]
    trained: dict[str, Trained]


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    settings, computing = config.orchestration, Computing()
    cases = [
        (shift, method, charged)
        for shift, method, charged in itertools.product(settings.shifts, settings.methods, (True, False))
        if charged or method in settings.uncharged
    ]
    seeds = range(config.seed, config.seed + settings.num_seeds)
    progress.begin("routers", len(seeds) * (1 + len(cases)), "simulations")
    done = itertools.count(1)
    for seed in seeds:
        world = _world(config, seed, computing, folder)
        progress.step(next(done))
        for shift, method, charged in cases:
            _simulate(config, world, folder, shift=shift, method=method, charged=charged)
            progress.step(next(done))


def _world(config: Config, seed: int, computing: Computing, folder: RunFolder) -> _World:
    """Measure the network, place services, and learn."""
    settings, load = config.orchestration, declared.make(seed)

    async def main(sim: cosim.Simulation) -> tuple[Problem, Places]:
        return await _measured(sim, config, load, computing)

    label = f"calibration, seed {seed}"
    problem, places = config.network.simulate(main, needs(config), folder, label, seed=seed)
    problem.check()
    replicas = spread(problem, settings.replicas)
    known = Tables(problem, replicas, places)
    behaviour = Behaviour(settings.moves_per_s, settings.report_every_s)
    trained: dict[str, Trained] = {}
    for method in LEARNED:
        if method not in settings.methods:
            continue
        training = Training(iterations=settings.iterations)
        if method == "robust":
            training = dataclasses.replace(training, radius=settings.radius, adversaries=settings.adversaries)
        trained[method] = train(known, behaviour, training, seed)
        for point in trained[method].curve:
            folder.table("curves", CURVES).append({"method": method, "seed": seed} | point)
        folder.table("training", TRAINING).append(
            {
                "method": method, "seed": seed, "adversary_calls": trained[method].adversary_calls,
                "operations": trained[method].policy.operations(len(problem.nodes)),
                "load": float(problem.demand.min(axis=1).sum() / len(problem.nodes)),
            }
        )  # fmt: skip
    return _World(seed, load, computing, problem, places, replicas, trained)


async def _measured(
    sim: cosim.Simulation, config: Config, load: Workload, computing: Computing
) -> tuple[Problem, Places]:  # fmt: skip
    """Return the problem, and a place for each edge server that is the nearest one of users at a gNB.

    A user's way to a node is the way over the air to the nearest edge server, the mean over all users, and the way
    from there over the wires.
    """
    users, hosts = _users(sim, config), _hosts(sim)
    wires = await probed(sim, [(a, b) for a in hosts for b in hosts if a != b], PROBES, times=1)
    up: list[Taken] = []
    down: list[Taken] = []
    at: dict[str, int] = {}
    edges = [name for name in hosts if sim.node(name).role == "edge"]
    for user in users:
        near = int((await sim.observable("nearest_edge").read()).value[int(user.removeprefix("ue"))])
        at[user] = max(near, 0)
        up += await probed(sim, [(user, edges[at[user]])], PROBES, times=1)
        down += await probed(sim, [(edges[at[user]], user)], PROBES, times=1)
    roles = {node.name: node.role for node in sim.nodes.values()}
    links = fit(wires, roles)
    ways = [_ways(fit(air, roles).of_all, links, edges, hosts, back=back) for air, back in ((up, False), (down, True))]
    places = Places(ways[0][0], ways[0][1], ways[1][0], ways[1][1], at)
    demand = [
        Demand(user, task.graph, task.arrivals.mean_rate, task.deadline_s)
        for user, mine in _tasks(config.orchestration, users, load, "none").items()
        for task in mine
    ]
    profiles = {
        name: mean(profile(load.graphs[name], load.services, computing, sample) for sample, _ in load.samples[name][:4])
        for name in dict.fromkeys(each.graph for each in demand)
    }
    problem = problem_of(sim, load.services, profiles, demand, links, hosts=hosts, most_utilisation=1.0)
    rows = [at[flow.user] for flow in problem.flows]
    return dataclasses.replace(
        problem, up_latency_s=places.up_latency_s[rows], up_byte_s=places.up_byte_s[rows],
        down_latency_s=places.down_latency_s[rows], down_byte_s=places.down_byte_s[rows],
    ), places  # fmt: skip


def _ways(air: Line, links: Links, edges: list[str], hosts: list[str], *, back: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return latencies and seconds per byte between users at each edge server's place and each host, [P, N]."""
    lines = [[links.line(*((host, edge) if back else (edge, host))) for host in hosts] for edge in edges]
    return (
        np.array([[air.latency_s + line.latency_s for line in row] for row in lines]),
        np.array([[air.byte_s + line.byte_s for line in row] for row in lines]),
    )


def _users(sim: cosim.Simulation, config: Config) -> list[str]:
    return [node.name for node in needs(config).nodes(sim)[0]]


def _hosts(sim: cosim.Simulation) -> list[str]:
    return [node.name for node in sim.nodes.values() if node.role in ("edge", "cloud")]


def _tasks(settings: OrchestrationSettings, users: list[str], load: Workload, shift: Shift) -> dict[str, list[Task]]:
    """Return user -> tasks, with the demand of a shift."""
    found = {}
    for i, user in enumerate(users):
        factor = DEMAND[list(KINDS)[i % len(KINDS)]] if shift in ("demand", "both") else 1.0
        found[user] = tasks(ServingSettings(load=settings.load * factor), users, load)[user]
    return found


def _simulate(
    config: Config, world: _World, folder: RunFolder, *, shift: Shift, method: Method, charged: bool
) -> None:  # fmt: skip
    settings, network = config.orchestration, config.network
    if shift in ("crowd", "both"):
        network = dataclasses.replace(
            network, options=(*(o for o in network.options if not o.startswith("mobility=")),
                              f"mobilityFile={_crowd(folder.path, settings.num_users)}"),
        )  # fmt: skip

    where: list[tuple[float, dict[str, int]]] = []

    async def main(sim: cosim.Simulation) -> Outcome:
        users = _users(sim, config)
        near = dict(world.places.home)
        where.append((0.0, dict(near)))
        router = next(name for name in _hosts(sim) if sim.node(name).role == "edge")
        dispatcher = Dispatcher(node=router if charged else None, report_every_s=settings.report_every_s)
        serving = Serving(sim, world.load.services, world.load.graphs, computing=world.computing, dispatcher=dispatcher)
        dispatcher.rule = _rule(method, world, dispatcher, near)
        serving.deploy(world.replicas)
        asked: list[Request] = drawn(
            _tasks(settings, users, world.load, shift), settings.duration_s, world.seed, settings.max_requests
        )
        async with _following(sim, users, near, where):
            outcome = await serving.serve(asked)
        await serving.close()
        return outcome

    label = f"{method}, {shift}, {'charged' if charged else 'free'}, seed {world.seed}"
    outcome = network.simulate(main, needs(config), folder, label, seed=world.seed)
    row = {"method": method, "shift": shift, "charged": charged, "seed": world.seed}
    rows = outcome.requests
    done = [each.e2e_s for each in rows if each.status == "complete"]
    by_model, errors = _by_model(world, outcome, where)
    tables.write_records(
        folder, "requests", RequestRecord, [row | tables.plain(each) for each in rows], {"shift": str, "charged": bool}
    )  # fmt: skip
    folder.table("scores", SCORES).append(
        row | {
            "requests": len(rows), "completed": len(done),
            "on_time_ratio": sum(each.on_time for each in rows) / max(len(rows), 1),
            "e2e_mean_s": float(np.mean(done)) if done else None, "e2e_p95_s": percentile(np.array(done), 95),
            "decision_mean_s": float(np.mean([each.decision_s for each in rows])) if rows else None,
            "model_mean_s": float(np.mean(by_model)) if len(by_model) else None,
            "model_error_p50": percentile(errors, 50), "model_error_p95": percentile(errors, 95),
        }
    )  # fmt: skip


def _by_model(
    world: _World, outcome: Outcome, where: Sequence[tuple[float, dict[str, int]]]
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the seconds that the model says requests took after the decision, and its errors, [answered requests]."""
    problem = world.problem
    flows = {(flow.user, flow.graph): f for f, flow in enumerate(problem.flows)}
    at = {(call.request, call.service): problem.nodes.index(call.node) for call in outcome.calls}
    times = [time_s for time_s, _ in where]
    routed, taken = [], []
    for each in sorted(outcome.requests, key=lambda each: (each.arrive_s + each.decision_s, each.request)):
        if each.status != "complete":
            continue
        begin_s, f = outcome.begin_s + each.arrive_s + each.decision_s, flows[each.user, each.graph]
        place = where[max(bisect.bisect_right(times, begin_s) - 1, 0)][1][each.user]
        nodes = tuple(at[each.request, problem.services[s]] for s in problem.flows[f].calls)
        routed.append(Routed(begin_s, f, place, nodes))
        taken.append(each.e2e_s - each.decision_s)
    found = replayed(Tables(problem, world.replicas, world.places), routed)
    return found, np.abs(found / np.array(taken) - 1)


def _rule(method: Method, world: _World, dispatcher: Dispatcher, near: Mapping[str, int]) -> Rule:
    """Return a method's rule, new for each simulation."""
    known = Tables(world.problem, world.replicas, world.places)
    knowledge = Knowledge(known, dispatcher.queues, near.__getitem__)
    if method in world.trained:
        policy = world.trained[method].policy
        return Learned(knowledge, _chooser(policy), policy.operations(len(world.problem.nodes)))
    if method == "prop-avg":
        return LeastExpectedDelay(knowledge)
    if method == "genetic":
        return Planned(genetic.solve(world.problem, seed=world.seed, replicas=world.replicas).routes(world.problem))
    return RULES["load-balanced-round-robin" if method == "lbrr" else method]()


def _chooser(policy: NodePolicy) -> Any:
    def choose(view: View) -> int:
        with torch.no_grad():
            return int(policy.logits(*tensors(view))[0].argmax())

    return choose


@contextlib.asynccontextmanager
async def _following(
    sim: cosim.Simulation, users: list[str], near: dict[str, int], where: list[tuple[float, dict[str, int]]]
) -> AsyncIterator[None]:  # fmt: skip
    """Keep `near` what the network knows of where users are, and note in `where` when it was what."""

    async def follow() -> None:
        async with sim.observable("nearest_edge").subscribe(FOLLOWED_S, aside=True) as readings:
            async for reading in readings:
                for user in users:
                    edge = int(reading.value[int(user.removeprefix("ue"))])
                    near[user] = edge if edge >= 0 else near[user]
                where.append((sim.now_s, dict(near)))

    task = asyncio.create_task(follow(), name="where users are")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _crowd(folder: Path, users: int) -> Path:
    """Write where a crowd stands: at the first gNB of nr-highway, side by side."""
    path = folder / "crowd.ns2"
    lines = [f"$node_({i}) set {axis}_ {place}\n" for i in range(users)
             for axis, place in (("X", 10 + 3 * i), ("Y", -1.875))]  # fmt: skip
    path.write_text("".join(lines))
    return path
