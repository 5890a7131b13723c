# SPDX-License-Identifier: GPL-2.0-only
"""How long transfers take, as planners predict it: latency + bytes * seconds per byte for each pair of nodes, fitted to
recorded transfers.

The fit minimises relative errors (least squares of predicted / taken - 1, no coefficient negative). A pair with fewer
than two sizes takes the fit of its roles, or of all transfers. A line cannot say what queues, TCP windows and a channel
that changes do to a single transfer, so the error on other transfers is reported (`errors`); scores come from the
network itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation
    from edgelam.inference.records import MoveRecord


@dataclasses.dataclass(frozen=True)
class Taken:
    """A transfer that was recorded."""

    source: str
    receiver: str
    bytes: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Line:
    """``latency_s + bytes * byte_s``."""

    latency_s: float
    byte_s: float

    def seconds(self, size_bytes: float) -> float:
        """Return how long so many bytes take."""
        return self.latency_s + size_bytes * self.byte_s


@dataclasses.dataclass(frozen=True)
class Links:
    """The lines of all pairs of nodes."""

    lines: Mapping[tuple[str, str], Line]
    of_roles: Mapping[tuple[str, str], Line]
    of_all: Line
    roles: Mapping[str, str]

    def line(self, source: str, receiver: str) -> Line:
        """Return the line of a pair; nothing if both are the same node."""
        if source == receiver:
            return Line(0.0, 0.0)
        roles = (self.roles[source], self.roles[receiver])
        return self.lines.get((source, receiver)) or self.of_roles.get(roles) or self.of_all

    def errors(self, taken: Iterable[Taken]) -> np.ndarray:
        """Return |predicted / taken - 1| of transfers, float64 [transfers]."""
        return np.array(
            [abs(self.line(t.source, t.receiver).seconds(t.bytes) / t.seconds - 1) for t in taken if t.seconds > 0]
        )


def fit(taken: Sequence[Taken], roles: Mapping[str, str]) -> Links:
    """Fit lines. roles: node -> role. Raises ConfigurationError if there is no transfer that took time."""
    taken = [each for each in taken if each.seconds > 0 and each.source != each.receiver]
    if not taken:
        raise ConfigurationError("no transfer that took time was recorded: the network's delays cannot be calibrated")
    pairs: dict[tuple[str, str], list[Taken]] = {}
    classes: dict[tuple[str, str], list[Taken]] = {}
    for each in taken:
        pairs.setdefault((each.source, each.receiver), []).append(each)
        classes.setdefault((roles[each.source], roles[each.receiver]), []).append(each)
    return Links(
        {pair: _line(mine) for pair, mine in pairs.items() if len({each.bytes for each in mine}) > 1},
        {pair: _line(mine) for pair, mine in classes.items()},
        _line(taken),
        dict(roles),
    )


def of_moves(moves: Iterable[MoveRecord]) -> list[Taken]:
    """Return the transfers of requests that were served."""
    return [Taken(move.source, move.receiver, move.bytes, move.end_s - move.start_s) for move in moves]


async def probed(
    sim: Simulation, pairs: Iterable[tuple[str, str]], sizes: Sequence[int], *, times: int = 2
) -> list[Taken]:
    """Send probes of these sizes, one after the other, and return how long they took.

    The first transfer of a pair opens its TCP connection, and is not returned.
    """
    from edgelam.cosim.transport import Transport

    transport, found = Transport(), []
    for source, receiver in pairs:
        a, b = sim.node(source), sim.node(receiver)
        await transport.carry(a, b, np.zeros(max(sizes), np.uint8), "probe")
        for size in [size for size in sizes for _ in range(times)]:
            begin_s = sim.now_ns
            await transport.carry(a, b, np.zeros(size, np.uint8), "probe")
            found.append(Taken(source, receiver, size, (sim.now_ns - begin_s) / 1e9))
    await transport.close()
    return found


def _line(taken: Sequence[Taken]) -> Line:
    from scipy.optimize import nnls

    rows = np.array([[1.0, each.bytes * 1e-6] for each in taken]) / np.array([[each.seconds] for each in taken])
    latency_s, megabyte_s = nnls(rows, np.ones(len(taken)))[0]
    return Line(float(latency_s), float(megabyte_s) * 1e-6)
