# SPDX-License-Identifier: GPL-2.0-only
"""Faults of a device while looped tensor parallelism trains: recipe `faults`.

Each fault is a simulation of its own: the same training over the same cell, until a step is over and something happens
to the device with the largest share (not to the owner of the data, whom nobody can replace). The others plan anew and
go on from the last consistent step. What the fault has cost is a row of table `faults`; every step that was done, also
those whose result was lost, is a row of table `fault_steps`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from edgelam import cosim
from edgelam.cosim.work import Work
from edgelam.learning.conversation import server_node
from edgelam.output.progress import Progress
from edgelam.parallel import looped
from edgelam.parallel.looped_fleet import Fleet
from edgelam.parallel.looped_model import train_alone
from edgelam.parallel.looped_records import DepartureRecord, PlanRecord, Record, StepRecord
from edgelam.parallel.widths.cell import Cell
from edgelam.parallel.widths.from_looped import units_of
from edgelam.parallel.widths.planner import Planner
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.runs import RunFolder
from edgelam.runs.network import Network
from edgelam.runs.recording import SimulationRecorder

from . import tables
from .config import Config, Fault
from .data import CHARACTERS, batches_of
from .machines import devices_of
from .methods import OWNER

OTHER_WORK_S = 0.1
"""How long each piece of the other program's work takes that makes a device a straggler."""
DRIVE_MPS, AREA_M, STAND_M = 150.0, 5000, (30.0, 120.0)
"""Of fault coverage: how fast a device drives off, how far it could, and how far from the gNB all stand before."""
SMALL_CELL = ("uePower=3", "los=Never")
"""With 3 dBm and without line of sight, a device is out of coverage after a few seconds on its way."""


@dataclass
class Scene:
    """One training, and what is known of it."""

    sim: cosim.Simulation
    fleet: Fleet
    hit_after: int
    """The step after which the fault happens."""
    patience_s: float
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    hit_s: float = float("nan")
    plans: list[PlanRecord] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    departures: list[DepartureRecord] = field(default_factory=list)
    device: str = ""
    """The one to which it happens."""

    def report(self, record: Record) -> None:
        """Keep a record; when the step is over the first time, the fault happens."""
        match record:
            case PlanRecord():
                self.plans.append(record)
            case DepartureRecord():
                self.departures.append(record)
            case StepRecord():
                self.steps.append(record)
                if record.step == self.hit_after and not self.hit.is_set():
                    self.hit_s, self.device = self.sim.now_s, self._largest()
                    self.hit.set()

    def _largest(self) -> str:
        last = [plan for plan in self.plans if plan.time_s == self.plans[-1].time_s and plan.device != OWNER]
        return max(last, key=lambda plan: (plan.heads + plan.columns, plan.device)).device if last else OWNER


async def _nothing(scene: Scene) -> None:
    """The device goes on as before."""


async def _leave(scene: Scene) -> None:
    """It says that it leaves, hands over its shard, and goes."""
    scene.fleet.leave(scene.device)


async def _stop(scene: Scene) -> None:
    """Its program ends where it is."""
    scene.fleet.crash(scene.device, "its program ended")


async def _silence(scene: Scene) -> None:
    """A control of the scenario takes all resource blocks from it: nothing comes through in either direction."""
    ues = [node.name for node in scene.sim.nodes.values() if node.role == "ue"]
    prbs = int(np.ravel((await scene.sim.observable("cell").read()).value["prbs"])[0])
    caps = np.full((2, len(ues)), prbs, np.uint32)
    caps[:, ues.index(scene.device)] = 0
    await scene.sim.control("prb_cap").set(caps)


async def _drive_off(scene: Scene) -> None:
    """It drives away from the gNB, out of coverage."""
    ues = [node.name for node in scene.sim.nodes.values() if node.role == "ue"]
    places = (await scene.sim.observable("ue_position").read()).value
    velocities, away = np.zeros_like(places), places[ues.index(scene.device), :2]
    velocities[ues.index(scene.device), :2] = DRIVE_MPS * away / np.hypot(*away)
    await scene.sim.control("ue_velocity").set(velocities)


async def _other_work(scene: Scene, piece_s: float = OTHER_WORK_S) -> None:
    """From now on another program takes its processor again and again: training waits for its turn."""
    node = scene.sim.node(scene.device)
    work = Work(flops=round(piece_s * node.device.flops_per_s), bytes=0)
    while True:
        async with node.compute("another program", work=work):
            pass


async def _much_other_work(scene: Scene) -> None:
    """The same in pieces for which the server does not wait."""
    await _other_work(scene, 2 * scene.patience_s)


HAPPENINGS: dict[Fault, tuple[Callable[[Scene], Awaitable[None]], bool]] = {
    "none": (_nothing, False),
    "leaves": (_leave, False),
    "stops": (_stop, False),
    "silenced": (_silence, True),
    "coverage": (_drive_off, True),
    "straggler": (_other_work, False),
    "straggler-left": (_much_other_work, True),
}
"""What happens, and whether the server gives up on a device that does not answer for a while (`patience_s`)."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """One training for each fault and seed."""
    cases = [(seed, fault) for seed in range(config.seed, config.seed + config.num_seeds) for fault in config.faults]
    progress.begin("faults", len(cases), "simulations")
    for done, (seed, fault) in enumerate(cases, 1):
        training = _Training(config, fault, seed)
        scene, trained = training.run(folder)
        alone = train_alone(training.looped, training.batches, config.steps, seed=seed)[1]
        error = max(abs(ours - theirs) for ours, theirs in zip(trained.losses, alone, strict=True))
        tables.write_fault(folder, training.row | _costs(scene) | {"loss_error": error})
        tables.write_fault_steps(folder, training.row, scene.steps)
        progress.step(done)


class _Training:
    """The training of one fault and seed."""

    def __init__(self, config: Config, fault: Fault, seed: int) -> None:
        model, self.num_devices = config.model, config.num_devices[0]
        self.config, self.fault, self.seed = config, fault, seed
        self.row = {"fault": fault, "devices": self.num_devices, "seed": seed}
        self.looped = dataclasses.replace(
            model.looped(len(CHARACTERS), OWNER), checkpoint_every=config.checkpoint_every,
            patience_s=config.patience if HAPPENINGS[fault][1] else None,
        )  # fmt: skip
        self.batches = batches_of(model.batch, model.length, seed)
        self._units = units_of(self.looped, model.batch, model.length, model.column_groups, self.num_devices)

    def run(self, folder: RunFolder) -> tuple[Scene, looped.Trained]:
        """Train over the network; what happened, and what was learned."""
        config, network = self.config, _standing(self.config, folder, self.num_devices, self.seed)
        label = self.fault if config.num_seeds == 1 else f"{self.fault}, seed {self.seed}"
        labels = {"method": self.fault, "devices": self.num_devices, "seed": self.seed}
        recorder = SimulationRecorder(folder, label, labels, facts=tables.FACTS)
        devices = devices_of(config, self.looped, self.num_devices, self.seed) | network.device_profiles()
        found: tuple[Scene, looped.Trained] = network.simulate(
            self._main, config.needs_for(self.num_devices), folder, label, seed=self.seed, recorder=recorder,
            devices=devices,
        )  # fmt: skip
        return found

    async def _main(self, sim: cosim.Simulation) -> tuple[Scene, looped.Trained]:
        config, scene = self.config, Scene(sim, Fleet(), self.config.fault_step, self.config.patience)

        async def happen() -> None:
            await scene.hit.wait()
            await HAPPENINGS[self.fault][0](scene)

        cell = Cell(sim, server_node(sim), config.probe_bytes)
        planner = Planner(sim, cell, self._units, "optimised", enforcement=config.enforcement)
        async with cell.following():
            happening = asyncio.create_task(happen(), name=f"fault {self.fault}")
            try:
                trained = await looped.train(
                    sim, self.looped, self.batches, config.steps, planner=planner, report=scene.report,
                    fleet=scene.fleet,
                )  # fmt: skip
            finally:
                over = happening.done()
                happening.cancel()
                await asyncio.gather(happening, return_exceptions=True)
            if over:
                happening.result()  # raises what went wrong with it
        return scene, trained


def _standing(config: Config, folder: RunFolder, num_devices: int, seed: int) -> Network:
    """The network of all faults: where a device is to drive off, they stand near the gNB of a large area."""
    network = config.network
    if "coverage" not in config.faults:
        return network
    path = folder.path / f"places-{seed}.tcl"
    random = from_numbers(derive_seed(seed, "places of the devices"))
    distances, azimuths = random.uniform(*STAND_M, num_devices), np.radians(random.uniform(-60, 60, num_devices))
    lines = [
        f"$node_({ue}) set {axis}_ {value:.3f}\n"
        for ue, (distance, azimuth) in enumerate(zip(distances, azimuths, strict=True))
        for axis, value in (("X", distance * np.cos(azimuth)), ("Y", distance * np.sin(azimuth)))
    ]
    path.write_text("".join(lines))
    own = (f"mobilityFile={path}", f"maxDistance={AREA_M}", "sector=180", *SMALL_CELL)
    given = {option.partition("=")[0] for option in network.options}
    kept = [option for option in own if option.partition("=")[0] not in given]
    return dataclasses.replace(network, options=(*kept, *network.options))


def _costs(scene: Scene) -> dict[str, object]:
    """What is in a row of table `faults`; times of what did not happen are None."""
    before = [record for record in scene.steps if record.end_s <= scene.hit_s]
    after = [record for record in scene.steps if record.end_s > scene.hit_s]
    reached = max(record.step for record in before)
    recovered = next((record for record in after if record.step > reached), None)
    departure = scene.departures[0] if scene.departures else None
    late = [record for record in after if recovered is not None and record.start_s >= recovered.end_s]
    return {
        "device": scene.device,
        "hit_s": scene.hit_s,
        "noticed_s": None if departure is None else departure.time_s,
        "reason": "" if departure is None else departure.reason,
        "heads": 0 if departure is None else departure.heads,
        "columns": 0 if departure is None else departure.columns,
        "steps_lost": 0 if departure is None else departure.steps_lost,
        "next_step_s": None if recovered is None else recovered.end_s,
        "moved_bytes": sum(plan.plan_bytes for plan in scene.plans if plan.time_s > scene.hit_s),
        "step_before_s": _median(before),
        "step_after_s": _median(late),
        "participants_before": before[-1].num_devices,
        "participants_after": (late or after or before)[-1].num_devices,
        "end_s": scene.steps[-1].end_s,
    }


def _median(steps: list[StepRecord]) -> float | None:
    return float(np.median([record.end_s - record.start_s for record in steps])) if steps else None
