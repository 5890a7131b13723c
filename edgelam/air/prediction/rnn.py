# SPDX-License-Identifier: GPL-2.0-only
"""Channel prediction by Elman's recurrent network (nn.RNN)."""

from torch import nn

from edgelam.air.prediction.recurrent import Recurrent


class RNN(Recurrent):
    """Encoder and decoder of `nn.RNN` layers."""

    cell = nn.RNN
