# SPDX-License-Identifier: GPL-2.0-only
"""Sensing and sending at once: what the array radiates into each direction, against the rate of the users.

The streams of K users, and D further ones that carry nothing and are noise to all users, make the covariance R = W W^H
and the beam pattern a(t)^H R a(t). It should be a desired pattern d(t) up to a factor (Stoica, Li and Xie, IEEE Trans.
Signal Process. 2007; Liu et al., IEEE Trans. Signal Process. 2020):

    error = min over c >= 0 of mean over t of (c d(t) - a(t)^H R a(t))^2 / mean over t of (c d(t))^2
    value = (1 - share) weighted sum rate / reference - share error                     to be made large

The error does not depend on the power. `radar_covariance` finds the covariance with the least error among all, which is
a convex problem, by accelerated projected gradients; its gap to the optimum is returned. `sense_and_send` is the
optimiser for both together: gradient ascent from several starts, which finds stationary points and proves nothing.

Shape suffixes: T directions, N antennas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from edgelam.air.beamforming.channels.iid import complex_normal
from edgelam.air.beamforming.problem import Downlink, others, refuse_bad_tensor, squared
from edgelam.air.beamforming.weighted_mmse import wmmse
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator

RADAR_STEPS = 3000
CONVERGED = 1e-7


def steering(antennas: int, directions_deg: Tensor, *, spacing: float = 0.5) -> Tensor:
    """Responses of a row of antennas, complex128 [direction, antenna]; spacing in wavelengths; 0 degrees: broadside."""
    if antennas < 1 or not torch.isfinite(directions_deg).all():
        raise ConfigurationError(f"antennas is {antennas}; legal are numbers from 1 on, and finite directions")
    place = torch.arange(antennas, dtype=torch.float64)
    angle = 2 * math.pi * spacing * torch.sin(torch.deg2rad(directions_deg.double()))[:, None] * place
    return torch.polar(torch.ones_like(angle), angle)


def beams_at(targets_deg: tuple[float, ...], width_deg: float, directions_deg: Tensor) -> Tensor:
    """Return a desired pattern, real [direction]: 1 within half of the width around each target, 0 elsewhere."""
    near = (directions_deg[:, None] - torch.tensor(targets_deg)).abs() <= width_deg / 2
    return near.any(-1).double()


@dataclass(frozen=True, eq=False)
class BeamPattern:
    """What an array should radiate into each direction, up to a factor; checked when it is made.

    Raises ConfigurationError.
    """

    responses: Tensor
    """complex [direction, antenna]: a(t)^T of each direction, as `steering` gives it."""
    desired: Tensor
    """real [direction], not negative and not all 0."""

    def __post_init__(self) -> None:
        """Check all values."""
        refuse_bad_tensor(self.responses, "responses", "[direction, antenna]")
        if self.responses.ndim != 2:
            raise ConfigurationError(f"responses are {list(self.responses.shape)}; legal is [direction, antenna]")
        if self.desired.shape != self.responses.shape[:1] or self.desired.is_complex():
            raise ConfigurationError(
                f"desired is {self.desired.dtype} {list(self.desired.shape)}; legal is real [{len(self.responses)}]"
            )
        if not (torch.isfinite(self.desired).all() and (self.desired >= 0).all() and self.desired.any()):
            raise ConfigurationError("desired has values that are negative, not finite, or all 0; legal are others")

    def of(self, precoder: Tensor) -> Tensor:
        """Power into each direction, real [..., direction]; precoder [..., antenna, stream]."""
        return squared(self.responses.conj().to(precoder) @ precoder).sum(-1)

    def error(self, precoder: Tensor) -> Tensor:
        """Error with the best factor, real [...]; 0: it is the desired pattern; 1: nothing of it.

        With the best factor c = mean p^2 / mean d p it is 1 - (mean d p)^2 / (mean d^2 mean p^2): the squared sine of
        the angle between both.
        """
        pattern = self.of(precoder)
        desired = self.desired.to(pattern)
        overlap = (pattern * desired).mean(-1)
        both = pattern.square().mean(-1) * desired.square().mean()
        return 1 - overlap.square() / both.clamp_min(torch.finfo(pattern.dtype).tiny)

    @cached_property
    def optimum(self) -> tuple[Tensor, float]:
        """What `radar_covariance` returns."""
        return radar_covariance(self)

    @property
    def beams(self) -> Tensor:
        """Streams of that covariance, complex128 [antenna, stream], the strongest last, of power 1 together."""
        values, vectors = torch.linalg.eigh(self.optimum[0])
        return vectors * values.clamp_min(0).sqrt().to(vectors)


@dataclass(frozen=True, eq=False)
class SensingDownlink:
    """A downlink whose array also has to radiate a pattern; checked when it is made. Raises ConfigurationError."""

    downlink: Downlink
    """Channels [sample, user, antenna], power, noise, weights."""
    pattern: BeamPattern
    probing: int = 0
    """Streams that carry nothing."""

    def __post_init__(self) -> None:
        """Check all values."""
        antennas = self.downlink.num_antennas
        if self.downlink.channel.ndim != 3:
            raise ConfigurationError(
                f"channel is {list(self.downlink.channel.shape)}; legal for sensing is [sample, user, antenna]"
            )
        if self.pattern.responses.shape[1] != antennas:
            raise ConfigurationError(
                f"responses are {list(self.pattern.responses.shape)}; legal is [direction, {antennas}]"
            )
        most = max(antennas - self.downlink.num_users, 0)
        if not 0 <= self.probing <= most:
            raise ConfigurationError(
                f"probing is {self.probing}; legal are 0 to {most}: no more streams than antennas in all"
            )

    def rates(self, precoder: Tensor) -> Tensor:
        """Rate of each user in bit/s/Hz, real [sample, user], with the probing streams as noise."""
        users = self.downlink.num_users
        wanted = (self.downlink.num_antennas, users + self.probing)
        if precoder.shape[-2:] != wanted:
            raise ConfigurationError(
                f"the precoder is {list(precoder.shape)}; legal is [..., {wanted[0]}, {wanted[1]}]"
            )
        power = squared(self.downlink.channel @ precoder)
        noise = torch.as_tensor(self.downlink.noise_power, dtype=power.dtype, device=power.device)[..., None]
        around = others(power[..., :users]) + power[..., users:].sum(-1) + noise
        return torch.log1p(power[..., :users].diagonal(dim1=-2, dim2=-1) / around) / math.log(2)

    def value(self, precoder: Tensor, share: float, reference: Tensor) -> Tensor:
        """What is made large, real [sample]; share: of sensing, 0 to 1; reference: a rate, real [sample]."""
        rate = (self.downlink.user_weights * self.rates(precoder)).sum(-1)
        return (1 - share) * rate / reference - share * self.pattern.error(precoder)

    def with_probing(self, precoder: Tensor) -> Tensor:
        """Return a precoder of the downlink, [sample, antenna, user], with silent probing streams."""
        return torch.cat((precoder, precoder.new_zeros(*precoder.shape[:-1], self.probing)), dim=-1)


@torch.no_grad()
def radar_covariance(wanted: BeamPattern) -> tuple[Tensor, float]:
    """The covariance of trace 1 with the least error, complex128 [antenna, antenna], and how sure that is.

    The second value is a proved bound of what any covariance could have
    less than this one in mean (d - a^H R a)^2 over mean d^2, where the trace is free: the gap of convex duality.
    """
    a = wanted.responses.to(torch.complex128)
    d = wanted.desired.double()
    scale = float(d.square().mean())
    count, antennas = a.shape

    def pattern(r: Tensor) -> Tensor:
        return (a.conj() @ r * a).sum(-1).real

    operator = squared(a.conj() @ a.mT)  # of patterns: the largest eigenvalue of A A^H
    step = count / (2 * float(torch.linalg.eigvalsh(operator).amax()))
    r = torch.eye(antennas, dtype=a.dtype) * float(d.mean() / antennas)
    ahead, momentum = r, 1.0
    gap = math.inf
    for done in range(1, RADAR_STEPS + 1):
        slope = _slope(a, pattern(ahead) - d)
        new = _positive(ahead - step * slope)
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        if float(((ahead - new).conj() * (new - r)).real.sum()) > 0:  # the momentum leads uphill
            following, momentum = 1.0, 1.0
        ahead = new + (momentum - 1) / following * (new - r)
        r, momentum = new, following
        if done % 50 == 0:
            gap = _gap(a, d, pattern(r) - d) / scale
            if gap < CONVERGED:
                break
    return r / r.diagonal().real.sum(), gap


def _slope(a: Tensor, rest: Tensor) -> Tensor:
    """Derivative of mean rest^2 by R, complex [antenna, antenna]."""
    return 2 / len(a) * (a * rest[:, None].to(a)).mT @ a.conj()


def _positive(x: Tensor) -> Tensor:
    """The nearest positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh((x + x.mH) / 2)
    return (vectors * values.clamp_min(0).to(x)) @ vectors.mH


def _gap(a: Tensor, d: Tensor, rest: Tensor) -> float:
    """How far mean rest^2 is above a bound of the least one there is.

    With q = p - d, the dual of min mean (p - d)^2 over p = A(R), R >= 0, is to make - mean z^2 / 4 - mean z d large
    over z with mean z_t a_t a_t^H >= 0. z = 2 q is tried, with as much of z = const added as makes it legal.
    """
    z = 2 * rest
    least = float(torch.linalg.eigvalsh(_slope(a, z / 2)).amin())
    if least < 0:
        ones = float(torch.linalg.eigvalsh(_slope(a, torch.full_like(z, 0.5))).amin())
        z = z - least / ones if ones > 0 else z * 0
    dual = float(-(z.square() / 4).mean() - (z * d).mean())
    return float(rest.square().mean()) - dual


def sense_and_send(
    problem: SensingDownlink, share: float, *, starts: int = 3, steps: int = 400, seed: int = 0
) -> Tensor:
    """The best precoder that is found for a share of sensing, [sample, antenna, user + probing], of the whole power.

    starts: WMMSE, the radar's covariance, random directions of `seed`; each climbs `steps` steps of Adam. Raises
    ConfigurationError for a share that is not from 0 to 1, and for numbers below 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ConfigurationError(f"share is {share:g}; legal are 0 to 1")
    if starts < 1 or steps < 1:
        raise ConfigurationError(f"starts {starts}, steps {steps}; legal are whole numbers from 1 on")
    downlink = problem.downlink
    streams = downlink.num_users + problem.probing
    sent = wmmse(downlink)
    reference = downlink.weighted_sum_rate(sent)
    first = problem.with_probing(sent)
    strongest = problem.pattern.beams[:, -streams:].to(first)
    generator = torch_generator(derive_seed(seed, "starts of sensing"))
    begins = [first, strongest.expand_as(first)]
    while len(begins) < starts:
        begins.append(complex_normal(tuple(first.shape[-2:]), generator).to(first).expand_as(first))
    best, value = first, problem.value(first, share, reference)
    stirred = 1e-3 * complex_normal(tuple(first.shape[-2:]), generator).to(first)  # silent streams have no slope
    for begin in begins[:starts]:
        size = torch.linalg.matrix_norm(begin)[:, None, None]
        found = _climb(problem, begin / size + stirred, share, reference, steps)
        now = problem.value(found, share, reference)
        best = torch.where((now > value)[:, None, None], found, best)
        value = torch.maximum(now, value)
    return best


@torch.enable_grad()
def _climb(problem: SensingDownlink, begin: Tensor, share: float, reference: Tensor, steps: int) -> Tensor:
    raw = torch.view_as_real(begin * math.sqrt(begin.shape[-1])).clone().requires_grad_()
    optimiser = torch.optim.Adam([raw], lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        precoder = problem.downlink.at_full_power(torch.view_as_complex(raw))
        (-problem.value(precoder, share, reference)).sum().backward()
        optimiser.step()
        schedule.step()
    return problem.downlink.at_full_power(torch.view_as_complex(raw.detach()))
