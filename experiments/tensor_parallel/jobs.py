# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: the learned curve, then each method over the network, everything written to the run folder."""

from __future__ import annotations

import itertools

from edgelam.bench import collectives
from edgelam.errors import OutOfDeviceMemory
from edgelam.output.progress import Progress
from edgelam.parallel.looped_model import train_alone
from edgelam.parallel.widths.from_looped import units_of
from edgelam.parallel.widths.planner import Decision
from edgelam.runs import RunFolder
from edgelam.runs.recording import SimulationRecorder

from . import encoding, faults, methods, tables
from .config import Config
from .data import CHARACTERS, batches_of
from .machines import devices_of


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names; tables go to `folder` as the run goes on."""
    if config.attacks:
        encoding.run(config, folder, progress)
        return
    if config.faults:
        faults.run(config, folder, progress)
        return
    if config.bench:
        tables.write_bench(
            folder, collectives.measure(scenarios=[config.network.scenario], ranks=config.num_devices[0])
        )
        return
    model = config.model
    looped = model.looped(len(CHARACTERS), methods.OWNER)
    seeds = range(config.seed, config.seed + config.num_seeds)
    curves: dict[int, list[float]] = {seed: [] for seed in seeds}
    if config.curve_steps:
        for seed in seeds:
            progress.say(f"learning {config.curve_steps} steps on one machine, seed {seed}")
            batches = batches_of(model.batch, model.length, seed)
            curves[seed] = train_alone(looped, batches, config.curve_steps, seed=seed)[1]
    cases = list(itertools.product(config.num_devices, seeds, config.methods))
    progress.begin("methods", len(cases), "simulations")
    for done, (num_devices, seed, method) in enumerate(cases, 1):
        _case(config, folder, {"method": method, "devices": num_devices, "seed": seed}, curves[seed])
        progress.step(done)


def _case(config: Config, folder: RunFolder, row: dict[str, str | int], curve: list[float]) -> None:
    """One method; row: its method, devices and seed, as in all tables."""
    model, method, num_devices, seed = config.model, str(row["method"]), int(row["devices"]), int(row["seed"])
    looped = model.looped(len(CHARACTERS), methods.OWNER)
    label = method
    label += f", {num_devices} devices" if len(config.num_devices) > 1 else ""
    label += f", seed {seed}" if config.num_seeds > 1 else ""
    decisions: list[Decision] = []
    case = methods.Case(
        config, looped, units_of(looped, model.batch, model.length, model.column_groups, num_devices),
        batches_of(model.batch, model.length, seed), method, num_devices, seed,
        devices_of(config, looped, num_devices, seed),
        SimulationRecorder(folder, label, row, facts=tables.FACTS), label, decisions.append,
        lambda reason: tables.write_refused(folder, row, reason, ran=True),
    )  # fmt: skip
    try:
        steps = methods.run(case)
    except OutOfDeviceMemory as error:
        tables.write_refused(folder, row, str(error), ran=False)
        return
    tables.write_steps(folder, row, steps, curve)
    tables.write_decisions(folder, row, decisions, steps)
