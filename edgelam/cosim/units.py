# SPDX-License-Identifier: GPL-2.0-only
"""Simulated time in integer nanoseconds, as the bridge has it."""

from __future__ import annotations

import math

NEVER_NS = 2**63 - 1  # the bridge's never_ns
NOT_YET_NS = -1  # the bridge's not_yet_ns: did not happen
NS_PER_S = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Convert seconds to the nearest nanosecond; infinity, and what an int64 cannot hold, become `NEVER_NS`."""
    if math.isnan(seconds):
        raise ValueError("a time of NaN seconds")
    if seconds >= NEVER_NS / NS_PER_S:
        return NEVER_NS
    return round(seconds * NS_PER_S)
