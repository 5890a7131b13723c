# SPDX-License-Identifier: GPL-2.0-only
"""The predictors by name. Each is made from window settings; the weights of those that learn are drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgelam.air.prediction.cnn import CNN
from edgelam.air.prediction.gru import GRU
from edgelam.air.prediction.hold_last import HoldLast
from edgelam.air.prediction.lstm import LSTM
from edgelam.air.prediction.predictor import Predictor
from edgelam.air.prediction.prony import Prony
from edgelam.air.prediction.rnn import RNN
from edgelam.air.prediction.settings import WindowSettings
from edgelam.air.prediction.transformer import Transformer
from edgelam.random_streams import torch_seeded

PREDICTORS: dict[str, Callable[..., Predictor]] = {
    "hold-last": HoldLast,
    "prony": Prony,
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "cnn": CNN,
    "transformer": Transformer,
}
"""All but the LAM, which needs a backbone (`lam.Lam`)."""


def make(name: str, window: WindowSettings, *, seed: int = 0, **sizes: Any) -> Predictor:
    """Return a predictor by its name; sizes: what its class takes."""
    with torch_seeded(seed):
        return PREDICTORS[name](window, **sizes)
