# SPDX-License-Identifier: GPL-2.0-only
"""The base class of all predictors: a module that maps the known past of the channel to its future."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Predictor(nn.Module, ABC):
    """`forward`: past [sample, antenna, history, tone] -> future [sample, antenna, horizon, tone], both complex64.

    The past is noisy and has unit mean power (`windows.cut`). Parameters of a predictor that learns require a gradient.
    """

    @abstractmethod
    def forward(self, past: Tensor) -> Tensor:
        """Predict."""

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name, in sorted order (so that all participants have the same order)."""
        return {name: p for name, p in sorted(self.named_parameters()) if p.requires_grad}


class SequencePredictor(Predictor):
    """A predictor that sees each antenna as its own sequence: a vector of real and imaginary parts at each time."""

    def forward(self, past: Tensor) -> Tensor:
        """Predict each antenna by itself."""
        samples, antennas = past.shape[:2]
        future = self.predict(to_real(past.flatten(0, 1)))
        return to_complex(future).unflatten(0, (samples, antennas))

    @abstractmethod
    def predict(self, x: Tensor) -> Tensor:
        """float32 [sequence, history, 2 tones] -> float32 [sequence, horizon, 2 tones]."""


def to_real(x: Tensor) -> Tensor:
    """complex64 [..., tone] -> float32 [..., 2 tones]: all real parts, then all imaginary parts."""
    return torch.cat((x.real, x.imag), dim=-1)


def to_complex(x: Tensor) -> Tensor:
    """The inverse of `to_real`."""
    real, imag = x.float().chunk(2, dim=-1)
    return torch.complex(real, imag)
