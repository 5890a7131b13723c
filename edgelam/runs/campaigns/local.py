# SPDX-License-Identifier: GPL-2.0-only
"""Runs on this machine, in several processes at a time."""

import os
from typing import Protocol

from edgelam.processes import Child, deferred_interrupt, stop_all
from edgelam.runs.campaigns import worker
from edgelam.runs.campaigns.folder import Claim

MEMORY_OF_A_RUN = 1_500_000_000
"""Bytes that a run is assumed to need if --workers is not given: PyTorch, a small backbone, and ns-3."""


class Workers(Protocol):
    """The place where runs are executed."""

    def free(self) -> int:
        """How many more runs can be started now."""
        ...

    def start(self, claim: Claim) -> None:
        """Start a run; its scratch folder is prepared."""
        ...

    def ended(self) -> list[Claim]:
        """Return the runs that have ended since the last call; what they left is in their scratch folders."""
        ...

    def stop(self) -> list[Claim]:
        """End all runs at once, and what they have started; return them."""
        ...


class LocalWorkers:
    """Processes on this machine."""

    def __init__(self, count: int, threads: int) -> None:
        """Take at most `count` runs at a time, each with `threads` PyTorch threads."""
        self._count, self._environment = count, worker.environment(threads)
        self._running: list[tuple[Claim, Child]] = []

    def free(self) -> int:
        """How many more runs can be started now."""
        return self._count - len(self._running)

    def start(self, claim: Claim) -> None:
        """Start a run; its scratch folder is prepared."""
        with deferred_interrupt():
            process = worker.start(claim.scratch, env=self._environment, keep_open=(claim.lock,))
            self._running.append((claim, process))

    def ended(self) -> list[Claim]:
        """Return the runs that have ended since the last call."""
        over = [(claim, process) for claim, process in self._running if process.wait(0) is not None]
        self._running = [entry for entry in self._running if entry not in over]
        for claim, process in over:
            worker.note_end(claim.scratch, process.stop())  # and processes that a crashed run may have left
        return [claim for claim, _ in over]

    def stop(self) -> list[Claim]:
        """End all runs at once."""
        running, self._running = self._running, []
        stop_all((process for _, process in running), worker.STOP_S)
        return [claim for claim, _ in running]


def default_workers(threads: int) -> int:
    """Return how many runs fit: `threads` cores for each (a run computes or simulates, not both), and memory."""
    memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)) // threads, memory // MEMORY_OF_A_RUN))
