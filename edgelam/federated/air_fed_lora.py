# SPDX-License-Identifier: GPL-2.0-only
"""Un-split federated LoRA whose updates add up in the air (over-the-air computation): dp_fed_lora.py, another way up.

    a round: server --weights-->  every device
             device               `local_steps` steps; update scaled down to the norm C
             server <--step--     every device              4 bytes: it is ready
             gNB    <==update==   all devices at once, uncoded, in resource blocks of the cell (over_the_air.py)
             server <--mean--     gNB                       fp32
             server               weights <- weights + mean

Privacy: the mean of K updates is to have the noise multiplier z for a sensitivity of 2 C. The receiver's thermal noise,
at the lowest noise figure that is stated, supplies a part of it. Devices add the rest: each its share of what those who
send in a resource block add together. Interference and fading supply nothing. How strongly all send (eta) then depends
on channels, the clip and the noise alone, not on the updates. Without noise, each round takes the largest eta that the
updates allow.

A gNB with several antennas could tell devices apart, and so see an update with its own share of the noise alone:
epsilon speaks of the mean that it passes on.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.federated import dp_fed_lora
from edgelam.federated.evaluation import Outcome
from edgelam.federated.records import AirRecord, Report, ignore
from edgelam.federated.setup import Setup
from edgelam.learning.conversation import expect, number
from edgelam.learning.over_the_air import Sky, elements_for, look, receive, symbols_of
from edgelam.learning.privacy import analog
from edgelam.random_streams import derive_seed, from_numbers

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "air-fed-lora"


def gnb_node(sim: cosim.Simulation) -> cosim.Node:
    """Return the node that receives: the first with role "gnb". Raises ConfigurationError if there is none."""
    for node in sim.nodes.values():
        if node.role == "gnb":
            return node
    roles = sorted({node.role for node in sim.nodes.values()})
    raise ConfigurationError(
        f"{METHOD} sums updates in the air of an NR cell, and the scenario has no node with role gnb, only "
        f"{', '.join(roles)}; legal are 5G scenarios, such as nr-urban-micro"
    )


def bounded_energies(sky: Sky, count: int, clip: float, std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean |symbol|^2 [K, N] for which power is enough whatever the updates are: noise, and the norm `clip` in
    the worst place of each slot. std: [N] of the noise in each value."""
    energies = np.broadcast_to(2 * std**2, (len(sky.transfer.senders), count)).copy()
    block = sky.block[:count]
    gain = np.where(sky.sends, np.abs(sky.behind), np.inf)[:, block]
    starts = sky.transfer.start_s[block]
    for start in np.unique(starts):
        places = np.flatnonzero(starts == start)
        worst = places[gain[:, places].argmin(axis=1)]
        energies[np.arange(len(energies)), worst] += clip**2
    return energies


class AirUplink:
    """The way up of one run."""

    method = METHOD
    against = "all who see the means; not a gNB that tells devices apart by its antennas"

    def __init__(self, sim: cosim.Simulation, setup: Setup, report: Report) -> None:
        """Find the gNB."""
        self._gnb = gnb_node(sim)
        self._settings, self._report = setup.settings, report
        self._held: dict[int, Tensor] = {}
        names = [f"noise over the air of ue {k}" for k in range(setup.settings.num_devices)]
        self._noises = [from_numbers(derive_seed(setup.seed, name)) for name in names]
        self._channel = from_numbers(derive_seed(setup.seed, "noise of the receiver"))

    def hold(self, index: int, update: Tensor) -> None:
        """Keep a device's clipped update of this round."""
        self._held[index] = update

    async def mean(self, edge: cosim.Node, nodes: list[cosim.Node], round_number: int, noise: float) -> Tensor:
        """Send all updates at once, and the mean on to the server."""
        updates = np.stack([self._held.pop(k).numpy() for k in range(len(nodes))])  # [K, d]
        settings, clip = self._settings.air, self._settings.user_privacy.clip
        transfer = await self._gnb.over_the_air(nodes, elements_for(updates.shape[1]), most_prbs=settings.most_prbs)
        sky = look(transfer, settings.truncation)
        count = elements_for(updates.shape[1])
        std = 2 * clip * noise / np.sqrt(np.maximum(sky.senders, 1))[sky.block[:count]]  # [N] of each sender's values
        private = noise > 0.0
        energies = bounded_energies(sky, count, clip, std) if private else np.abs(symbols_of(updates)) ** 2
        eta = sky.needed(energies)
        figure = settings.least_noise_figure_db
        lower_db = 0.0 if figure is None else min(0.0, figure - transfer.noise_figure_db)
        supplied = analog.supplied_to_sum(clip, sky.amplitude(eta), transfer.noise_w * 10 ** (lower_db / 10))
        added = math.sqrt(max(0.0, noise**2 - supplied**2))
        sent = updates
        if added > 0.0:
            wide = np.repeat(std * added / noise, 2)[: updates.shape[1]]
            sent = updates + wide * np.stack([each.normal(size=updates.shape[1]) for each in self._noises])
        got = receive(sent, sky, eta, self._channel)
        self._report(
            AirRecord(
                METHOD, round_number, transfer.begin_s, transfer.end_s, transfer.num_elements, transfer.num_slots,
                1.0 - float(sky.sends.mean()), got.error, got.noise_error, float(np.square(updates.mean(axis=0)).sum()),
                float(np.square(sent.mean(axis=0) - updates.mean(axis=0)).sum()), noise, supplied, added,
            )
        )  # fmt: skip
        return await self._pass_on(edge, torch.from_numpy(got.mean), round_number)

    async def _pass_on(self, edge: cosim.Node, mean: Tensor, round_number: int) -> Tensor:
        data = {"step": number(round_number), "mean": mean}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._gnb.send(edge, data, tag="mean", encoding="fp32"), name="mean to the server")
            arrived = group.create_task(expect(edge, self._gnb, "mean", round_number), name="mean at the server")
        found: Tensor = arrived.result().data["mean"]
        return found.double()


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """Run it over a simulated 5G cell."""
    return await dp_fed_lora.run(sim, setup, report, air=AirUplink(sim, setup, report))
