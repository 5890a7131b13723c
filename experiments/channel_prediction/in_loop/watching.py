# SPDX-License-Identifier: GPL-2.0-only
"""What models learn from: the channels of other cells of the same kind, watched slot by slot, without traffic.

The samples have no noise; it is added in training. Pilots are `period` slots apart, and what is predicted are the times
`decision_slots`, 2 x `decision_slots`, ... after the last of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgelam import cosim
from edgelam.air.prediction import Windows, join
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, from_numbers

from ..config import Config
from .checking import network_for
from .settings import PERFECT, loop_needs

STRIDE = 10  # slots from the beginning of a sample to that of the next
FASTER = (0.5, 1.1)  # training speeds lie between the least tested one times the first and the largest times the second


@dataclass(frozen=True)
class Watched:
    """Channels in one network. Shape letters: T slots, K UEs, N elements, G groups of resource blocks."""

    channel: np.ndarray
    """complex64 [T, K, N, G]."""
    cell: np.ndarray
    """[T, K]: who serves each UE; -1: nobody."""

    def windows(self, history: int, period: int, horizon: int, step: int) -> Windows | None:
        """Cut samples of all UEs, each divided by the root mean square of its past; None if there is none.

        history: pilots, `period` slots apart; horizon: predicted times, `step` slots apart. A sample in which a UE
        changes its cell, or has no channel, is left out.
        """
        past_at = np.arange(history) * period
        future_at = past_at[-1] + step * np.arange(1, horizon + 1)
        past, future = [], []
        for begin in range(0, len(self.channel) - int(future_at[-1]), STRIDE):
            cells = self.cell[begin : begin + int(future_at[-1]) + 1]
            known, wanted = self.channel[begin + past_at], self.channel[begin + future_at]  # [time, K, N, G]
            power = np.mean(np.abs(known) ** 2, axis=(0, 2, 3))
            good = (cells == cells[0]).all(0) & (cells[0] >= 0) & (power > 0)
            scale = np.where(good, 1 / np.sqrt(np.where(good, power, 1)), 0)[None, :, None, None]
            past.append((known * scale)[:, good].transpose(1, 2, 0, 3))
            future.append((wanted * scale)[:, good].transpose(1, 2, 0, 3))
        if not past or not sum(map(len, past)):
            return None
        return Windows(np.concatenate(past).astype(np.complex64), np.concatenate(future).astype(np.complex64))


def watch(config: Config, *, speed_kmh: float, slots: int, seed: int) -> Watched:
    """Watch a network of its own for so many slots."""
    loop = config.loop
    network = network_for(
        config.network, loop, PERFECT, speed_kmh=speed_kmh, period=max(loop.periods), delay=max(loop.delays)
    )

    async def main(sim: cosim.Simulation) -> Watched:
        slot_s = float(np.atleast_1d((await sim.observable("cell").read()).value)[0]["slot_s"])
        channel, cell = [], []
        for slot in range(slots):
            h = (await sim.observable("ue_channel").read()).value[:, 0]
            channel.append(h.copy())
            if "serving_cell" in sim.observables:
                cell.append((await sim.observable("serving_cell").read()).value.astype(int))
            else:
                cell.append(np.zeros(len(h), dtype=int))
            await asyncio.sleep(slot_s * (slot + 1) - sim.now_s)
        return Watched(np.stack(channel), np.stack(cell))

    return network.simulate(main, loop_needs(loop, loop.training_ues), seed=seed, compute="free")


def training_networks(config: Config, seed: int) -> list[Watched]:
    """Networks of which models learn: places and speeds are drawn by the seed."""
    loop = config.loop
    low, high = min(loop.speeds_kmh) * FASTER[0], max(loop.speeds_kmh) * FASTER[1]
    if len(loop.speeds_kmh) == 1:
        low = high = loop.speeds_kmh[0]
    speeds = from_numbers(derive_seed(seed, "speeds of watched networks")).uniform(low, high, loop.training_drops)
    return [
        watch(config, speed_kmh=float(speed), slots=loop.training_slots, seed=_seed(seed, f"watched network {number}"))
        for number, speed in enumerate(speeds)
    ]


def tested_network(config: Config, seed: int, speed_kmh: float) -> Watched:
    """A network of one speed on which all predictors are tested."""
    name = f"tested network, {speed_kmh:g} km/h"
    return watch(config, speed_kmh=speed_kmh, slots=config.loop.training_slots, seed=_seed(seed, name))


def samples(networks: Sequence[Watched], history: int, period: int, horizon: int, step: int) -> Windows:
    """All samples of several networks. Raises ConfigurationError if there is none."""
    found = [windows for each in networks if (windows := each.windows(history, period, horizon, step)) is not None]
    if not found:
        need = (history - 1) * period + horizon * step + 1
        raise ConfigurationError(
            f"loop.training_slots is {len(networks[0].channel)}; pilots every {period} slots need at least {need}: "
            f"{history} pilots and what is predicted"
        )
    return join(found)


def _seed(seed: int, name: str) -> int:
    return derive_seed(seed, name) % 2**31 or 1
