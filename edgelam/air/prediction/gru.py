# SPDX-License-Identifier: GPL-2.0-only
"""Channel prediction by gated recurrent units (nn.GRU)."""

from torch import nn

from edgelam.air.prediction.recurrent import Recurrent


class GRU(Recurrent):
    """Encoder and decoder of `nn.GRU` layers."""

    cell = nn.GRU
