# SPDX-License-Identifier: GPL-2.0-only
"""An image decoder: a diffusion model of handwritten digits of 8 x 8 pixels, told which digit it is to draw.

The forward process and its cosine schedule are those of A. Nichol and P. Dhariwal (arXiv 2102.09672); the network
predicts the velocity (T. Salimans and J. Ho, arXiv 2202.00512, section 4); an image is drawn in 25 deterministic steps
(DDIM: J. Song et al., arXiv 2010.02502). Only images: no model of video is small enough to be trained here.

Shape suffixes: B batch, X pixels (64), C classes (10).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.modalities.module import Module, taken
from edgelam.random_streams import derive_seed, torch_generator

SIDE = 8
PIXELS = SIDE * SIDE
CLASSES = 10
STEPS = 25
"""Steps of drawing an image."""
_WIDTH, _BLOCKS, _TIMES = 160, 3, 32


class Denoiser(nn.Module):
    """Noisy images [B, X], times [B] from 0 to 1, shares of the classes [B, C] -> velocities [B, X]."""

    def __init__(self) -> None:
        """Make one with random weights: 0.2 million."""
        super().__init__()
        self.enter = nn.Linear(PIXELS, _WIDTH)
        self.tell = nn.Linear(_TIMES + CLASSES, _WIDTH)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH))
            for _ in range(_BLOCKS)
        )
        self.leave = nn.Sequential(nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, PIXELS))

    def forward(self, noisy_BX: Tensor, time_B: Tensor, condition_BC: Tensor) -> Tensor:
        """See the class."""
        waves = torch.arange(1, _TIMES // 2 + 1) * (math.pi / 2) * time_B[:, None]
        told = self.tell(torch.cat([waves.sin(), waves.cos(), condition_BC], dim=1))
        hidden = self.enter(noisy_BX) + told
        for block in self.blocks:
            hidden = hidden + block(hidden + told)
        out: Tensor = self.leave(hidden)
        return out


def mix(clean_BX: Tensor, noise_BX: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return noisy images and the velocities that the network is to predict; time 0 is no noise, 1 is noise alone."""
    signal, noise = _levels(time_B[:, None])
    return signal * clean_BX + noise * noise_BX, signal * noise_BX - noise * clean_BX


@torch.no_grad()
def draw(network: nn.Module, condition_BC: Tensor, noise_BX: Tensor, *, steps: int = STEPS) -> Tensor:
    """Turn noise into images [B, X] of -1 to 1, in `steps` steps."""
    x_BX = noise_BX
    times = torch.linspace(1.0, 0.0, steps + 1)
    for now, then in pairwise(times):
        velocity_BX = network(x_BX, now.expand(len(x_BX)), condition_BC)
        signal, noise = _levels(now)
        clean_BX = (signal * x_BX - noise * velocity_BX).clamp(-1.0, 1.0)
        # what of x is noise, if this is the clean image
        left_BX = (x_BX - signal * clean_BX) / noise.clamp(min=1e-3)
        signal, noise = _levels(then)
        x_BX = signal * clean_BX + noise * left_BX
    return x_BX


def _levels(time: Tensor) -> tuple[Tensor, Tensor]:
    """Return the shares of signal and noise at a time; their squares add up to 1."""
    angle = time * (math.pi / 2)
    return angle.cos(), angle.sin()


class DigitDecoder(Module):
    """``condition`` float32 [10], the share of each digit, and ``noise_seed`` int64 [1] -> ``picture`` uint8 [8, 8]."""

    takes = ("condition", "noise_seed")
    gives = ("picture",)

    def __init__(self, network: Denoiser) -> None:
        """network: the denoiser."""
        self.name, self.network = "digit-decoder", network.eval()

    @property
    def settings(self) -> str:
        """The number of steps."""
        return f"{type(self).__qualname__} {STEPS}"

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        condition = taken(self, inputs, "condition", torch.float32, CLASSES)
        seed = int(taken(self, inputs, "noise_seed", torch.int64, 1)[0])
        if seed < 0:
            raise ConfigurationError(f"module {self.name!r}: 'noise_seed' is {seed}; legal is 0 or more")
        picture = draw(self.network, condition[None], start(1, seed))[0]
        return {"picture": ((picture.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).view(SIDE, SIDE)}


def start(count: int, seed: int) -> Tensor:
    """Return the noise [count, X] that pictures begin with."""
    return torch.randn(count, PIXELS, generator=torch_generator(derive_seed(seed, "noise of a picture")))


def loss(network: nn.Module, clean_BX: Tensor, condition_BC: Tensor, generator: torch.Generator) -> Tensor:
    """Return the mean squared error of the velocities at random times with random noise."""
    time_B = torch.rand(len(clean_BX), generator=generator)
    noise_BX = torch.randn(clean_BX.shape, generator=generator)
    noisy_BX, velocity_BX = mix(clean_BX, noise_BX, time_B)
    return F.mse_loss(network(noisy_BX, time_B, condition_BC), velocity_BX)
