# SPDX-License-Identifier: GPL-2.0-only
"""How good a prediction is: normalised squared error, and the spectral efficiency of precoding with it."""

from __future__ import annotations

import torch
from torch import Tensor


def nmse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the normalised mean squared error of each sample: its squared error over its power.

    Both are complex [sample, antenna, time, tone]; the result is real [sample]. Its mean over samples is reported, and
    is the training loss: every sample counts the same, whatever its power.
    """
    over = (1, 2, 3)
    return _power(prediction - target).sum(over) / _power(target).sum(over)


def batch_nmse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of all samples together over their power, a scalar: strong samples count more."""
    return _power(prediction - target).sum() / _power(target).sum()


def spectral_efficiency(prediction: Tensor, channel: Tensor, snr_db: float) -> Tensor:
    """Return the rate in bit/s/Hz of each sample when the transmitter's precoder is matched to the prediction.

    prediction, channel: complex [sample, antenna, time, tone] with one receiving antenna and the antennas of the
    transmitter; w = conj(prediction)/|prediction| for each time and tone, rate log2(1 + snr |h^T w|^2), averaged over
    times and tones. snr_db: for one transmitting antenna of mean gain: `channel` is divided by the root of its mean
    power in the sample. A prediction equal to the channel gives the largest possible rate (maximum ratio transmission).
    """
    mean_power = _power(channel).mean((1, 2, 3), keepdim=True)
    norm = _power(prediction).sum(1, keepdim=True).sqrt().clamp_min(torch.finfo(torch.float32).tiny)
    gain = _power((channel * prediction.conj() / norm).sum(1)) / mean_power[:, 0]
    return torch.log2(1 + 10 ** (snr_db / 10) * gain).mean((1, 2))


def _power(x: Tensor) -> Tensor:
    return x.real.square() + x.imag.square()
