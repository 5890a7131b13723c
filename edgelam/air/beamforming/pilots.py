# SPDX-License-Identifier: GPL-2.0-only
"""Pilots of users that a base station receives over surfaces (uplink; Jiang, Cheng and Yu, arXiv 2009.14404).

In each of T sub-frames, with phases of its own, every user sends as many symbols as there are users: the rows of a
unitary matrix X. The channel is reciprocal, so the uplink channel of user k is the transpose of its row h_k^H:

    Y_t = sqrt(power K) sum_k (d_k + sum_n v_tn A_kn)^T x_k + N_t,    and after correlation with x_k, / sqrt(power K)
    Z_kt = d_k + sum_n v_tn A_kn + noise of variance noise_power / (power K)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgelam.air.beamforming.channels.iid import complex_normal
from edgelam.air.beamforming.problem import refuse_not_positive
from edgelam.air.beamforming.surface import SurfaceDownlink, refuse_bad_phases
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator


def receive_pilots(
    surface: SurfaceDownlink, phases: Tensor, *, power: float, noise_power: float, seed: int
) -> tuple[Tensor, float]:
    """What the base station knows of each user: Z, complex [..., user, sub-frame, antenna], and its noise variance.

    phases: complex [sub-frame, element] of modulus 1; power: of each user; noise_power: at each antenna of the base
    station, in the same unit. T sub-frames are T K pilots. Raises ConfigurationError.
    """
    refuse_not_positive(power, "power", torch.Size())
    refuse_not_positive(noise_power, "noise_power", torch.Size())
    if phases.ndim != 2 or phases.shape[1] != surface.num_elements or not len(phases):
        raise ConfigurationError(
            f"phases of pilots are {list(phases.shape)}; legal is [sub-frame, {surface.num_elements}]"
        )
    refuse_bad_phases(phases)
    direct, users = surface.direct.to(torch.complex128), surface.direct.shape[-2]
    amplitude = math.sqrt(power * users)
    symbols = torch.fft.fft(torch.eye(users, dtype=torch.complex128), norm="ortho").to(direct.device)
    seen = direct[..., None, :] + phases.to(direct) @ surface.cascaded.to(direct)  # [..., user, sub-frame, antenna]
    sent = amplitude * torch.einsum("...ktm,ks->...tms", seen, symbols)
    generator = torch_generator(derive_seed(seed, "noise of pilots"))
    received = sent + math.sqrt(noise_power) * complex_normal(tuple(sent.shape), generator).to(direct.device)
    known = torch.einsum("...tms,ks->...ktm", received, symbols.conj()) / amplitude
    return known, noise_power / (power * users)
