# SPDX-License-Identifier: GPL-2.0-only
"""The step time under a scheduler that leaves no resource block empty, as a fluid.

`prb_share` guarantees a share; what a device does not use while it computes or waits goes to those who have something
to send, equally. So a plan is faster than `step_s` says, which takes shares as hard. Here each merge is followed from
event to event: the devices receive, compute, and send; those that are on the air at a time divide the band.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgelam.parallel.widths.problem import Floats, Problem, Widths

_DOWN, _COMPUTE, _UP, _DONE = range(4)


def step_s(problem: Problem, widths: Widths, shares: Sequence[float]) -> float:
    """Seconds of a step with these widths and shares, when unused band goes to the others."""
    total = 0.0
    for p, kind in enumerate(problem.kinds):
        row = np.array(widths[p], dtype=float)
        part = np.flatnonzero(row > 0)
        stages = np.stack([problem.down_s(p, row), problem.compute_s(p, row), problem.up_s(p, row)])[:, part]
        merge = _merge_s(stages, np.array(shares, dtype=float)[part], problem.band)
        total += kind.merges * (problem.common_s(p, row) + merge)
    return total


def _merge_s(stages: Floats, shares: Floats, band: float) -> float:
    """Seconds until all are done; stages: [down, compute, up][participant] seconds with the whole band."""
    left, stage, now_s = stages.copy(), np.zeros(stages.shape[1], dtype=int), 0.0
    members = np.arange(stages.shape[1])
    while True:
        for k in members:
            while stage[k] < _DONE and left[stage[k], k] <= 1e-12:
                stage[k] += 1
        busy = stage < _DONE
        if not busy.any():
            return now_s
        speed = np.where(stage == _COMPUTE, 1.0, 0.0)
        for direction in (_DOWN, _UP):
            on_air = stage == direction
            if on_air.any():
                free = max(band - float(shares[on_air].sum()), 0.0)
                speed = np.where(on_air, shares + free / on_air.sum(), speed)
        current = left[np.minimum(stage, _UP), members]
        ends = np.where(busy & (speed > 0), current / np.where(speed > 0, speed, 1.0), np.inf)
        passed = float(ends.min())
        if passed == np.inf:  # somebody has no share, and nothing is left over
            return np.inf
        now_s += passed
        left[stage[busy], members[busy]] -= speed[busy] * passed
