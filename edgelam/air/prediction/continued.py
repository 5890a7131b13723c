# SPDX-License-Identifier: GPL-2.0-only
"""A predictor that learns what Prony's method leaves: it sees the past and Prony's continuation of it, and its output
is added to that continuation.

Prony's method knows that channels are few rays at each delay, which a network must learn from samples; a network knows
how much of a fit is noise. The layer that makes the output begins at zero, so that training begins at Prony's error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgelam.air.prediction.predictor import Predictor
from edgelam.air.prediction.prony import Prony
from edgelam.air.prediction.settings import WindowSettings


class Continued(Predictor):
    """`inner` predicts from history + horizon snapshots, of which the last `horizon` are Prony's."""

    def __init__(self, window: WindowSettings, make: Callable[[WindowSettings], Predictor], base: Prony) -> None:
        """make: the inner predictor for a window; base: what is continued, of the same window."""
        super().__init__()
        self.base = base
        self.inner = make(dataclasses.replace(window, history=window.history + window.horizon))
        last = getattr(self.inner, "project", None) or getattr(self.inner, "along_time", None)
        assert isinstance(last, nn.Linear)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, past: Tensor) -> Tensor:
        """Predict."""
        with torch.no_grad(), torch.autocast(past.device.type, enabled=False):
            continued = self.base(past)
        return continued + self.inner(torch.cat((past, continued), dim=2))
