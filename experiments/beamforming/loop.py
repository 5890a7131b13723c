# SPDX-License-Identifier: GPL-2.0-only
"""The closed loop: a method of beamforming looks at the channels of a cell of ns-3 and sets its precoder, in turn.

A decision: the channels of all UEs are read; after the age of the CSI they are at the gNB, which computes the precoder
of each group of resource blocks for the UEs for which something waits, on its processor; it is set when this is done. A
decision whose turn comes while the one before is still being computed is left out. In a network of several cells each
gNB decides for the UEs that it serves, or the first one for all (methods that coordinate). Where there are surfaces,
the gNB decides on their phases, too, from the channels in the middle of the band.

Every UE has full buffers while goodput is measured, and all are sent to at once, a layer each. Then each UE gets some
tensors over TCP, one after the other, and the time of each is its latency. Then some of them may fine-tune a model.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from edgelam import cosim
from edgelam.air import beamforming as bf
from edgelam.air.beamforming.rules import Rule
from edgelam.air.cells import Air, Reflections, Sight
from edgelam.air.full_buffers import fill
from edgelam.air.link_rate import PATTERN, Link
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed, torch_generator
from edgelam.runs import RunFolder

from . import workload
from .config import Config, age_name, needs
from .settings import LoopSettings

if TYPE_CHECKING:
    from edgelam.federated import Setup

LOOP = {
    "method": str, "age": str, "seed": int, "goodput_mbps": float, "predicted_mbps": float, "block_errors": float,
    "decisions": int, "left_out": int, "decision_ms": float, "delay_ms": float,
}  # fmt: skip
"""One row for each method, age and seed: goodput of all UEs, and what EESM, MCS and error rates predict from the SINRs
of the precoders in use and those that UEs reported when they were set; share of first transmissions that are lost;
decisions while it was measured, and those left out; simulated time of computing one; time from the channel to its
precoder."""
USERS = {"method": str, "age": str, "seed": int, "ue": int, "goodput_mbps": float, "predicted_mbps": float,
         "blocks": int, "block_errors": float}  # fmt: skip
LATENCIES = {"method": str, "age": str, "seed": int, "ue": int, "number": int, "latency_ms": float, "arrived": bool}
"""One row for each tensor; one that has not arrived in time has the limit as its latency."""
LEARNING = {"method": str, "age": str, "seed": int, "learned": str, "round": int, "time_s": float, "round_s": float,
            "accuracy": float, "ended": bool}  # fmt: skip
"""One row for each round of fine-tuning: its end since the first began, how long it took, and the last accuracy; one in
which fine-tuning was given up has not ended."""
TABLES = {"loop": LOOP, "loop_users": USERS, "loop_latencies": LATENCIES, "loop_learning": LEARNING}

BEFORE_A_SLOT_S = 0.4e-3  # channels are read shortly before a slot of 0.5 ms begins
PERIOD = "edgelam::nr::Cell::CsiPeriod"
"""Slots after which a UE reports again if there are no new weights."""
BACKLOG = "wmmse-backlog"
"""The rule whose weights are what waits for each UE: what it needs until a deadline that is the same for all."""


@dataclasses.dataclass(frozen=True)
class Way:
    """How a method decides."""

    name: str
    precode: Rule
    together: Callable[[bf.CoordinatedDownlink], Tensor] | None = None
    """For the UEs of all cells, [..., antenna, user], instead of `precode`."""
    phases: Callable[[bf.SurfaceDownlink], Tensor] | None = None
    """Of the surfaces, complex [element], at each decision."""
    first_phases: bool = False
    """Whether phases are drawn once, at random."""


class Controller:
    """Decides in one way."""

    def __init__(self, sim: cosim.Simulation, air: Air, config: Config, way: Way, age_s: float) -> None:
        """age_s: of the channels when they are at the gNB."""
        self._sim, self._air, self._loop, self._way = sim, air, config.loop, way
        self._age_s = age_s
        self._seed = config.seed
        self._busy = False
        self._pilots = torch_generator(derive_seed(config.seed, "noise of pilots in the loop"))
        self.weights: np.ndarray | None = None
        """complex128 [K, G, N], in use now."""
        self.reported: tuple[Sight, float] | None = None
        """The channels when these were set, which UEs then report, and that time, s."""
        self.decisions: list[tuple[float, float]] = []
        """Of each decision: time of computing, time from the channel to the precoder, s."""
        self.left_out = 0

    async def run(self) -> None:
        """Decide until cancelled."""
        if self._way.first_phases:
            shape = (await self._sim.observable("ris_phase").read()).value.shape
            seed = derive_seed(self._seed, "phases of surfaces in the loop")
            phases = bf.random_phases(1, math.prod(shape), seed=seed, dtype=torch.complex128)[0]
            await self._sim.control("ris_phase").set(phases.angle().numpy().reshape(shape))
        async with asyncio.TaskGroup() as group:
            while True:
                sight = (await Sight.now(self._sim, self._air)).noisy(self._loop.pilot_snr_db, self._pilots)
                over = await Reflections.now(self._sim, self._air) if self._way.phases is not None else None
                waits = (await self._sim.observable("ue_backlog_bytes").read()).value[0].astype(float)
                group.create_task(self._decide(sight, over, waits, self._sim.now_s))
                await asyncio.sleep(self._loop.period_ms / 1e3)

    async def _decide(self, sight: Sight, over: Reflections | None, waits: np.ndarray, seen_s: float) -> None:
        if self._age_s > 0:
            await asyncio.sleep(self._age_s)
        if self._busy:
            self.left_out += 1
            return
        self._busy = True
        begin_s = self._sim.now_s
        if self._way.together is not None:
            weights = await self._of_all(sight, waits)
        else:
            rows = sight.rows()
            if over is not None:
                rows = over.rows(await self._phases(over))
            weights = np.zeros_like(rows)
            async with asyncio.TaskGroup() as group:
                for cell in sorted(set(sight.cell[sight.cell >= 0].tolist())):
                    ues = np.flatnonzero(sight.cell == cell)
                    group.create_task(self._of_cell(cell, ues, rows, weights, waits))
        spent_s = self._sim.now_s - begin_s
        await self._sim.control("precoder").set(self._as_control(sight, weights))
        self.weights = weights
        self.reported = await Sight.now(self._sim, self._air), self._sim.now_s
        self.decisions.append((spent_s, self._sim.now_s - seen_s))
        self._busy = False

    def _as_control(self, sight: Sight, weights: np.ndarray) -> np.ndarray:
        """complex64 [K, G, N, 1], or with cells in front of it."""
        mine = weights[..., None].astype(np.complex64)
        if not self._air.all_pairs:
            return mine
        found = np.zeros((len(self._air.gnbs), *mine.shape), dtype=np.complex64)
        found[sight.cell.clip(0), np.arange(len(mine))] = mine
        return found

    async def _phases(self, over: Reflections) -> np.ndarray:
        """Phase factors, complex [E], which are set, too."""
        assert self._way.phases is not None
        direct, cascaded = (torch.from_numpy(np.ascontiguousarray(x)) for x in over.middle())
        problem = bf.SurfaceDownlink(direct, cascaded)
        async with self._air.gnbs[0].compute("phases", key=(self._way.name, cascaded.shape)):
            with torch.no_grad():
                phases = self._way.phases(problem)
        found: np.ndarray = (phases / phases.abs()).numpy()
        await self._sim.control("ris_phase").set(np.angle(found).reshape(over.shape))
        actual = (await self._sim.observable("ris_phase").read()).value  # may be rounded
        return np.asarray(np.exp(1j * actual.reshape(-1)))

    async def _of_cell(
        self, cell: int, ues: np.ndarray, rows: np.ndarray, weights: np.ndarray, waits: np.ndarray
    ) -> None:
        """Compute the weights of a cell's UEs on its gNB."""
        ues = _sent_to(ues, rows, waits)
        if not len(ues):
            return
        of_users = None
        if self._way.name.startswith(BACKLOG) and waits[ues].any():
            of_users = bf.needed_rates(torch.from_numpy(8 * waits[ues]), 1.0, self._air.bandwidth_hz)
        channel = torch.from_numpy(rows[ues].swapaxes(0, 1).copy())  # [G, K, N]
        problem = bf.Downlink(channel, weights=of_users)
        async with self._air.gnbs[cell].compute("precoder", key=(self._way.name, problem.channel.shape)):
            with torch.no_grad():
                precoder = self._way.precode(problem)
        weights[ues] = precoder.numpy().transpose(2, 0, 1)

    async def _of_all(self, sight: Sight, waits: np.ndarray) -> np.ndarray:
        """Compute the weights of all UEs on the first gNB."""
        assert self._way.together is not None
        rows = sight.rows_everywhere()  # [C, K, G, N]
        weights = np.zeros_like(rows[0])
        ues = np.flatnonzero(sight.cell >= 0)
        ues = _sent_to(ues, rows[sight.cell.clip(0), np.arange(len(sight.cell))], waits)
        if not len(ues):
            return weights
        channel = torch.from_numpy(rows[:, ues].transpose(2, 1, 0, 3).copy())  # [G, K, C, N]
        problem = bf.CoordinatedDownlink(channel, torch.from_numpy(sight.cell[ues]))
        async with self._air.gnbs[0].compute("precoder", key=(self._way.name, problem.channel.shape)):
            with torch.no_grad():
                precoder = self._way.together(problem)
        weights[ues] = precoder.numpy().transpose(2, 0, 1)
        return weights


def _sent_to(ues: np.ndarray, rows: np.ndarray, waits: np.ndarray) -> np.ndarray:
    """Return those of the UEs that are in reach and have something waiting; if none of them has, all in reach."""
    ues = ues[(np.abs(rows[ues]) ** 2).sum(2).min(1) > 1e-6]
    waiting = ues[waits[ues] > 0]
    return waiting if len(waiting) else ues


def run(config: Config, ways: Mapping[str, Way], seed: int, folder: RunFolder, progress: Progress) -> None:
    """Let each method drive the same network once for each age of CSI."""
    jobs = [(way, age_ms) for way in ways.values() for age_ms in config.loop.ages_ms]
    progress.begin(f"closed loop, seed {seed}", len(jobs), "simulations")
    seeded = dataclasses.replace(config, seed=seed)
    options = config.network.scenario_options(needs(config))
    setup = workload.prepared(config.loop.learning, seed)
    for number, (way, age_ms) in enumerate(jobs, 1):
        labels = {"method": way.name, "age": age_name(age_ms), "seed": seed}

        async def main(
            sim: cosim.Simulation, way: Way = way, age_ms: float = age_ms
        ) -> dict[str, list[dict[str, Any]]]:
            return await _measure(sim, seeded, options, way, age_s=age_ms / 1e3, setup=setup)

        label = f"{way.name}, {age_name(age_ms)}, seed {seed}"
        found = config.network.simulate(main, needs(config), folder, label, seed=seed)
        for table, schema in TABLES.items():
            for row in found[table]:
                folder.table(table, schema).append(labels | row)
        progress.step(number)


async def _measure(
    sim: cosim.Simulation, config: Config, options: dict[str, str], way: Way, *, age_s: float, setup: Setup | None
) -> dict[str, list[dict[str, Any]]]:
    loop = config.loop
    ues, (server,) = needs(config).nodes(sim)
    air = await Air.of(sim, options)
    controller = Controller(sim, air, config, way, age_s)
    async with asyncio.TaskGroup() as group:
        await asyncio.sleep(BEFORE_A_SLOT_S)
        deciding = group.create_task(controller.run())
        filling = group.create_task(fill(sim, server, ues, prbs=air.prbs, slot_s=air.slot_s))
        await asyncio.sleep(loop.filling_ms / 1e3)
        found = await _goodput(sim, config, options, air, controller)
        filling.cancel()
        found["loop_latencies"] = await workload.tensors(sim, server, ues, loop)
        found["loop_learning"] = []
        if setup is not None:
            found["loop_learning"] = await workload.learn(sim, server, ues, air, loop.learning, setup=setup)
        deciding.cancel()
    return found


async def _goodput(
    sim: cosim.Simulation, config: Config, options: dict[str, str], air: Air, controller: Controller
) -> dict[str, list[dict[str, Any]]]:
    """Measure it, with rates predicted at random moments: others could be those of the decisions."""
    loop = config.loop
    dmrs = 12 if loop.ues <= 6 else 24  # of all layers of a group, DMRS of type 2 (docs/antennas.md)
    link = Link(int(options.get("mcsTable", 2)), air.group_prbs.tolist(), dmrs)
    counts = sim.observable("ue_block_counts")
    true: list[np.ndarray] = []
    believed: list[np.ndarray] = []
    period_s = int(options.get(PERIOD, "20")) * air.slot_s
    moments = torch_generator(derive_seed(config.seed, "moments of looks in the loop"))

    async def watch() -> None:
        while True:
            sight = await Sight.now(sim, air)
            if controller.weights is not None and controller.reported is not None:
                if sim.now_s - controller.reported[1] >= period_s:  # UEs have reported again
                    controller.reported = sight, sim.now_s
                true.append(sight.sinr(controller.weights))
                believed.append(controller.reported[0].sinr(controller.weights))
            await asyncio.sleep(2 * loop.watch_ms / 1e3 * float(torch.rand((), generator=moments)))

    before, decided, left_out = (await counts.read()).value[0].copy(), len(controller.decisions), controller.left_out
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        await asyncio.sleep(loop.measured_ms / 1e3)
        after = (await counts.read()).value[0].copy()
        watching.cancel()
    decisions, left_out = controller.decisions[decided:], controller.left_out - left_out
    spent = {name: (after[name] - before[name]).astype(float) for name in ("decoded_bits", "blocks", "first_errors")}
    bits_per_slot = np.array([link.adapted([x[ue] for x in believed], [x[ue] for x in true]) for ue in range(loop.ues)])
    mbps = spent["decoded_bits"] / loop.measured_ms / 1e3
    predicted_mbps = bits_per_slot / air.slot_s / 1e6
    computed_ms, delay_ms = (1e3 * np.mean(decisions, axis=0)).tolist() if decisions else (math.nan, math.nan)
    whole = {
        "goodput_mbps": float(mbps.sum()), "predicted_mbps": float(predicted_mbps.sum()),
        "block_errors": float(spent["first_errors"].sum() / max(spent["blocks"].sum(), 1)),
        "decisions": len(decisions), "left_out": left_out, "decision_ms": computed_ms, "delay_ms": delay_ms,
    }  # fmt: skip
    users = [
        {"ue": ue, "goodput_mbps": float(mbps[ue]), "predicted_mbps": float(predicted_mbps[ue]),
         "blocks": int(spent["blocks"][ue]),
         "block_errors": float(spent["first_errors"][ue] / max(spent["blocks"][ue], 1))}
        for ue in range(loop.ues)
    ]  # fmt: skip
    return {"loop": [whole], "loop_users": users}


def check(config: Config) -> None:
    """Refuse options of the scenario with which the loop could not run, or what it says would be wrong."""
    options = config.network.scenario_options(needs(config))
    for name, legal in (("beams", "external"), ("selection", "external"), ("maxLayers", "1")):
        if options.get(name) != legal:
            raise ConfigurationError(f"--options {name}={options.get(name)}: a closed loop needs {name}={legal}")
    if not options.get("pattern", PATTERN).startswith(PATTERN) or ":" in options.get("pattern", PATTERN):
        raise ConfigurationError(f"--options pattern={options['pattern']}: rates are predicted for {PATTERN}")
    for name in ("gnbPower", "ueNoiseFigure"):
        try:
            float(options.get(name, ""))
        except ValueError:
            raise ConfigurationError(f"--options {name}={options.get(name, '')}: a number is needed, in dB") from None
    _check_parts(config.loop, options)


def _check_parts(loop: LoopSettings, options: dict[str, str]) -> None:
    if loop.phases and options.get("ueAntennas") != "1":
        raise ConfigurationError(
            f"--options ueAntennas={options.get('ueAntennas')}: phases of surfaces are decided for ueAntennas=1"
        )
    if loop.coordinated and options.get("csiPairs") != "all":
        raise ConfigurationError(
            f"--options csiPairs={options.get('csiPairs')}: cells that coordinate need csiPairs=all"
        )
