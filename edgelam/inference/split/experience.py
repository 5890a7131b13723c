# SPDX-License-Identifier: GPL-2.0-only
"""What a device knows of the network and the server: lines from probes, corrected by its own requests.

    uplink line x exp(mean of ln(taken / predicted)),   waiting = mean of (taken on the server - computing)

Both means are exponentially weighted, and fade with the time since the last request that crossed the network: a device
that computes alone learns nothing, and returns to what the probes said.
"""

from __future__ import annotations

import dataclasses
import math

from edgelam.inference.calibration import Line
from edgelam.inference.split.chain import Chain
from edgelam.inference.split.planner import Choice, Route
from edgelam.inference.split.request import Answered

WEIGHT = 0.3
"""Of the newest request."""
FADES_S = 2.0
"""Seconds after which a correction counts 1/e."""


class Experience:
    """What one device has seen."""

    def __init__(self, route: Route) -> None:
        """route: the machines, and the lines of the probes."""
        self._route = route
        self._ratio, self._waiting_s, self._seen_s = 0.0, 0.0, -math.inf

    def route(self, now_s: float) -> Route:
        """Return what a planner is told."""
        counts = math.exp(-(now_s - self._seen_s) / FADES_S)
        factor = math.exp(self._ratio * counts)
        up = Line(self._route.up.latency_s * factor, self._route.up.byte_s * factor)
        far = dataclasses.replace(self._route.far, waiting_s=self._waiting_s * counts)
        return dataclasses.replace(self._route, up=up, far=far)

    def seen(self, chain: Chain, choice: Choice, found: Answered, now_s: float) -> None:
        """Learn from a request; from one that the device answered itself, nothing."""
        if found.up_bytes == 0:
            return
        counts = math.exp(-(now_s - self._seen_s) / FADES_S)
        predicted_s = self._route.up.seconds(found.up_bytes)
        ratio = math.log(max(found.up_s, 1e-9) / max(predicted_s, 1e-9))
        work = chain.unpacking[choice.format][choice.cut] + chain.work(choice.cut, len(chain.stages))
        waiting_s = max(found.far_s - self._route.far.seconds(work), 0.0)
        self._ratio = WEIGHT * ratio + (1 - WEIGHT) * self._ratio * counts
        self._waiting_s = WEIGHT * waiting_s + (1 - WEIGHT) * self._waiting_s * counts
        self._seen_s = now_s
