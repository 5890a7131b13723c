# SPDX-License-Identifier: GPL-2.0-only
"""Prony prediction in the delay domain (PAD: Yin et al., "Addressing the curse of mobility in massive MIMO with
Prony-based angular-delay domain channel predictions", IEEE JSAC 2020).

Over the band and the array, a channel is a sum of rays. At one delay (and in one direction) there are only a few rays,
and each is a complex exponential in time. A sum of L exponentials obeys a linear recursion y(t) = sum_l p_l y(t - l),
l = 1..L. The recursion of each delay is fitted to the past by least squares, jointly over all antennas, since they see
the same Doppler shifts (the paper's vector Prony), and is then continued.

There are three differences. There is no transform over the array (it would need the geometry, and fitting jointly over
antennas gives the same gain). The fit has a ridge against noise. Delays that are too weak to fit are held at their last
value.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.prediction.predictor import Predictor
from edgelam.air.prediction.settings import WindowSettings
from edgelam.errors import ConfigurationError


class Prony(Predictor):
    """Prony's method, which learns nothing beforehand: every sample is fitted by itself. It is only for TDD."""

    def __init__(self, window: WindowSettings, order: int = 4, ridge: float = 0.03, energy: float = 0.99) -> None:
        """order: exponentials L of each delay, 1 to (history - 1) / 2; ridge: of the fit, relative to the power of the
        delay, not negative; energy: the strongest delays that have this share of the power are fitted, 0 to 1.
        """
        super().__init__()
        if window.duplex != "tdd":
            raise ConfigurationError("prony with duplex fdd: it cannot predict another band; legal is tdd")
        if not 1 <= order <= (window.history - 1) // 2:
            raise ConfigurationError(f"prony of order {order}; legal are 1 to {(window.history - 1) // 2}")
        if ridge < 0 or not 0 <= energy <= 1:
            raise ConfigurationError(f"prony with ridge {ridge}, energy {energy}; legal are >= 0 and 0 to 1")
        self.horizon, self.order, self.ridge, self.energy = window.horizon, order, ridge, energy

    def forward(self, past: Tensor) -> Tensor:
        """Transform to the delay domain, fit and continue each delay, and transform back."""
        delays = torch.fft.ifft(past, dim=-1, norm="ortho").movedim(-1, 1)  # [sample, delay, antenna, time]
        last = delays[..., -1:]
        series = delays
        coefficients = self._fit(delays)[:, :, None]  # [sample, delay, 1, order], oldest first
        for _ in range(self.horizon):
            following = (series[..., -self.order :] * coefficients).sum(-1, keepdim=True)
            # a noisy fit may have growing exponentials: no snapshot is stronger than the strongest of the past
            series = torch.cat((series, _bounded(following, delays)), dim=-1)
        kept = self._strong(delays)[:, :, None, None]
        future = torch.where(kept, series[..., -self.horizon :], last)
        return torch.fft.fft(future.movedim(1, -1), dim=-1, norm="ortho")

    def _fit(self, delays: Tensor) -> Tensor:
        """[sample, delay, antenna, time] -> recursion [sample, delay, order], the factor of the oldest value first."""
        windows = delays.unfold(-1, self.order, 1)[..., :-1, :]  # y(t - L) .. y(t - 1)
        wanted = delays[..., self.order :]
        gram = torch.einsum("sdati,sdatj->sdij", windows.conj(), windows)
        right = torch.einsum("sdati,sdat->sdi", windows.conj(), wanted)
        trace = gram.diagonal(dim1=-2, dim2=-1).real.mean(-1)
        floor = torch.finfo(torch.float32).tiny
        diagonal = (self.ridge * trace).clamp_min(floor)[..., None, None] * torch.eye(self.order, device=delays.device)
        return torch.linalg.solve(gram + diagonal, right)

    def _strong(self, delays: Tensor) -> Tensor:
        """Return which delays are fitted: bool [sample, delay]."""
        power = (delays.real.square() + delays.imag.square()).sum((-2, -1))
        ordered, place = power.sort(dim=1, descending=True)
        before = ordered.cumsum(1) - ordered
        kept = before < self.energy * power.sum(1, keepdim=True)
        return torch.zeros_like(kept).scatter(1, place, kept)


def _bounded(x: Tensor, past: Tensor) -> Tensor:
    """Scale a prediction down if it is stronger than every snapshot of the past."""
    most = past.abs().amax(-1, keepdim=True)
    return x * (most / x.abs().clamp_min(torch.finfo(torch.float32).tiny)).clamp_max(1)
