# SPDX-License-Identifier: GPL-2.0-only
"""Integer widths in proportion to weights, within each device's memory: the common part of the simple rules."""

from __future__ import annotations

from collections.abc import Sequence

from edgelam.errors import ConfigurationError, OutOfDeviceMemory
from edgelam.parallel.widths.problem import Problem, Widths


def proportional(problem: Problem, weights: Sequence[float]) -> Widths:
    """Units of each kind in proportion to `weights` [device], by largest remainders, within memory.

    A device with weight 0 gets none. What a device has no memory for goes to the others, in proportion again. Memory is
    filled kind by kind: a device whose memory is short gives up units of each kind in the same ratio.

    Raises OutOfDeviceMemory, with both numbers, if the devices with a weight have no room for all units.
    """
    if len(weights) != len(problem.devices) or min(weights) < 0 or not sum(weights) > 0:
        raise ConfigurationError(f"weights are {list(weights)!r}; one for each device, not negative, one above 0")
    rooms = [_room(problem, k) for k in range(len(problem.devices))]
    rows = []
    for p, kind in enumerate(problem.kinds):
        most = [rooms[k][p] if weights[k] > 0 else 0 for k in range(len(weights))]
        if sum(most) < kind.units:
            raise OutOfDeviceMemory(
                f"{kind.units} {kind.name} are to be divided, but the memory of "
                f"{', '.join(name for name, weight in zip(problem.devices, weights, strict=True) if weight > 0)} has "
                f"room for {sum(most)}: all of them need {_all_bytes(problem):,} bytes beside "
                f"{problem.memory_base_bytes:,} of each device, and the devices have "
                f"{', '.join(f'{n:,}' for n, w in zip(problem.memory_bytes, weights, strict=True) if w > 0)} bytes free"
            )
        rows.append(_largest_remainders(kind.units, weights, most))
    return tuple(rows)


def _room(problem: Problem, k: int) -> list[int]:
    """[kind] the most units of device k, in the ratio in which there are units of the kinds."""
    free = problem.memory_bytes[k] - problem.memory_base_bytes
    if free < 0:
        return [0] * len(problem.kinds)
    everything = _all_bytes(problem)
    part = 1.0 if free >= everything else free / everything
    return [int(kind.units * part + 1e-9) for kind in problem.kinds]


def _all_bytes(problem: Problem) -> int:
    return sum(kind.units * kind.memory_bytes_per_unit for kind in problem.kinds)


def _largest_remainders(units: int, weights: Sequence[float], most: Sequence[int]) -> tuple[int, ...]:
    """Whole numbers with the sum `units`, as near to the ratio of weights as `most` allows."""
    given = [0] * len(weights)
    open_ = [k for k, weight in enumerate(weights) if weight > 0]
    left = units
    while left:
        total = sum(weights[k] for k in open_)
        wanted = {k: left * weights[k] / total for k in open_}
        full = [k for k in open_ if given[k] + wanted[k] > most[k]]
        if full:  # these get what fits, and the others share the rest
            for k in full:
                left -= most[k] - given[k]
                given[k] = most[k]
            open_ = [k for k in open_ if k not in full]
            continue
        for k in open_:
            given[k] += int(wanted[k])
        left -= sum(int(wanted[k]) for k in open_)
        order = sorted(open_, key=lambda k: (int(wanted[k]) - wanted[k], k))
        for k in order:
            if left and given[k] < most[k]:
                given[k] += 1
                left -= 1
        open_ = [k for k in open_ if given[k] < most[k]]
    return tuple(given)
