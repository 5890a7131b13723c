# SPDX-License-Identifier: GPL-2.0-only
"""Channel prediction by long short-term memory (nn.LSTM)."""

from torch import nn

from edgelam.air.prediction.recurrent import Recurrent


class LSTM(Recurrent):
    """Encoder and decoder of `nn.LSTM` layers."""

    cell = nn.LSTM
