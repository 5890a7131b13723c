# SPDX-License-Identifier: GPL-2.0-only
"""What the gNBs of a simulation know of the channels, in the units in which methods compute.

Shape letters: K UEs, C cells, G groups of resource blocks, A antennas of a UE, N elements of a gNB, E elements of all
surfaces.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from edgelam import cosim


@dataclasses.dataclass(frozen=True)
class Air:
    """What does not change during a run."""

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
    all_pairs: bool
    """Whether channels of all cells to all UEs are known: then channels and weights have the axis `cell` first."""

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
            all_pairs=options.get("csiPairs") == "all",
        )  # fmt: skip

    @property
    def bandwidth_hz(self) -> float:
        """Of all resource blocks; a slot has 14 symbols."""
        return 12 * self.prbs * 15e3 * round(1e-3 / self.slot_s)


@dataclasses.dataclass(frozen=True)
class Sight:
    """The channels at one moment, in units in which the power of a resource block over each UE's noise is 1."""

    channel: np.ndarray
    """complex128 [K, G, A, N], of the serving cell."""
    cell: np.ndarray
    """[K]: who serves each UE; -1: nobody."""
    rise: np.ndarray
    """[K]: noise and mean power of other cells over the noise, as if they sent on everything."""
    everywhere: np.ndarray | None = None
    """complex128 [C, K, G, A, N], of all cells, where they are known."""

    @classmethod
    async def now(cls, sim: cosim.Simulation, air: Air) -> Sight:
        """Read them."""
        h = (await sim.observable("ue_channel").read()).value.astype(np.complex128)
        h = np.moveaxis(h, -1, -3) * math.sqrt(air.power_mw / air.noise_mw)
        ues = h.shape[-4]
        cell, rise = np.zeros(ues, dtype=int), np.ones(ues)
        if "serving_cell" in sim.observables:
            cell = (await sim.observable("serving_cell").read()).value.astype(int)
            gain = 10 ** ((await sim.observable("coupling_gain").read()).value / 10)
            heard = gain.sum(1) - np.where(cell >= 0, gain[np.arange(ues), cell], 0)
            rise = 1 + heard * air.cell_power_mw / air.prbs / air.noise_mw
        return cls(_own(h, cell), cell, rise, h) if air.all_pairs else cls(h, cell, rise)

    def noisy(self, snr_db: float, generator: torch.Generator) -> Sight:
        """The channels with noise, whose power is that of each UE's channel over the SNR of pilots."""
        if math.isinf(snr_db):
            return self
        known = self.channel if self.everywhere is None else self.everywhere
        noise = torch.randn(known.shape, dtype=torch.complex128, generator=generator).numpy()
        power = np.mean(np.abs(known) ** 2, axis=(-3, -2, -1), keepdims=True) / 10 ** (snr_db / 10)
        known = known + np.sqrt(power) * noise
        if self.everywhere is None:
            return dataclasses.replace(self, channel=known)
        return dataclasses.replace(self, channel=_own(known, self.cell), everywhere=known)

    def rows(self) -> np.ndarray:
        """What each UE hears with its best receiving weights for a precoder of its own: [K, G, N]."""
        channel = self.channel / np.sqrt(self.rise)[:, None, None, None]
        if channel.shape[2] == 1:
            return channel[:, :, 0]
        received: np.ndarray = np.einsum("kga,kgan->kgn", self._weights().conj(), channel)
        return received

    def rows_everywhere(self) -> np.ndarray:
        """The same of all cells, with receiving weights for the serving one, others not as noise: [C, K, G, N]."""
        assert self.everywhere is not None
        if self.channel.shape[2] == 1:
            return self.everywhere[:, :, :, 0]
        found: np.ndarray = np.einsum("kga,ckgan->ckgn", self._weights().conj(), self.everywhere)
        return found

    def _weights(self) -> np.ndarray:
        left, _, _ = np.linalg.svd(self.channel, full_matrices=False)
        first: np.ndarray = left[..., 0]
        return first

    def sinr(self, weights: np.ndarray) -> np.ndarray:
        """SINR of each UE and group with MMSE receivers, linear [K, G]; weights [K, G, N], 0 for who is not sent to.

        Other cells are what they send where all channels are known, and otherwise white noise.
        """
        found = np.zeros(weights.shape[:2])
        for ue, (channel, cell) in enumerate(zip(self.channel, self.cell, strict=True)):
            others = np.arange(len(self.cell)) != ue
            if self.everywhere is None:
                arrives = np.einsum("gan,kgn->kga", channel, weights)  # [K, G, A]
                others &= self.cell == cell
                floor = self.rise[ue]
            else:
                arrives = np.einsum("kgan,kgn->kga", self.everywhere[self.cell.clip(0), ue], weights)
                others &= self.cell >= 0
                floor = 1.0
            around = np.einsum("kga,kgb->gab", arrives[others], arrives[others].conj())
            around = around + floor * np.eye(channel.shape[1])
            whitened = np.linalg.solve(around, arrives[ue][..., None])[..., 0]
            found[ue] = np.einsum("ga,ga->g", arrives[ue].conj(), whitened).real
        return found


def _own(everywhere: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Those of the serving cell; 0 for who has none."""
    mine: np.ndarray = everywhere[cell.clip(0), np.arange(len(cell))]
    return np.where((cell >= 0)[:, None, None, None], mine, 0)


@dataclasses.dataclass(frozen=True)
class Reflections:
    """The parts of the channels over surfaces at one moment, in the same units; UEs have one antenna."""

    direct: np.ndarray
    """complex128 [K, G, N]."""
    to_elements: np.ndarray
    """complex128 [E, N, G]: from the gNB."""
    from_elements: np.ndarray
    """complex128 [K, E, G]: to UEs, with the amplitude of the reflection."""
    shape: tuple[int, int]
    """Surfaces, elements of each."""

    @classmethod
    async def now(cls, sim: cosim.Simulation, air: Air) -> Reflections:
        """Read them."""

        async def read(name: str) -> np.ndarray:
            value: np.ndarray = (await sim.observable(name).read()).value
            return value

        direct, to, back = [
            await read(name) for name in ("direct_channel", "surface_gnb_channel", "surface_ue_channel")
        ]
        surfaces, elements = to.shape[:2]
        scale = math.sqrt(air.power_mw / air.noise_mw)
        return cls(
            direct=scale * direct[:, 0].astype(np.complex128).transpose(0, 2, 1),
            to_elements=to.astype(np.complex128).reshape(surfaces * elements, *to.shape[2:]),
            from_elements=scale * float(await read("surface_amplitude")) * back[:, :, 0].astype(np.complex128)
            .transpose(1, 0, 2, 3).reshape(back.shape[1], surfaces * elements, -1),
            shape=(surfaces, elements),
        )  # fmt: skip

    def middle(self) -> tuple[np.ndarray, np.ndarray]:
        """Direct [K, N] and cascaded [K, E, N] channels of the group in the middle of the band."""
        g = self.direct.shape[1] // 2
        return self.direct[:, g], self.from_elements[:, :, g, None] * self.to_elements[None, :, :, g]

    def rows(self, phases: np.ndarray) -> np.ndarray:
        """The channels with these phase factors, complex [E]: [K, G, N]."""
        found: np.ndarray = self.direct + np.einsum("e,keg,eng->kgn", phases, self.from_elements, self.to_elements)
        return found
