# SPDX-License-Identifier: GPL-2.0-only
"""Test channels with geometry: a street of TR 38.901 (nr-urban-micro), whose users are correlated.

Some cells of ns-3 with MANY UEs each are made; a sample is the channels of K of them, drawn at random from one cell,
in the middle of the band. Each user's channel is scaled to a mean of 1 for each antenna, so that the SNR of a test is
that of every user, as on channels CN(0, 1): what is left of the geometry is the directions.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from edgelam import cosim
from edgelam.random_streams import derive_seed, from_numbers

MANY = 40  # UEs of a cell
CELLS = 4
OPTIONS = {"gnbRows": 1, "gnbPolarisations": 1, "ueAntennas": 1, "bandwidth": 20, "numEdge": 1, "numUe": MANY}


def channels(samples: int, users: int, antennas: int, *, seed: int) -> Tensor:
    """complex64 [sample, user, antenna], rows h_k^H, as `Downlink` takes it; at most MANY users."""
    found: list[np.ndarray] = []
    for number in range(CELLS):
        cell_seed = derive_seed(seed, f"street {number}") % (2**31 - 1) + 1
        h = cosim.simulate(
            _look, scenario="nr-urban-micro", options={**OPTIONS, "gnbColumns": antennas}, seed=cell_seed
        )
        h = h / np.sqrt(np.mean(np.abs(h) ** 2, axis=1, keepdims=True))
        count = math.ceil((samples - len(found)) / (CELLS - number))
        generator = from_numbers(derive_seed(seed, f"users of street {number}"))
        found += [h[generator.choice(MANY, users, replace=False)] for _ in range(count)]
    return torch.from_numpy(np.array(found).astype(np.complex64))


async def _look(sim: cosim.Simulation) -> np.ndarray:
    h = (await sim.observable("ue_channel").read()).value
    middle: np.ndarray = h[:, 0, :, h.shape[-1] // 2].astype(np.complex128)
    return middle
