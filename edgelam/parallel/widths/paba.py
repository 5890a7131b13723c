# SPDX-License-Identifier: GPL-2.0-only
r"""Continuous widths and shares by a convex problem, then rounded, in the manner of PABA (arXiv 2003.04544).

PABA allocates parameters and bandwidth jointly by bisection around a convex problem, for a model in which what a device
sends is in proportion to its parameters. Carried over to this problem: all devices take part; device k has the part x_k
of each kind; the step of the slowest device, L_k + a_k x + (w0_k + w1_k x) / b with all its merges added up, is
bisected. With at most T seconds, the share b_k(x) = (w0_k + w1_k x) / (T - L_k - a_k x) is convex in x, and the least
sum of shares with sum x = 1 has equal derivatives, so their common value is bisected. The parts are rounded to whole
units by largest remainders, and the rounded widths get their best shares.
"""

from __future__ import annotations

import math

import numpy as np

from edgelam.errors import OutOfDeviceMemory
from edgelam.parallel.widths.problem import Floats, Plan, Problem
from edgelam.parallel.widths.proportional import proportional
from edgelam.parallel.widths.shares import best_shares

HALVES = 60


def solve(problem: Problem) -> Plan:
    """Rounded continuous widths with their best shares. Raises OutOfDeviceMemory, with both numbers."""
    found = parts(problem)
    try:
        widths = proportional(problem, found)
    except OutOfDeviceMemory:  # whole units need more room than parts do: what is left goes to the other devices
        widths = proportional(problem, [part + 1e-9 for part in found])
    return best_shares(problem, widths)


def parts(problem: Problem) -> list[float]:
    """[device] the part of the units in the continuous optimum, within memory; the sum is 1."""
    latency, compute, fixed, slope = _coefficients(problem)
    everything = sum(kind.units * kind.memory_bytes_per_unit for kind in problem.kinds)
    free = np.array(problem.memory_bytes, dtype=float) - problem.memory_base_bytes
    most = np.clip(free / everything, 0.0, 1.0) if everything else np.ones(len(free))
    if most.sum() <= 1.0:  # `proportional` says what is wrong, if anything is
        return most.tolist() if most.sum() > 0 else [1.0] * len(most)

    def share(x: Floats, seconds: float) -> Floats:
        left = seconds - latency - compute * x
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(left > 0, (fixed + slope * x) / left, np.inf)

    def divided(seconds: float) -> Floats | None:
        """[device] parts of the least total share for steps of at most these seconds; None: impossible."""
        with np.errstate(divide="ignore"):
            top = np.minimum(most, np.where(compute > 0, (seconds - latency) / np.where(compute > 0, compute, 1), 1.0))
        top = np.clip(top * (1 - 1e-9), 0.0, None)
        if top.sum() < 1.0 or (seconds <= latency).any():
            return None
        room = seconds - latency

        def at(log_price: float) -> Floats:
            # derivative of the share: (slope * room + fixed * compute) / (room - compute x)^2 = price
            gain = np.sqrt((slope * room + fixed * compute) / math.exp(log_price))
            x = np.where(compute > 0, (room - gain) / np.where(compute > 0, compute, 1),
                         np.where(slope / room <= math.exp(log_price), 1.0, 0.0))  # fmt: skip
            return np.clip(x, 0.0, top)

        low, high = -100.0, 100.0
        for _ in range(HALVES):
            middle = (low + high) / 2
            low, high = (low, middle) if at(middle).sum() >= 1.0 else (middle, high)
        few, many = at(low), at(high)  # a jump between them where computing takes no time
        gap = many.sum() - few.sum()
        return many if gap <= 0 else few + (many - few) * np.clip((1.0 - few.sum()) / gap, 0.0, 1.0)

    low, high = 0.0, float((latency + compute).max() + (fixed + slope).sum() / problem.band) * 2 + 1e-9
    best = divided(high)
    for _ in range(HALVES):
        middle = (low + high) / 2
        x = divided(middle)
        if x is not None and share(x, middle).sum() <= problem.band:
            best, high = x, middle
        else:
            low = middle
    return most.tolist() if best is None else best.tolist()


def _coefficients(problem: Problem) -> tuple[Floats, Floats, Floats, Floats]:
    """[device] seconds of a step: latency, computing of everything, air of a participant, air of everything."""
    count = len(problem.devices)
    latency, compute, fixed, slope = (np.zeros(count) for _ in range(4))
    for p, kind in enumerate(problem.kinds):
        everything, one = np.full(count, float(kind.units)), np.ones(count)
        per_unit = problem.air_s(p, 2 * one) - problem.air_s(p, one)
        latency += kind.merges * np.array(problem.latency_s)
        compute += kind.merges * np.array(kind.seconds_per_unit) * everything
        fixed += kind.merges * (problem.air_s(p, one) - per_unit)
        slope += kind.merges * per_unit * everything
    return latency, compute, fixed, slope
