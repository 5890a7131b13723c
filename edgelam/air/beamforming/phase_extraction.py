# SPDX-License-Identifier: GPL-2.0-only
"""PE-AltMin: hybrid precoding by phase extraction (Yu, Shen, Zhang and Letaief, IEEE JSTSP 2016, section IV).

The digital part is taken as a multiple of a matrix with orthonormal rows or columns. Then both halves of an iteration
have a closed form: F_BB = V U^H with the singular vectors of target^H F_RF = U S V^H, and F_RF = the phases of
target F_BB^H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming.hybrid import Hybrid, first_phases, of_same_power, refuse_bad_target
from edgelam.errors import ConfigurationError


@torch.no_grad()
def pe_altmin(target: Tensor, chains: int, *, iterations: int = 100, seed: int = 0) -> Hybrid:
    """Fully connected parts for a target, complex [..., antenna, stream], of the target's power.

    chains: RF chains, from the number of streams to that of antennas; seed: of the first phases. Raises
    ConfigurationError.
    """
    refuse_bad_target(target, chains)
    if iterations < 1:
        raise ConfigurationError(f"iterations is {iterations}; legal are whole numbers from 1 on")
    analog = first_phases(target, chains, seed, "phases of PE-AltMin")
    for _ in range(iterations):
        # in doubles: of a stream that has next to no power, single precision finds no singular vectors
        left, _, right = torch.linalg.svd((target.mH @ analog).to(torch.complex128), full_matrices=False)
        digital = (right.mH @ left.mH).to(target)
        analog = torch.exp(1j * (target @ digital.mH).angle())
    return of_same_power(analog, digital, target)
