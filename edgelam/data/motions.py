# SPDX-License-Identifier: GPL-2.0-only
"""BasicMotions (fetched): series of a smart watch's accelerometer and gyroscope as continuous tokens.

A series of 10 s becomes 20 tokens: the level and the size of each channel, then patches of 1 s every half second
(series.py), as the tokeniser of edgelam.modalities cuts them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from edgelam.data import fetched
from edgelam.data.series import normalise, patches
from edgelam.data.task import Examples, Task

CHANNELS = {"basic-motions": (0, 6), "accelerometer": (0, 3), "gyroscope": (3, 6)}
"""Of each task, first and end: both sensors, or one of them."""
PATCH, STRIDE = 10, 5


def load(name: str) -> Task:
    """Return a task of CHANNELS, of 40 and 40 series.

    Inputs are [40, 20, PATCH x channels] float32; the first token has 2 x channels values and zeros behind them.
    """
    train, test = (_examples(part, *CHANNELS[name]) for part in ("train", "test"))
    return Task(name, "tokens", train, test, fetched.ACTIVITIES)


def _examples(part: fetched.Part, first: int, end: int) -> Examples:
    series, labels = fetched.motions(part)
    normal_BTC, level_BE = normalise(torch.from_numpy(series[:, :, first:end]))
    patches_BNF = patches(normal_BTC, PATCH, STRIDE)
    level_B1F = F.pad(level_BE, (0, patches_BNF.shape[2] - level_BE.shape[1]))[:, None]
    return Examples(torch.cat([level_B1F, patches_BNF], dim=1).numpy(), labels)
