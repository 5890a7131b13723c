# SPDX-License-Identifier: GPL-2.0-only
"""The closed loop: a method of beamforming looks at the channels of a cell of ns-3 and sets its precoder, in turn.

A decision: the channels of all UEs are read; after the age of the CSI they are at the gNB, which computes the precoder
of each group of resource blocks on its processor; it is set when this is done. A decision whose turn comes while the
one before is still being computed is left out. In a network of several cells each gNB decides for the UEs that it
serves.

Every UE has full buffers while goodput is measured, and all are sent to at once, a layer each. Then each UE gets some
tensors over TCP, one after the other, and the time of each is its latency.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgelam import cosim
from edgelam.air.beamforming import Downlink
from edgelam.errors import ConfigurationError, TransferError
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed, torch_generator
from edgelam.runs import RunFolder

from .config import Config, age_name, needs
from .link import PATTERN, Link

LOOP = {
    "method": str, "age": str, "seed": int, "goodput_mbps": float, "predicted_mbps": float, "block_errors": float,
    "decisions": int, "left_out": int, "decision_ms": float, "delay_ms": float,
}  # fmt: skip
"""One row for each method, age and seed: goodput of all UEs, and what EESM, MCS and error rates predict from the SINRs
of the precoders in use; share of first transmissions that are lost; decisions while it was measured, and those left
out; simulated time of computing one; time from the channel to its precoder."""
USERS = {"method": str, "age": str, "seed": int, "ue": int, "goodput_mbps": float, "predicted_mbps": float,
         "blocks": int, "block_errors": float}  # fmt: skip
LATENCIES = {"method": str, "age": str, "seed": int, "ue": int, "number": int, "latency_ms": float, "arrived": bool}
"""One row for each tensor; one that has not arrived in time has the limit as its latency."""

Method = Callable[[Downlink], Tensor]
DRAINING_S = 5.0  # the longest time that full buffers may take to become empty
FILL_EVERY_S = 5e-3  # buffers are looked at
FILL_BPS = 1e9
LEAST_BYTES = 1000  # that are worth a transfer
BEFORE_A_SLOT_S = 0.4e-3  # channels are read shortly before a slot of 0.5 ms begins


@dataclasses.dataclass(frozen=True)
class Air:
    """What does not change during a run. Shape letters: K UEs, G groups of resource blocks, N elements of a gNB."""

    group_prbs: np.ndarray
    """[G]."""
    prbs: int
    slot_s: float
    power_mw: float
    """Of a resource block."""
    noise_mw: float
    """Of a UE's receiver in a resource block."""
    gnbs: tuple[cosim.Node, ...]
    """The gNB of each cell."""
    cell_power_mw: float

    @classmethod
    async def of(cls, sim: cosim.Simulation, options: dict[str, str]) -> Air:
        """Read it from a simulation that has begun."""
        cell = np.atleast_1d((await sim.observable("cell").read()).value)[0]
        prbs, width, groups = int(cell["prbs"]), int(cell["prbs_per_group"]), int(cell["prb_groups"])
        sizes = np.full(groups, width)
        sizes[-1] = prbs - width * (groups - 1)
        spacing_hz = 15e3 * 2 ** int(cell["numerology"])
        noise_dbm = -174 + 10 * math.log10(12 * spacing_hz) + float(options["ueNoiseFigure"])
        power_dbm = float(options["gnbPower"])
        gnbs = sim.nodes_with_role("gnb")
        if "gnb_of_cell" in sim.observables:
            numbers = (await sim.observable("gnb_of_cell").read()).value
            gnbs = [gnbs[int(number)] for number in numbers]
        return cls(
            group_prbs=sizes, prbs=prbs, slot_s=float(cell["slot_s"]), power_mw=10 ** (power_dbm / 10) / prbs,
            noise_mw=10 ** (noise_dbm / 10), gnbs=tuple(gnbs), cell_power_mw=10 ** (power_dbm / 10),
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Sight:
    """The channels at one moment, in units in which the power of a resource block over each UE's noise is 1."""

    channel: np.ndarray
    """complex128 [K, G, ue antenna, N]."""
    cell: np.ndarray
    """[K]: who serves each UE; -1: nobody."""

    @classmethod
    async def now(cls, sim: cosim.Simulation, air: Air) -> Sight:
        """Read them; other cells disturb with the mean power that a UE gets from them when they send on everything."""
        h = (await sim.observable("ue_channel").read()).value.astype(np.complex128).transpose(0, 3, 1, 2)
        if "serving_cell" not in sim.observables:
            return cls(h * math.sqrt(air.power_mw / air.noise_mw), np.zeros(len(h), dtype=int))
        cell = (await sim.observable("serving_cell").read()).value.astype(int)
        gain = 10 ** ((await sim.observable("coupling_gain").read()).value / 10)
        heard = gain.sum(1) - np.where(cell >= 0, gain[np.arange(len(cell)), cell], 0)
        around_mw = air.noise_mw + heard * air.cell_power_mw / air.prbs
        return cls(h * np.sqrt(air.power_mw / around_mw)[:, None, None, None], cell)

    def noisy(self, snr_db: float, generator: torch.Generator) -> Sight:
        """The channels with noise, whose power is that of each UE's channel over the SNR of pilots."""
        if math.isinf(snr_db):
            return self
        noise = torch.randn(self.channel.shape, dtype=torch.complex128, generator=generator).numpy()
        power = np.mean(np.abs(self.channel) ** 2, axis=(1, 2, 3), keepdims=True) / 10 ** (snr_db / 10)
        return Sight(self.channel + np.sqrt(power) * noise, self.cell)

    def rows(self) -> np.ndarray:
        """What each UE hears with its best receiving weights for a precoder of its own: [K, G, N]."""
        if self.channel.shape[2] == 1:
            return self.channel[:, :, 0]
        left, _, _ = np.linalg.svd(self.channel, full_matrices=False)
        received: np.ndarray = np.einsum("kga,kgan->kgn", left[..., 0].conj(), self.channel)
        return received

    def sinr(self, weights: np.ndarray) -> np.ndarray:
        """SINR of each UE and group with MMSE receivers, linear [K, G]; weights [K, G, N], 0 for who is not sent to."""
        found = np.zeros(weights.shape[:2])
        for ue, (channel, cell) in enumerate(zip(self.channel, self.cell, strict=True)):
            arrives = np.einsum("gan,kgn->kga", channel, weights)  # [K, G, antenna]
            others = (self.cell == cell) & (np.arange(len(self.cell)) != ue)
            around = np.einsum("kga,kgb->gab", arrives[others], arrives[others].conj()) + np.eye(channel.shape[1])
            whitened = np.linalg.solve(around, arrives[ue][..., None])[..., 0]
            found[ue] = np.einsum("ga,ga->g", arrives[ue].conj(), whitened).real
        return found


class Controller:
    """Decides with one method."""

    def __init__(
        self, sim: cosim.Simulation, air: Air, config: Config, method: tuple[str, Method], age_s: float
    ) -> None:
        """method: name and function."""
        self._sim, self._air, self._loop = sim, air, config.loop
        self._name, self._precode = method
        self._age_s = age_s
        self._busy = False
        self._pilots = torch_generator(derive_seed(config.seed, "noise of pilots in the loop"))
        self.weights: np.ndarray | None = None
        """complex128 [K, G, N], in use now."""
        self.decisions: list[tuple[float, float]] = []
        """Of each decision: time of computing, time from the channel to the precoder, s."""
        self.left_out = 0

    async def run(self) -> None:
        """Decide until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                sight = (await Sight.now(self._sim, self._air)).noisy(self._loop.pilot_snr_db, self._pilots)
                group.create_task(self._decide(sight, self._sim.now_s))
                await asyncio.sleep(self._loop.period_ms / 1e3)

    async def _decide(self, sight: Sight, seen_s: float) -> None:
        if self._age_s > 0:
            await asyncio.sleep(self._age_s)
        if self._busy:
            self.left_out += 1
            return
        self._busy = True
        rows = sight.rows()
        weights = np.zeros_like(rows)
        begin_s = self._sim.now_s
        async with asyncio.TaskGroup() as group:
            for cell in sorted(set(sight.cell[sight.cell >= 0].tolist())):
                group.create_task(self._of_cell(cell, np.flatnonzero(sight.cell == cell), rows, weights))
        spent_s = self._sim.now_s - begin_s
        await self._sim.control("precoder").set(weights[..., None].astype(np.complex64))
        self.weights = weights
        self.decisions.append((spent_s, self._sim.now_s - seen_s))
        self._busy = False

    async def _of_cell(self, cell: int, ues: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> None:
        """Compute the weights of a cell's UEs on its gNB."""
        ues = ues[(np.abs(rows[ues]) ** 2).sum(2).min(1) > 1e-6]  # who is out of reach is not sent to
        if not len(ues):
            return
        problem = Downlink(torch.from_numpy(rows[ues].swapaxes(0, 1).copy()))  # [G, K, N]
        async with self._air.gnbs[cell].compute("precoder", key=(self._name, problem.channel.shape)):
            with torch.no_grad():
                precoder = self._precode(problem)
        weights[ues] = precoder.numpy().transpose(2, 0, 1)


def run(config: Config, methods: dict[str, Method], seed: int, folder: RunFolder, progress: Progress) -> None:
    """Let each method drive the same network once for each age of CSI."""
    jobs = [(name, age_ms) for name in methods for age_ms in config.loop.ages_ms]
    progress.begin(f"closed loop, seed {seed}", len(jobs), "simulations")
    seeded = dataclasses.replace(config, seed=seed)
    options = config.network.scenario_options(needs(config))
    for number, (name, age_ms) in enumerate(jobs, 1):
        labels = {"method": name, "age": age_name(age_ms), "seed": seed}

        async def main(
            sim: cosim.Simulation, name: str = name, age_ms: float = age_ms
        ) -> dict[str, list[dict[str, Any]]]:
            return await _measure(sim, seeded, options, (name, methods[name]), age_ms / 1e3)

        label = f"{name}, {age_name(age_ms)}, seed {seed}"
        found = config.network.simulate(main, needs(config), folder, label, seed=seed)
        for table, schema in (("loop", LOOP), ("loop_users", USERS), ("loop_latencies", LATENCIES)):
            for row in found[table]:
                folder.table(table, schema).append(labels | row)
        progress.step(number)


async def _measure(
    sim: cosim.Simulation, config: Config, options: dict[str, str], method: tuple[str, Method], age_s: float
) -> dict[str, list[dict[str, Any]]]:
    loop = config.loop
    ues, (server,) = needs(config).nodes(sim)
    air = await Air.of(sim, options)
    dmrs = 12 if loop.ues <= 6 else 24  # of all layers of a group, DMRS of type 2 (docs/antennas.md)
    link = Link(int(options.get("mcsTable", 2)), air.group_prbs.tolist(), dmrs)
    controller = Controller(sim, air, config, method, age_s)
    counts = sim.observable("ue_block_counts")
    predicted: list[list[float]] = []
    moments = torch_generator(derive_seed(config.seed, "moments of looks in the loop"))

    async def watch() -> None:  # at random moments: others could be those of the decisions
        while True:
            sight = await Sight.now(sim, air)
            if controller.weights is not None:
                predicted.append([link.bits_per_slot(each) for each in sight.sinr(controller.weights)])
            await asyncio.sleep(2 * loop.watch_ms / 1e3 * float(torch.rand((), generator=moments)))

    async with asyncio.TaskGroup() as group:
        await asyncio.sleep(BEFORE_A_SLOT_S)
        deciding = group.create_task(controller.run())
        filling = group.create_task(fill(sim, server, ues, air))
        await asyncio.sleep(loop.filling_ms / 1e3)
        before, decided, left_out = (
            (await counts.read()).value[0].copy(),
            len(controller.decisions),
            controller.left_out,
        )
        watching = group.create_task(watch())
        await asyncio.sleep(loop.measured_ms / 1e3)
        after = (await counts.read()).value[0].copy()
        decisions, left_out = controller.decisions[decided:], controller.left_out - left_out
        watching.cancel()
        filling.cancel()
        tensors = await _tensors(sim, server, ues, config)
        deciding.cancel()
    spent = {name: (after[name] - before[name]).astype(float) for name in ("decoded_bits", "blocks", "first_errors")}
    bits_per_slot = np.mean(predicted, axis=0) if predicted else np.zeros(len(ues))
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
        for ue in range(len(ues))
    ]  # fmt: skip
    return {"loop": [whole], "loop_users": users, "loop_latencies": tensors}


async def fill(sim: cosim.Simulation, server: cosim.Node, ues: list[cosim.Node], air: Air) -> None:
    """Keep all buffers full, but not much fuller, until cancelled."""
    backlog = sim.observable("ue_backlog_bytes")
    full = int(12 * 14 * air.prbs / air.slot_s * 3 * FILL_EVERY_S)  # three times what a layer can carry meanwhile
    async with asyncio.TaskGroup() as group:
        while True:
            waiting = (await backlog.read()).value[0]
            for ue, there in zip(ues, waiting[: len(ues)].tolist(), strict=True):
                if full - there > LEAST_BYTES:
                    group.create_task(server.send(ue, bytes(full - there), protocol="udp", rate_bps=FILL_BPS))
            await asyncio.sleep(FILL_EVERY_S)


async def _tensors(
    sim: cosim.Simulation, server: cosim.Node, ues: list[cosim.Node], config: Config
) -> list[dict[str, Any]]:
    """Send each UE its tensors when the buffers are empty; rows of table `loop_latencies`."""
    loop = config.loop
    if not loop.tensors:
        return []
    backlog, limit_s = sim.observable("ue_backlog_bytes"), sim.now_s + DRAINING_S
    while (await backlog.read()).value[0].any() and sim.now_s < limit_s:
        await asyncio.sleep(0.01)
    tensor = torch.zeros(int(loop.tensor_kb * 250))

    async def to(number: int, ue: cosim.Node) -> list[dict[str, Any]]:
        rows = []
        for index in range(loop.tensors):
            latency_ms, arrived = loop.longest_ms, False
            with contextlib.suppress(TransferError):  # it has not arrived in time
                sent = await server.send(ue, tensor, tag="tensor", deadline_s=loop.longest_ms / 1e3)
                await ue.receive(server, tag="tensor")
                latency_ms, arrived = 1e3 * (sent.last_byte_s - sent.queued_s), True
            rows.append({"ue": number, "number": index, "latency_ms": latency_ms, "arrived": arrived})
        return rows

    found = await asyncio.gather(*(to(number, ue) for number, ue in enumerate(ues)))
    return [row for rows in found for row in rows]


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
