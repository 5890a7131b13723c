# SPDX-License-Identifier: GPL-2.0-only
"""Riemannian conjugate gradients on products of circles: numbers of modulus 1, whose phases are searched for.

The gradient is projected on the tangents of the circles, the step is taken along a straight line and each number is
divided by its modulus (Absil, Mahony and Sepulchre, "Optimization Algorithms on Matrix Manifolds", 2008, chapters 3, 4
and 8): Polak and Ribiere's factor, not negative, and steps that are halved until Armijo's condition holds. Every sample
of a batch has its own step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SUFFICIENT = 1e-4  # Armijo's condition: at least this share of the decrease that the slope promises
HALVINGS = 30


def minimise(
    cost: Callable[[Tensor], Tensor], gradient: Callable[[Tensor], Tensor], start: Tensor, steps: int
) -> Tensor:
    """Numbers of modulus 1, complex [sample, n], after `steps` steps from `start`; no step makes a cost larger.

    cost: complex [sample, n] -> real [sample]; gradient: complex [sample, n] -> complex [sample, n], twice the
    derivative by the conjugate.
    """
    x = start / start.abs()
    value, slope = cost(x), _tangent(x, gradient(x))
    direction = -slope
    step = 1 / torch.linalg.vector_norm(slope, dim=-1).clamp_min(torch.finfo(x.real.dtype).tiny)
    for _ in range(steps):
        decrease = -_inner(slope, direction)
        uphill = decrease <= 0
        direction = torch.where(uphill[:, None], -slope, direction)
        decrease = torch.where(uphill, _inner(slope, slope), decrease)
        x, value, step = _line(cost, x, value, direction=direction, decrease=decrease, step=step)
        new = _tangent(x, gradient(x))
        carried = _tangent(x, slope)
        factor = _inner(new, new - carried) / _inner(slope, slope).clamp_min(torch.finfo(value.dtype).tiny)
        direction = _tangent(x, direction) * factor.clamp_min(0)[:, None] - new
        slope = new
    return x


def _line(
    cost: Callable[[Tensor], Tensor], x: Tensor, value: Tensor, *, direction: Tensor, decrease: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where the step of each sample ends, its cost, and the step to begin the next search with."""
    best, best_value, waiting = x, value, torch.ones_like(value, dtype=torch.bool)
    trial, resolution = step, torch.finfo(value.dtype).eps
    for _ in range(HALVINGS):
        there = x + trial[:, None] * direction
        there = there / there.abs()
        found = cost(there)
        done = waiting & (found <= value - SUFFICIENT * trial * decrease)
        best, best_value = torch.where(done[:, None], there, best), torch.where(done, found, best_value)
        waiting = waiting & ~done & (trial * decrease > resolution * value.abs())
        if not waiting.any():
            break
        trial = torch.where(waiting, trial / 2, trial)
    return best, best_value, torch.where(waiting, step, 2 * trial)


def _tangent(x: Tensor, direction: Tensor) -> Tensor:
    """Without its part along x, which would change the modulus."""
    return direction - (direction * x.conj()).real * x


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).real.sum(-1)
