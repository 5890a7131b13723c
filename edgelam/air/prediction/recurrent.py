# SPDX-License-Identifier: GPL-2.0-only
"""Recurrent predictors: an encoder reads the past, and a decoder of the same kind writes the future, step by step.

The baselines of LLM4CP (arXiv 2406.14440) are recurrent networks of four layers; each prediction is the input of the
next step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edgelam.air.prediction.predictor import SequencePredictor
from edgelam.air.prediction.settings import WindowSettings
from edgelam.errors import ConfigurationError


class Recurrent(SequencePredictor):
    """The common part of `RNN`, `LSTM` and `GRU`; `cell` is the kind of layer."""

    cell: ClassVar[Callable[..., Any]]

    def __init__(self, window: WindowSettings, width: int = 192, layers: int = 4) -> None:
        """width: of the hidden state; layers: how many are stacked; both at least 1."""
        super().__init__()
        if width < 1 or layers < 1:
            raise ConfigurationError(f"width {width}, layers {layers}; legal are 1 or more")
        self.horizon = window.horizon
        features = 2 * window.tones
        self.embed = nn.Linear(features, width)
        self.encoder = self.cell(width, width, layers, batch_first=True)
        self.decoder = self.cell(width, width, layers, batch_first=True)
        self.project = nn.Linear(width, features)

    def predict(self, x: Tensor) -> Tensor:
        """[sequence, history, features] -> [sequence, horizon, features]."""
        _, state = self.encoder(self.embed(x))
        step, future = x[:, -1:], []
        for _ in range(self.horizon):
            hidden, state = self.decoder(self.embed(step), state)
            step = step + self.project(hidden)  # what is learned is the change from snapshot to snapshot
            future.append(step)
        return torch.cat(future, dim=1)
