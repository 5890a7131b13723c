# SPDX-License-Identifier: GPL-2.0-only
"""Weights of users' rates from the deadline of a learning task's round.

A round ends when the last device has its bytes, so a device with more bits left needs a larger rate: the rate that
would just do is bits / (time left x bandwidth), in bit/s/Hz, and it is the weight. Decided again as bits arrive, the
largest weighted sum rate then is the rule of the largest backlogs (Tassiulas and Ephremides, IEEE Trans. Autom. Control
1992), and a device that has everything has weight 0. `max_min` with the inverse weights gives all of them the same
share of what they need: then all end at the same time, which is the shortest round of a channel that does not change.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError


def needed_rates(bits: Tensor, left_s: float | Tensor, bandwidth_hz: float) -> Tensor:
    """Rates that would just do, in bit/s/Hz, float64 [..., user]: weights for `Downlink`.

    bits: that each user still has to get, real [..., user], not negative; left_s: until the deadline, a number or real
    [...], above 0; bandwidth_hz: of the cell. Raises ConfigurationError for other values, and where nobody needs
    anything, since weights may not all be 0.
    """
    amounts = torch.as_tensor(bits).double()
    left = torch.as_tensor(left_s, dtype=torch.float64)
    if not (torch.isfinite(amounts).all() and (amounts >= 0).all()):
        raise ConfigurationError("bits has values that are negative or not finite; legal are numbers from 0 on")
    if not (amounts.sum(-1) > 0).all():
        raise ConfigurationError("bits are all 0: nobody needs anything, and there is nothing to weigh")
    if not (torch.isfinite(left).all() and (left > 0).all()):
        raise ConfigurationError(f"left_s is {left.min().item():g}; legal are finite times above 0 s")
    if not 0.0 < bandwidth_hz < float("inf"):
        raise ConfigurationError(f"bandwidth_hz is {bandwidth_hz:g}; legal are finite numbers above 0")
    return amounts / (left[..., None] * bandwidth_hz)


def round_time_s(bits: Tensor, rates: Tensor, bandwidth_hz: float) -> Tensor:
    """Time until the last user has its bits with rates that stay, s, real [...]; rates: bit/s/Hz, real [..., user].

    Infinite if a user with bits has no rate.
    """
    times = torch.where(bits > 0, bits / (rates.clamp_min(0) * bandwidth_hz), 0.0)
    return times.amax(-1)
