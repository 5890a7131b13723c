# SPDX-License-Identifier: GPL-2.0-only
"""How each method trains over the network. All begin with the same weights and see the same global batches."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from edgelam import cosim
from edgelam.cosim.devices import profile
from edgelam.learning import optimisers
from edgelam.learning.conversation import server_node
from edgelam.parallel import Job, looped
from edgelam.parallel.launch import launch
from edgelam.parallel.looped_costs import single_device_memory
from edgelam.parallel.looped_model import Batches, LoopedConfig, LoopedModel, loss_of
from edgelam.parallel.looped_records import PlanRecord, Record, StepRecord
from edgelam.parallel.widths.cell import Cell
from edgelam.parallel.widths.from_looped import Units
from edgelam.parallel.widths.planner import Decision, Planner
from edgelam.runs.rank_recording import RankRecorder
from edgelam.runs.recording import SimulationRecorder

from . import ranks
from .config import Config

OWNER = "ue0"
"""The device that owns the data, where the method does not spread them over the devices."""


@dataclass(frozen=True)
class Step:
    """One step over the network: simulated time at its beginning and end, and its loss (nats)."""

    start_s: float
    end_s: float
    loss: float


@dataclass(frozen=True)
class Case:
    """One method in one simulation."""

    config: Config
    looped: LoopedConfig
    units: Units
    batches: Batches
    method: str
    num_devices: int
    seed: int
    devices: Mapping[str, str]
    recorder: SimulationRecorder
    label: str
    decided: Callable[[Decision], object]
    doubted: Callable[[str], object]
    """Is told why a method that runs would not fit the devices' memory."""

    def simulate(self, main: Callable[[cosim.Simulation], object], **settings: object) -> object:
        """Run `main(sim)` over the network of this case, recorded."""
        return _network(self)(main, **settings)


def _network(case: Case) -> functools.partial[object]:
    network = case.config.network
    return functools.partial(
        network.simulate, needs=case.config.needs_for(case.num_devices), folder=case.recorder.folder, label=case.label,
        seed=case.seed, recorder=case.recorder,
    )  # fmt: skip


def _profiles(case: Case) -> dict[str, str]:
    return {**case.devices, **case.config.network.device_profiles()}


def run(case: Case) -> list[Step]:
    """The steps of one method. Raises OutOfDeviceMemory, with both numbers, where it fits the devices in no way."""
    if case.method.startswith("tp-"):
        return tensor_parallel(case)
    return {"edge-server": edge_server, "ddp": data_parallel, "pipeline": pipeline}[case.method](case)


def tensor_parallel(case: Case) -> list[Step]:
    """Looped tensor parallelism with the widths and shares of a rule."""
    config = case.config
    rule = case.method.removeprefix("tp-")
    charge = rule != "free-decision"
    steps: list[Step] = []

    def report(record: Record) -> None:
        if isinstance(record, StepRecord):
            steps.append(Step(record.start_s, record.end_s, record.loss))
        elif isinstance(record, PlanRecord):
            case.recorder.ledger.note(record.device, heads=record.heads, columns=record.columns)

    async def main(sim: cosim.Simulation) -> None:
        cell = Cell(sim, server_node(sim), config.probe_bytes)
        planner = Planner(
            sim, cell, case.units, rule if charge else "optimised", enforcement=config.enforcement, charge=charge,
            told=case.decided,
        )  # fmt: skip
        async with cell.following():
            await looped.train(
                sim, case.looped, case.batches, config.steps, planner=planner, replan_every=config.replan_every,
                report=report,
            )  # fmt: skip

    case.simulate(main, devices=_profiles(case))
    return steps


def edge_server(case: Case) -> list[Step]:
    """The owner uploads raw input and labels of each batch, and the server trains the whole model."""
    model_config, steps = case.looped, []
    model = LoopedModel(model_config, case.seed)
    optimiser = optimisers.make("adamw", model.parameters(), model_config.learning_rate)

    async def main(sim: cosim.Simulation) -> None:
        owner, server = sim.node(OWNER), server_node(sim)
        shape = case.batches(0).shape
        server.memory.allocate("training", single_device_memory(model_config, *shape).total)
        for number in range(case.config.steps):
            start_s, batch = sim.now_s, case.batches(number)
            raw = {"inputs": batch.inputs.int(), "labels": batch.labels.int()}
            sending = asyncio.create_task(owner.send(server, raw, tag="data"))
            data = (await server.receive(owner, tag="data")).data
            async with server.compute("step", key=(model_config, shape)):
                optimiser.zero_grad()
                loss = loss_of(model(data["inputs"].long()), data["labels"].long())
                loss.backward()
                optimiser.step()
            # the owner hears that the step is done, as devices of the other methods do
            done = asyncio.create_task(server.send(owner, torch.zeros(1), tag="done"))
            await owner.receive(server, tag="done")
            await asyncio.gather(sending, done)
            steps.append(Step(start_s, sim.now_s, float(loss.detach())))

    case.simulate(main, devices=_profiles(case))
    return steps


def data_parallel(case: Case) -> list[Step]:
    """DistributedDataParallel with a rank on each device."""
    rows = math.ceil(case.config.model.batch / case.num_devices)
    needed = single_device_memory(case.looped, rows, case.config.model.length).total
    names = [f"ue{k}" for k in range(case.num_devices)]
    _doubt(case, dict.fromkeys(names, needed), f"the whole model with {rows} of the sequences")
    batches = [case.batches(step) for step in range(case.config.steps)]
    return _ranks(case, names, ranks.data_parallel, case.looped, batches, case.seed)


def pipeline(case: Case) -> list[Step]:
    """GPipe with a stage on each device, as far as there are loops."""
    model = case.config.model
    stages = min(case.num_devices, case.looped.loops)
    names = [f"ue{k}" for k in range(stages)]
    whole = single_device_memory(case.looped, model.batch, model.length)
    # a copy of the block, and the activations of its loops; the embedding and the head are in one stage each
    part = math.ceil(case.looped.loops / stages) / case.looped.loops
    fixed = whole.weights + whole.gradients + whole.optimiser
    needed = int(fixed + part * whole.activations + whole.buffers)
    _doubt(case, dict.fromkeys(names, needed), f"one of {stages} stages")
    batches = [case.batches(step) for step in range(case.config.steps)]
    microbatches = max(n for n in range(1, min(model.batch, stages) + 1) if model.batch % n == 0)
    return _ranks(case, names, ranks.pipeline, case.looped, batches, case.seed, microbatches)


def _doubt(case: Case, needed: Mapping[str, int], what: str) -> None:
    """Note what each rank needs, and that the method does not fit, if so: it runs all the same, for its time."""
    short = []
    for name, num_bytes in needed.items():
        have = profile(case.devices[name]).memory_bytes
        if num_bytes > have:
            short.append(f"{name}: {what} needs {num_bytes:,} bytes, and {have:,} bytes are free")
        case.recorder.ledger.note(name, peak_memory_bytes=num_bytes)
    if short:
        case.doubted("; ".join(short))


def _ranks(case: Case, names: list[str], function: Callable[..., list[ranks.Step]], *arguments: object) -> list[Step]:
    job = Job(tuple(names), devices=_profiles(case), compute=case.config.network.compute, clock="simulated",
              algorithm=case.config.algorithm)  # fmt: skip
    found = launch(
        function, *arguments, job=job, simulate=_network(case), on_record=RankRecorder(case.recorder).record
    )  # fmt: skip
    ends = [max(rank[step][0] for rank in found) for step in range(case.config.steps + 1)]
    losses = []
    for step in range(1, case.config.steps + 1):
        known = [rank[step][1] for rank in found if not math.isnan(rank[step][1])]
        losses.append(sum(known) / len(known))
    return [Step(a, b, loss) for a, b, loss in zip(ends[:-1], ends[1:], losses, strict=True)]
