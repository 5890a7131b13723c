# SPDX-License-Identifier: GPL-2.0-only
"""Independent Rayleigh fading: every coefficient is CN(0, 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator


def iid(samples: int, users: int, antennas: int, *, seed: int, dtype: torch.dtype = torch.complex64) -> Tensor:
    """Channel [sample, user, antenna] as `Downlink` takes it. Raises ConfigurationError for a number below 1."""
    if min(samples, users, antennas) < 1:
        raise ConfigurationError(f"samples {samples}, users {users}, antennas {antennas}; legal are numbers from 1 on")
    generator = torch_generator(derive_seed(seed, "channels without correlation"))
    return complex_normal((samples, users, antennas), generator).to(dtype)


def complex_normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """CN(0, 1), complex128 of this shape."""
    return torch.randn(shape, dtype=torch.complex128, generator=generator)
