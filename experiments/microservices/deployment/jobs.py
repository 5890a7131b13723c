# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: train, compare on the model, and score by ns-3, with and without what deciding costs.

Requests begin to come when the decision begins. Those that come before the services are where the plan wants them wait,
and this is part of their latency.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Dispatcher, Serving
from edgelam.inference.calibration import Links, of_moves
from edgelam.inference.metrics import percentile, summary
from edgelam.inference.planner import Decision, decide
from edgelam.inference.problem import delay
from edgelam.inference.records import RequestRecord
from edgelam.inference.routing import Planned
from edgelam.inference.serving import Outcome
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from ..config import Config
from ..serving import declared, demand, workload
from ..serving.jobs import calibrated
from ..serving.tables import plain, write_records
from . import needs, tables, training


@dataclasses.dataclass(frozen=True)
class _Case:
    """One simulation to do."""

    config: Config
    method: str
    solve: training.Solve
    charge: bool
    seed: int
    load: workload.Workload
    computing: Computing
    links: Links

    @property
    def row(self) -> dict[str, Any]:
        """Columns of all its rows."""
        return {"method": self.method, "charge": self.charge, "seed": self.seed}

    @property
    def label(self) -> str:
        return f"{self.method}, {'charged' if self.charge else 'free'}, seed {self.seed}"


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # small networks: more threads take longer, and another sum of rounding errors
    try:
        methods = training.solvers(config, folder, progress)
        training.compare(config, methods, folder, progress)
    finally:
        torch.set_num_threads(before)
    computing = Computing()
    seeds = range(config.seed, config.seed + config.serving.num_seeds)
    progress.begin("scores", len(seeds) * (1 + 2 * len(methods)), "simulations")
    done = itertools.count(1)
    for seed in seeds:
        load = declared.make(seed)
        links = calibrated(config, seed, folder)
        progress.step(next(done))
        for (method, solve), charge in itertools.product(methods.items(), (True, False)):
            _simulate(_Case(config, method, solve, charge, seed, load, computing, links), folder)
            progress.step(next(done))


def _simulate(case: _Case, folder: RunFolder) -> None:
    config = case.config

    async def main(sim: cosim.Simulation) -> tuple[Outcome, Decision] | str:
        return await _serve(sim, case)

    found = config.network.simulate(main, needs(config), folder, case.label, seed=case.seed)
    if isinstance(found, str):
        folder.table("refused", tables.REFUSED).append(case.row | {"reason": found})
    else:
        _write(folder, case, *found)


async def _serve(sim: cosim.Simulation, case: _Case) -> tuple[Outcome, Decision] | str:
    """Decide, deploy, serve; without a plan, return why there is none."""
    config = case.config
    hosts = demand.hosts_of(sim)
    serving = Serving(
        sim, case.load.services, case.load.graphs, computing=case.computing, dispatcher=Dispatcher(Planned({}))
    )  # fmt: skip
    problem = demand.problem(
        sim, config, case.load, services=case.load.services, graphs=case.load.graphs, computing=case.computing,
        links=case.links,
    )  # fmt: skip
    begin_ns = sim.now_ns
    try:
        decision = await decide(
            serving, hosts[0], hosts, lambda: problem, lambda given: case.solve(given, case.seed), charge=case.charge
        )
    except ConfigurationError as error:
        return str(error)
    serving.deploy(decision.plan.placement(problem))
    serving.dispatcher.rule = Planned(decision.plan.routes(problem))
    asked = workload.requests(config.serving, demand.users_of(sim, config), case.load, case.seed)
    outcome = await serving.serve(asked, begin_ns=begin_ns)
    await serving.close()
    return outcome, decision


def _write(folder: RunFolder, case: _Case, outcome: Outcome, decision: Decision) -> None:
    rows = [case.row | plain(each) for each in outcome.requests]
    write_records(folder, "requests", RequestRecord, rows, {"charge": bool})
    errors = case.links.errors(of_moves(outcome.moves))
    numbers = summary(outcome)
    folder.table("metrics", tables.METRICS).append(
        case.row
        | {name: value for name, value in numbers.items() if name in tables.METRICS}
        | {
            "e2e_mean_s": float(np.mean([each.e2e_s for each in outcome.requests if each.status == "complete"])),
            "predicted_s": delay(decision.problem, decision.plan),
            "collected_s": decision.measured_s - decision.start_s,
            "decided_s": decision.end_s - decision.start_s,
            "operations": decision.operations,
            "gap": decision.plan.gap,
            "link_error_p50": percentile(errors, 50),
            "link_error_p95": percentile(errors, 95),
            "declared": any(each.declared for each in outcome.requests),
        }
    )
