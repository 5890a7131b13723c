# SPDX-License-Identifier: GPL-2.0-only
"""The downlink with reflecting surfaces, whose elements turn the phase of what they reflect.

With the phase factors v_n, |v_n| = 1, of all elements of all surfaces, the channel of user k is

    h_k^H = d_k + sum_n v_n A_kn,    A_kn = (surface to user)_kn (base station to surface)_n

so a surface is its cascaded channel A, and several surfaces are one with the elements of all; what goes from one
surface to another is left out. Everything else is as in `Downlink`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import Downlink, refuse_bad_tensor, refuse_not_positive
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator


@dataclass(frozen=True, eq=False)
class SurfaceDownlink:
    """Channels of a batch of cells with surfaces; power, noise and weights as of `Downlink`.

    Raises ConfigurationError for wrong shapes and types, and for values that are not finite or not positive; `at`
    raises it for the effective channel as `Downlink` does.
    """

    direct: Tensor
    """complex [..., user, antenna]: d_k."""
    cascaded: Tensor
    """complex [..., user, element, antenna], of the same type: A_kn."""
    power: float | Tensor = 1.0
    noise_power: float | Tensor = 1.0
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        """Check all values."""
        refuse_bad_tensor(self.direct, "direct", "[..., user, antenna]")
        refuse_bad_tensor(self.cascaded, "cascaded", "[..., user, element, antenna]", 3)
        *batch, users, antennas = self.direct.shape
        wanted = (*batch, users, self.cascaded.shape[-2], antennas)
        if self.cascaded.shape != wanted or self.cascaded.dtype != self.direct.dtype:
            raise ConfigurationError(
                f"cascaded is {self.cascaded.dtype} {list(self.cascaded.shape)}; legal for this direct channel is "
                f"{self.direct.dtype} {[*batch, users, 'element', antennas]}"
            )
        refuse_not_positive(self.power, "power", self.direct.shape[:-2])
        refuse_not_positive(self.noise_power, "noise_power", self.direct.shape[:-2])

    @property
    def num_elements(self) -> int:
        """How many elements all surfaces have."""
        return self.cascaded.shape[-2]

    def at(self, phases: Tensor) -> Downlink:
        """The downlink with these phase factors, complex [element] or [..., element], of modulus 1.

        Raises ConfigurationError for another shape or modulus.
        """
        if phases.shape[-1:] != (self.num_elements,):
            raise ConfigurationError(f"phases are {list(phases.shape)}; legal is [..., {self.num_elements}]")
        refuse_bad_phases(phases)
        return Downlink(
            effective(self.direct, self.cascaded, phases.to(self.direct)), self.power, self.noise_power, self.weights
        )


def refuse_bad_phases(phases: Tensor) -> None:
    """Refuse phase factors whose modulus is not 1: ConfigurationError."""
    modulus = phases.abs()
    if not torch.isclose(modulus, torch.ones_like(modulus), rtol=0, atol=1e-4).all():
        raise ConfigurationError(
            f"phases have moduli from {modulus.min().item():g} to {modulus.max().item():g}; legal is 1 for all"
        )


def effective(direct: Tensor, cascaded: Tensor, phases: Tensor) -> Tensor:
    """Channel [..., user, antenna] with these phase factors, [..., element]."""
    return direct + (phases[..., None, None, :] @ cascaded)[..., 0, :]


def random_phases(samples: int, elements: int, *, seed: int, dtype: torch.dtype = torch.complex64) -> Tensor:
    """Phase factors uniform on the circle, complex [sample, element]."""
    generator = torch_generator(derive_seed(seed, "phases of surfaces"))
    angles = 2 * math.pi * torch.rand(samples, elements, dtype=torch.float64, generator=generator)
    return torch.polar(torch.ones_like(angles), angles).to(dtype)
