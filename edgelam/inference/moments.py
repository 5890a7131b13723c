# SPDX-License-Identifier: GPL-2.0-only
"""How a request came to a point in time: a chain of what it waited for, without gaps.

Where branches meet, the request waited for the last one, so the chain goes on with that one: it is the critical path,
and the lengths of its parts add up to the time of the whole request, exactly, in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgelam.cosim.node import Node

PARTS = ("decision", "uplink", "backhaul", "downlink", "load", "queue", "compute", "retry")
"""What a request can wait for: a routing decision; a transfer from a user device, between servers, or to a user device;
weights that are loaded; the batch or processor before it; its own computing; an attempt that a failed node ended."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in simulated time, what took place until then, and the moment at which that began."""

    time_ns: int
    part: str = ""
    before: Moment | None = None

    def after(self, time_ns: int, part: str) -> Moment:
        """Return a later moment, until which `part` has taken place."""
        return self if time_ns == self.time_ns else Moment(time_ns, part, self)

    def parts(self) -> dict[str, float]:
        """Return the seconds of each of `PARTS` on the way to this moment."""
        found = dict.fromkeys(PARTS, 0)
        for moment in self._chain():
            if moment.before is not None:
                found[moment.part] += moment.time_ns - moment.before.time_ns
        return {part: ns / 1e9 for part, ns in found.items()}

    def _chain(self) -> Iterator[Moment]:
        moment: Moment | None = self
        while moment is not None:
            yield moment
            moment = moment.before


def latest(moments: Iterable[Moment]) -> Moment:
    """Return the last of these moments; of equal ones the first in this order."""
    return max(moments, key=lambda moment: moment.time_ns)


def part_of(source: Node, to: Node) -> str:
    """Return the part of a request's time that a transfer is."""
    if source.role == "ue":
        return "uplink"
    return "downlink" if to.role == "ue" else "backhaul"
