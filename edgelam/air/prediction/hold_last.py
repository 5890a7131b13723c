# SPDX-License-Identifier: GPL-2.0-only
"""No prediction: the last snapshot is held."""

from __future__ import annotations

from torch import Tensor

from edgelam.air.prediction.predictor import Predictor
from edgelam.air.prediction.settings import WindowSettings
from edgelam.errors import ConfigurationError


class HoldLast(Predictor):
    """Predicts the last known snapshot for all future times. It is only for TDD: it cannot predict another band."""

    def __init__(self, window: WindowSettings) -> None:
        """Raises ConfigurationError for FDD."""
        super().__init__()
        if window.duplex != "tdd":
            raise ConfigurationError("hold-last with duplex fdd: it cannot predict another band; legal is tdd")
        self.horizon = window.horizon

    def forward(self, past: Tensor) -> Tensor:
        """Return the last snapshot of `past`, `horizon` times."""
        return past[:, :, -1:].expand(-1, -1, self.horizon, -1)
