# SPDX-License-Identifier: GPL-2.0-only
"""Convolutional predictor: the past is an image over time and frequency.

LLM4CP's baseline (arXiv 2406.14440, after Safari et al., "Deep UL2DL", IEEE OJVT 2020): a stack of 3 x 3 convolutions
over time and tones, then a linear map along time from the past to the future at each tone.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgelam.air.prediction.predictor import SequencePredictor
from edgelam.air.prediction.settings import WindowSettings
from edgelam.errors import ConfigurationError


class CNN(SequencePredictor):
    """`layers` convolutions with `channels` channels and ReLU between them; their output is added to the input."""

    def __init__(self, window: WindowSettings, channels: int = 64, layers: int = 8) -> None:
        """channels: at least 1; layers: at least 2."""
        super().__init__()
        if channels < 1 or layers < 2:
            raise ConfigurationError(f"channels {channels}, layers {layers}; legal are 1 and 2 or more")
        widths = [2, *[channels] * (layers - 1), 2]
        convolutions: list[nn.Module] = []
        for i in range(layers):
            convolutions += [nn.Conv2d(widths[i], widths[i + 1], 3, padding=1), nn.ReLU()]
        self.convolutions = nn.Sequential(*convolutions[:-1])
        self.along_time = nn.Linear(window.history, window.horizon)

    def predict(self, x: Tensor) -> Tensor:
        """[sequence, history, 2 tones] -> [sequence, horizon, 2 tones]."""
        image = x.unflatten(-1, (2, -1)).movedim(2, 1)  # [sequence, re/im, time, tone]
        image = image + self.convolutions(image)
        future = self.along_time(image.transpose(2, 3)).transpose(2, 3)
        return future.movedim(1, 2).flatten(2)
