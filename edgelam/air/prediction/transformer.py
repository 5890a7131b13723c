# SPDX-License-Identifier: GPL-2.0-only
"""Transformer predictor of all steps in parallel: an encoder over the past, and a decoder over the future.

After Jiang et al., "Accurate channel prediction based on transformer: making mobility negligible" (IEEE JSAC 2022), a
baseline of LLM4CP: nothing is fed back, so errors do not add up. The decoder's inputs are the last known snapshot with
the position of each future step.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from edgelam.air.prediction.predictor import SequencePredictor
from edgelam.air.prediction.settings import WindowSettings
from edgelam.errors import ConfigurationError


class Transformer(SequencePredictor):
    """`nn.TransformerEncoder` and `nn.TransformerDecoder` between two linear maps."""

    def __init__(self, window: WindowSettings, width: int = 128, heads: int = 8, layers: int = 3) -> None:
        """width: of a token, a multiple of `heads` and of 2; layers: how many the encoder and the decoder each have."""
        super().__init__()
        if min(width, heads, layers) < 1 or width % heads or width % 2:
            raise ConfigurationError(
                f"width {width}, heads {heads}, layers {layers}; legal are 1 or more, width a multiple of heads and 2"
            )
        features = 2 * window.tones
        self.horizon = window.horizon
        self.embed = nn.Linear(features, width)
        options: dict[str, Any] = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(width, heads, 4 * width, **options), layers, enable_nested_tensor=False
        )
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, heads, 4 * width, **options), layers)
        self.project = nn.Linear(width, features)
        self.register_buffer("places", sinusoids(window.history + window.horizon, width), persistent=False)

    def predict(self, x: Tensor) -> Tensor:
        """[sequence, history, 2 tones] -> [sequence, horizon, 2 tones]."""
        places: Tensor = self.places  # type: ignore[assignment]
        history = x.shape[1]
        last = x[:, -1:]
        past = self.embed(x) + places[:history]
        wanted = self.embed(last) + places[history:]
        return last + self.project(self.decoder(wanted, self.encoder(past)))


def sinusoids(length: int, width: int) -> Tensor:
    """Positions of "Attention is all you need" (arXiv 1706.03762, section 3.5): float32 [length, width], width even."""
    angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
