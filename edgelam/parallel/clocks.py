# SPDX-License-Identifier: GPL-2.0-only
"""The clocks of Python, as a rank's program sees them under ``--clock simulated``: simulated time.

`time.time`, `perf_counter`, `monotonic` and `process_time`'s namesakes in nanoseconds tell simulated time, and `sleep`
lets it pass. What the program has computed before it looks at a clock has taken its time by then. In other threads the
clocks tell the same, and `sleep` is that of the machine; child processes have the machine's clocks.
"""

from __future__ import annotations

import os
import time
import timeit
from collections.abc import Callable
from typing import Any

from edgelam.parallel.session import Session

EPOCH_NS = 946_684_800 * 10**9
"""What `time.time` tells at simulated time 0: the year 2000 begins, UTC."""


def install(session: Session) -> None:
    """Replace the clocks of this process."""
    real = {name: getattr(time, name) for name in (*_clocks(session), "sleep")}

    def sleep(seconds: float) -> None:
        if session.may_run:
            if seconds < 0:
                raise ValueError("sleep length must be non-negative")
            session.sleep(seconds)
        else:
            real["sleep"](seconds)

    def restore() -> None:
        for name, function in real.items():
            setattr(time, name, function)
        timeit.default_timer = real["perf_counter"]

    for name, function in _clocks(session).items():
        setattr(time, name, function)
    time.sleep = sleep  # type: ignore[assignment]
    timeit.default_timer = time.perf_counter
    os.register_at_fork(after_in_child=restore)


def _clocks(session: Session) -> dict[str, Callable[[], Any]]:
    def now_ns() -> int:
        session.charge()
        return session.loop.now_ns

    return {
        "time": lambda: (EPOCH_NS + now_ns()) / 1e9,
        "time_ns": lambda: EPOCH_NS + now_ns(),
        "perf_counter": lambda: now_ns() / 1e9,
        "perf_counter_ns": now_ns,
        "monotonic": lambda: now_ns() / 1e9,
        "monotonic_ns": now_ns,
    }
