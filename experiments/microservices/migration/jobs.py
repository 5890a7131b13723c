# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: for each seed and method, users talk while a policy moves their sessions; all that is measured."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.inference import Computing
from edgelam.inference.metrics import percentile
from edgelam.inference.migration import Control, Estimates, Hosting, VirtualQueues
from edgelam.inference.migration.policies import (
    Always,
    DriftPlusPenalty,
    FullKnowledge,
    Nearest,
    Never,
    Path,
    Policy,
    ThresholdMdp,
    best_path,
)
from edgelam.inference.migration.problem import RESOURCES
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from . import needs, tables
from .conversation import Conversations
from .settings import MigrationSettings

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation
    from edgelam.inference.migration.problem import SlotProblem

    from ..config import Config

SIMPLE: dict[str, type[Never] | type[Always] | type[Nearest] | type[ThresholdMdp] | type[DriftPlusPenalty]] = {
    "never": Never, "always": Always, "nearest": Nearest, "threshold-mdp": ThresholdMdp,
    "drift-plus-penalty": DriftPlusPenalty,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Method:
    """What is run: a policy, with a weight V of the penalty, and decisions that take time or not."""

    label: str
    policy: str
    v: float
    charge: bool


@dataclasses.dataclass(frozen=True)
class _Case:
    """One simulation to do."""

    config: Config
    conversations: Conversations
    computing: Computing
    method: _Method
    seed: int
    path: Path | None
    """Of full knowledge."""

    @property
    def row(self) -> dict[str, Any]:
        """Columns of all its rows."""
        method = self.method
        return {"method": method.label, "policy": method.policy, "seed": self.seed, "v": method.v,
                "charged": method.charge}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Ended:
    """What came of a simulation."""

    hosting: Hosting
    control: Control
    energy_j: float
    """Of all servers, while sessions were served."""
    idle_j: float
    handovers: int


def methods(settings: MigrationSettings) -> list[_Method]:
    """Return what is run for each seed, in order: never first, since full knowledge needs it."""
    order = sorted(settings.policies, key=lambda name: name != "never")
    found = [_Method(name, name, settings.v, settings.charge) for name in order]
    found += [_Method(f"drift-plus-penalty, V = {v:g}", "drift-plus-penalty", v, settings.charge)
              for v in settings.sweep]  # fmt: skip
    if settings.uncharged:
        found.append(_Method("drift-plus-penalty, free decisions", "drift-plus-penalty", settings.v, False))
    return found


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    settings = config.migration
    computing, conversations = Computing(), Conversations(settings)
    seeds = range(config.seed, config.seed + settings.num_seeds)
    every = methods(settings)
    progress.begin("methods", len(seeds) * len(every), "simulations")
    done = 0
    for seed in seeds:
        coming: list[SlotProblem] = []
        for method in every:
            path: Path | None = None
            if method.policy == "full-knowledge":
                path = best_path(coming, settings.budgets())
            case = _Case(config, conversations, computing, method, seed, path)
            ended = _simulate(case, folder)
            if method.policy == "never":
                coming = [record.problem for record in ended.control.records]
            _write(folder, case, ended)
            done += 1
            progress.step(done)


def _simulate(case: _Case, folder: RunFolder) -> _Ended:
    config, method = case.config, case.method

    async def main(sim: Simulation) -> _Ended:
        return await _serve(sim, case)

    label = method.label if config.migration.num_seeds == 1 else f"{method.label}, seed {case.seed}"
    return config.network.simulate(main, needs(config), folder, label, seed=case.seed)


async def _serve(sim: Simulation, case: _Case) -> _Ended:
    config, conversations, method = case.config, case.conversations, case.method
    policy: Policy = SIMPLE[method.policy]() if case.path is None else FullKnowledge(case.path)
    settings = config.migration
    users = [node.name for node in needs(config).nodes(sim)[0]]
    servers = sim.nodes_with_role("edge")
    hosting = Hosting(
        sim, conversations.service, computing=case.computing, spare=[node.name for node in servers],
        repository=next((node.name for node in sim.nodes.values() if node.role == "cloud"), None),
    )  # fmt: skip
    nearest = np.array((await sim.observable("nearest_edge").read()).value)
    for u, user in enumerate(users):
        hosting.begin(user, servers[max(int(nearest[u]), 0)].name, conversations.empty())
    estimates = Estimates(
        hosting, users, servers, slot_s=settings.slot_s, turns_a_slot=settings.slot_s / settings.turn_every_s
    )  # fmt: skip
    queues = VirtualQueues(settings.budgets(), method.v)
    decider = settings.decider or servers[-1].name
    control = Control(sim, hosting, estimates, policy, queues, at=decider, charge=method.charge)
    begin_s, begin_j = sim.now_s, sum(node.energy_j for node in servers)
    end_s = begin_s + settings.slots * settings.slot_s
    async with asyncio.TaskGroup() as group:
        for u, user in enumerate(users):
            group.create_task(_talk(hosting, conversations, user, u, end_s), name=f"{user} talks")
        group.create_task(control.run(settings.slots), name="migration")
        if settings.fail:
            group.create_task(_fail(hosting, settings), name=f"{settings.fail} fails")
    took_s = sim.now_s - begin_s
    energy_j = sum(node.energy_j for node in servers) - begin_j
    counts = np.array((await sim.observable("handover_counts").read()).value)
    await hosting.close()
    idle_j = took_s * sum(node.device.idle_w for node in servers)
    return _Ended(hosting, control, energy_j, idle_j, int(counts["handovers"][: len(users)].sum()))


async def _fail(hosting: Hosting, settings: MigrationSettings) -> None:
    await asyncio.sleep(settings.slots * settings.slot_s / 2)
    await hosting.fail(settings.fail)


async def _talk(hosting: Hosting, conversations: Conversations, user: str, number: int, end_s: float) -> None:
    """Have a user talk: a turn every `turn_every_s`, or when the answer to the one before is there."""
    sim, settings = hosting.sim, conversations.settings
    next_s = sim.now_s + settings.turn_every_s * number / settings.num_users
    turn = 0
    while next_s < end_s:
        await asyncio.sleep(max(next_s - sim.now_s, 0.0))
        if turn and turn % settings.session_turns == 0:
            await hosting.renew(user, conversations.empty())
        await hosting.turn(user, conversations.inputs(number, turn))
        turn += 1
        next_s = max(next_s + settings.turn_every_s, sim.now_s)


def _write(folder: RunFolder, case: _Case, ended: _Ended) -> None:
    row, hosting, control = case.row, ended.hosting, ended.control
    numbers: dict[str, int] = {}
    table = folder.table("turns", tables.TURNS)
    for turn in hosting.turns:
        numbers[turn.user] = numbers.get(turn.user, -1) + 1
        table.append(row | {"user_turn": numbers[turn.user]} | tables.plain(turn))
    table = folder.table("migrations", tables.MIGRATIONS)
    for move in hosting.moves:
        table.append(row | tables.plain(move))
    if case.config.migration.fail:
        table = folder.table("losses", tables.LOSSES)
        for loss in hosting.losses:
            table.append(row | tables.plain(loss))
    table = folder.table("slots", tables.SLOTS)
    for slot in control.records:
        plain = {name: getattr(slot, name) for name in tables.SLOT}
        used = {f"used_{name}": float(slot.uses[k]) for k, name in enumerate(RESOURCES)}
        waiting = {f"queue_{name}": float(slot.queues[k]) for k, name in enumerate(RESOURCES)}
        table.append(row | plain | used | waiting)
    folder.table("metrics", tables.METRICS).append(row | _numbers(ended) | _budgets(control) | _known(case.path))


def _numbers(ended: _Ended) -> dict[str, Any]:
    turns, moves = ended.hosting.turns, ended.hosting.moves
    latency_s = [each.latency_s for each in turns if not np.isnan(each.latency_s)]
    jitter_s = [each.jitter_s for each in turns if not np.isnan(each.jitter_s)]
    tokens = sum(each.tokens for each in turns)
    penalties = [each.penalty_s for each in ended.control.records if not np.isnan(each.penalty_s)]
    return {
        "turns": len(turns), "completed": sum(each.status == "complete" for each in turns),
        "latency_mean_s": _mean(latency_s), "latency_p95_s": percentile(latency_s, 95),
        "jitter_mean_s": _mean(jitter_s),
        "loss": sum(each.lost for each in turns) / tokens if tokens else np.nan,
        "lost_sessions": sum(each.status == "lost" for each in ended.hosting.losses),
        "prefilled_tokens": sum(each.prefilled_tokens for each in turns),
        "interruption_s": sum(each.interruption_s for each in moves),
        "interruption_longest_s": max((each.interruption_s for each in moves), default=0.0),
        "moves": sum(each.status == "complete" for each in moves),
        "failed_moves": sum(each.status != "complete" for each in moves),
        "state_bytes": sum(each.state_bytes for each in moves),
        "weight_bytes": sum(each.weight_bytes for each in moves),
        "migration_bytes": sum(each.state_bytes + each.weight_bytes for each in moves),
        "energy_j": ended.energy_j, "energy_above_idle_j": ended.energy_j - ended.idle_j,
        "penalty_s": _mean(penalties), "handovers": ended.handovers,
        "decided_s": _mean([each.decided_s for each in ended.control.records]),
        "operations": sum(each.operations for each in ended.control.records),
    }  # fmt: skip


def _budgets(control: Control) -> dict[str, float]:
    queues = control.queues
    ratios = np.array([record.uses for record in control.records]) / queues.budgets.values
    drift = float(np.nansum((ratios - 1) ** 2, axis=1).mean() / 2)
    found = {"drift_b": drift}
    for k, name in enumerate(RESOURCES):
        found[f"use_{name}"] = float(queues.mean_use[k])
        found[f"allowance_{name}"] = float(queues.allowance[k])
    return found


def _known(path: Path | None) -> dict[str, float]:
    return {} if path is None else {"path_penalty_s": path.penalty, "path_bound_s": path.bound}


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
