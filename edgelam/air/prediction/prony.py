# SPDX-License-Identifier: GPL-2.0-only
"""Prony prediction in the delay domain (PAD: Yin et al., "Addressing the curse of mobility in massive MIMO with
Prony-based angular-delay domain channel predictions", IEEE JSAC 2020).

Over the band and the array, a channel is a sum of rays. At one delay (and in one direction) there are only a few rays,
and each is a complex exponential in time. A sum of L exponentials obeys a linear recursion y(t) = sum_l p_l y(t - l),
l = 1..L. The recursion of each delay is fitted to the past by least squares, jointly over all antennas, since they see
the same Doppler shifts (the paper's vector Prony), and is then continued.

There are four differences. Exponentials that neither grow nor fade obey the same recursion backwards in time with
conjugate values, so both directions can be fitted together (the modified covariance method; Marple, "Digital Spectral
Analysis", 1987). There is no transform over the array (it would need the geometry, and fitting jointly over antennas
gives the same gain). The fit has a ridge against noise. Delays that are too weak to fit are held at their last value.

Times between the snapshots' own (`steps`) are predicted from the poles of the recursion, as Prony did: the amplitude of
each pole is fitted to the past by least squares, and poles outside of the unit circle are put on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgelam.air.prediction.predictor import Predictor
from edgelam.air.prediction.settings import WindowSettings
from edgelam.errors import ConfigurationError

RIDGE = 0.03  # for pilots with the noise of LLM4CP's tests


class Prony(Predictor):
    """Prony's method, which learns nothing beforehand: every sample is fitted by itself. It is only for TDD."""

    def __init__(
        self,
        window: WindowSettings,
        *,
        order: int | None = None,
        ridge: float = RIDGE,
        energy: float = 0.99,
        steps: Sequence[float] | None = None,
        both_directions: bool = True,
    ) -> None:
        """order: exponentials L of each delay, 1 to (history - 1) / 2, None: as many, but at most 4; ridge: of the fit,
        relative to the power of the delay, not negative; energy: the strongest delays that have this share of the power
        are fitted, 0 to 1; steps: times of the `horizon` predicted snapshots after the last known one, in periods of
        the past, positive; None: 1, 2, ..., by the recursion itself; both_directions: whether the recursion is fitted
        backwards, too, which helps against noise.
        """
        super().__init__()
        if window.duplex != "tdd":
            raise ConfigurationError("prony with duplex fdd: it cannot predict another band; legal is tdd")
        most = (window.history - 1) // 2
        order = min(4, most) if order is None else order
        if not 1 <= order <= most:
            raise ConfigurationError(f"prony of order {order}; legal are 1 to {most}")
        if ridge < 0 or not 0 <= energy <= 1:
            raise ConfigurationError(f"prony with ridge {ridge}, energy {energy}; legal are >= 0 and 0 to 1")
        if steps is not None and (len(steps) != window.horizon or not all(0 < step < float("inf") for step in steps)):
            raise ConfigurationError(f"prony with steps {list(steps)}; legal are {window.horizon} positive numbers")
        self.horizon, self.order, self.ridge, self.energy = window.horizon, order, ridge, energy
        self.both_directions = both_directions
        self.steps = None if steps is None else torch.tensor(steps, dtype=torch.float32)

    def forward(self, past: Tensor) -> Tensor:
        """Transform to the delay domain, fit and continue each delay, and transform back."""
        delays = torch.fft.ifft(past, dim=-1, norm="ortho").movedim(-1, 1)  # [sample, delay, antenna, time]
        coefficients = self._fit(delays)
        continued = self._recursion(delays, coefficients) if self.steps is None else self._poles(delays, coefficients)
        kept = self._strong(delays)[:, :, None, None]
        future = torch.where(kept, continued, delays[..., -1:])
        return torch.fft.fft(future.movedim(1, -1), dim=-1, norm="ortho")

    def _recursion(self, delays: Tensor, coefficients: Tensor) -> Tensor:
        """[sample, delay, antenna, time], [sample, delay, order] -> [sample, delay, antenna, horizon]."""
        series = delays
        for _ in range(self.horizon):
            following = (series[..., -self.order :] * coefficients[:, :, None]).sum(-1, keepdim=True)
            # a noisy fit may have growing exponentials: no snapshot is stronger than the strongest of the past
            series = torch.cat((series, _bounded(following, delays)), dim=-1)
        return series[..., -self.horizon :]

    def _poles(self, delays: Tensor, coefficients: Tensor) -> Tensor:
        """Like `_recursion`, at the times `steps`."""
        assert self.steps is not None
        history = delays.shape[-1]
        companion = torch.diag_embed(torch.ones_like(coefficients[..., 1:]), offset=1)
        companion[..., -1, :] = coefficients
        poles = torch.linalg.eigvals(companion)
        size = poles.abs().clamp_min(1e-3)  # one that has died away at once has no logarithm
        exponents = torch.complex(size.clamp_max(1).log(), poles.angle())[..., None, :]  # [sample, delay, 1, order]
        past = torch.exp(exponents * torch.arange(history, device=delays.device)[:, None])
        wanted = torch.exp(exponents * (history - 1 + self.steps.to(delays.device))[:, None])
        gram = past.mH @ past + 1e-3 * history * torch.eye(self.order, device=delays.device)
        amplitudes = torch.linalg.solve(gram, past.mH @ delays.mT)  # [sample, delay, order, antenna]
        return _bounded((wanted @ amplitudes).mT, delays)

    def _fit(self, delays: Tensor) -> Tensor:
        """[sample, delay, antenna, time] -> recursion [sample, delay, order], the factor of the oldest value first."""
        if self.both_directions:
            delays = torch.cat((delays, delays.flip(-1).conj()), dim=2)
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
