# SPDX-License-Identifier: GPL-2.0-only
"""What the radios of nodes draw, as far as the scenario knows it: for ledgers, and for batteries.

A scenario with 5G cells publishes ``ue_radio_j`` [direction, ue] and ``gnb_radio_j`` [direction] or [direction, gnb],
joules so far, for its nodes of these roles in their order, and ``ue_radio_peak_w``, the most that a UE's radio takes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgelam.cosim.clock import Value
from edgelam.cosim.units import to_ns

if TYPE_CHECKING:
    from edgelam.cosim.battery import Battery
    from edgelam.cosim.core import Core

UE_RADIO_J, GNB_RADIO_J, UE_PEAK_W = "ue_radio_j", "gnb_radio_j", "ue_radio_peak_w"
SHORTEST_LOOK_NS = 500_000  # the precision to which a battery's end is found


def watch_batteries(core: Core) -> None:
    """Let the batteries of UEs supply their radios, if the scenario knows what these draw."""
    observables = core.requests.observables
    batteries = {
        place: node.battery
        for place, node in enumerate(node for node in core.nodes.values() if node.role == "ue")
        if node.battery is not None
    }
    if batteries and UE_RADIO_J in observables and UE_PEAK_W in observables:
        _Watch(core, batteries)


class _Watch:
    """Looks at the energy of radios early enough: not after the first instant at which a battery may be empty.

    Nothing waits for it, and it keeps no run alive. Its looks take no simulated time, and no task of the program makes
    them.
    """

    def __init__(self, core: Core, batteries: dict[int, Battery]) -> None:
        self._core, self._batteries = core, batteries
        self._request: int | None = None
        self._peak_w = math.nan
        self._due_ns = 0
        for battery in batteries.values():
            battery.supplies_radio()
        self._look(UE_PEAK_W, 0)

    def _look(self, name: str, after_ns: int) -> None:
        """Ask for the next reading, at least `after_ns` from now."""
        self._end()
        self._due_ns = self._core.loop.now_ns + after_ns
        self._request = self._core.requests.follow(self._put, self._fail)
        observable = self._core.requests.observables[name]
        self._core.clock.read(self._request, observable.id, max(after_ns, SHORTEST_LOOK_NS), aside=True)

    def _end(self) -> None:
        if self._request is not None:
            self._core.requests.forget(self._request)
            self._core.clock.unsubscribe(self._request)
            self._request = None

    def _fail(self, error: Exception) -> None:
        raise error

    def _put(self, event: Value) -> None:
        if event.time_ns < self._due_ns:
            return  # the first reading of a subscription comes at once
        if math.isnan(self._peak_w):
            self._peak_w = float(np.frombuffer(bytes(event.data), np.float64)[0])
        else:
            joules = np.frombuffer(bytes(event.data), np.float64).reshape(event.shape).sum(axis=0)
            for place, battery in self._batteries.items():
                battery.radio(float(joules[place]))
        left_s = [
            battery.shortest_s(self._peak_w) for battery in self._batteries.values() if battery.lifetime_s is None
        ]
        if left_s and math.isfinite(min(left_s)):
            self._look(UE_RADIO_J, max(to_ns(min(left_s)), SHORTEST_LOOK_NS))
        else:
            self._end()
