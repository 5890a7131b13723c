# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: for each seed and load, calibrate, place by each method, and serve over ns-3."""

from __future__ import annotations

import itertools
from typing import Any

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Dispatcher, Serving, drawn
from edgelam.inference.calibration import Links, fit, of_moves, probed
from edgelam.inference.deployment import SOLVERS
from edgelam.inference.metrics import percentile, summary
from edgelam.inference.problem import Demand, Plan, delay, problem_of
from edgelam.inference.profile import profile
from edgelam.inference.records import RequestRecord
from edgelam.inference.routing import Planned
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from ..config import Config
from ..serving.tables import plain, write_records
from . import cell, needs, workload

PROBES = (100_000, 1_000_000, 4_000_000)
"""Bytes of the probes; one device, which stands for all, and all servers exchange them."""
GAP, TREE = 1e-2, 100
"""Relative gap at which the exact solver stops here, and nodes of its tree after which it stops with a larger one."""
CASE: dict[str, type] = {"method": str, "load": float, "seed": int}
METRICS = CASE | {
    "requests": int, "completed": int, "on_time_ratio": float, "e2e_p50_s": float, "e2e_p95_s": float,
    "memory_bytes": int, "instances": int, "cost": float, "predicted_s": float, "gap": float, "link_error_p50": float,
    "link_error_p95": float, "declared": bool,
}  # fmt: skip


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    settings, computing = config.paper, Computing()
    seeds = range(config.seed, config.seed + config.serving.num_seeds)
    cases = list(itertools.product(settings.loads, settings.methods))
    progress.begin("the paper's setting", len(seeds) * (2 + len(cases)), "simulations")
    done = itertools.count(1)
    for seed in seeds:
        setting = workload.make(seed)
        cell.measure(setting, needs(config).roles["ue"], settings.requests_per_ms * 1e3, seed, folder)
        progress.step(next(done))
        links = config.network.simulate(_links, needs(config), folder, f"calibration, seed {seed}", seed=seed)
        progress.step(next(done))
        for load, method in cases:
            row = {"method": method, "load": load, "seed": seed}

            async def main(sim: cosim.Simulation, setting: workload.Setting = setting, row: dict[str, Any] = row,
                           links: Links = links) -> None:  # fmt: skip
                await _serve(sim, config, setting, row, computing=computing, links=links, folder=folder)

            config.network.simulate(main, needs(config), folder, f"{method}, load {load:g}, seed {seed}", seed=seed)
            progress.step(next(done))


async def _links(sim: cosim.Simulation) -> Links:
    devices, servers = (
        [node.name for node in sim.nodes.values() if node.role == role] for role in ("ue", "edge")
    )  # fmt: skip
    some = [*devices[:2], *servers[:2]]
    pairs = [(a, b) for a in some for b in some if a != b]
    return fit(await probed(sim, pairs, PROBES, times=1), {node.name: node.role for node in sim.nodes.values()})


async def _serve(
    sim: cosim.Simulation, config: Config, setting: workload.Setting, row: dict[str, Any], *, computing: Computing,
    links: Links, folder: RunFolder,
) -> None:  # fmt: skip
    users, hosts = [node.name for node in needs(config).nodes(sim)[0]], list(sim.nodes)
    tasks = setting.tasks(users, config.paper.requests_per_ms * 1e3 * row["load"])
    demand = [
        Demand(user, task.graph, task.arrivals.mean_rate, task.deadline_s) for user, mine in tasks.items()
        for task in mine
    ]  # fmt: skip
    profiles = {
        task.graph: profile(setting.graphs[task.graph], setting.services, computing, task.inputs(sim.rng("profile")))
        for mine in tasks.values()
        for task in mine
    }
    try:
        problem = problem_of(sim, setting.services, profiles, demand, links, hosts=hosts)
        plan = _plan(row["method"], problem, row["seed"])
    except ConfigurationError as error:
        folder.table("refused", CASE | {"reason": str}).append(row | {"reason": str(error)})
        return
    serving = Serving(
        sim, setting.services, setting.graphs, computing=computing, dispatcher=Dispatcher(Planned(plan.routes(problem)))
    )  # fmt: skip
    serving.deploy(plan.placement(problem))
    outcome = await serving.serve(drawn(tasks, config.paper.window_s, row["seed"]))
    await serving.close()
    rows = [row | plain(each) for each in outcome.requests]
    write_records(folder, "requests", RequestRecord, rows, {"load": float})
    errors = links.errors(of_moves(outcome.moves))
    numbers = {name: value for name, value in summary(outcome).items() if name in METRICS}
    more = {
        "predicted_s": delay(problem, plan), "gap": plan.gap, "link_error_p50": percentile(errors, 50),
        "link_error_p95": percentile(errors, 95), "declared": all(each.declared for each in outcome.requests),
    }  # fmt: skip
    folder.table("metrics", METRICS).append(row | numbers | more)


def _plan(method: str, problem: Any, seed: int) -> Plan:
    if method == "exact":
        from edgelam.inference.deployment import exact

        return exact.solve(problem, gap=GAP, most_nodes=TREE)
    return SOLVERS[method](problem, seed)
