# SPDX-License-Identifier: GPL-2.0-only
"""What a rank computes takes simulated time: counted operator by operator, charged when the rank next communicates.

The counter of compute blocks (edgelam/cosim/work.py) looks on all the time, from `init_process_group` on. What has
been counted since the last charge is one computation on the rank's node, labelled by what the program was doing:
forward, backward or optimiser. What the collectives themselves compute (sums of tensors) is not counted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgelam.cosim.work import Work, counting_mode

if TYPE_CHECKING:
    from edgelam.parallel.session import Session

_perf_counter = time.perf_counter  # that of the machine, whatever the rank's program is told


class Meter:
    """Counts and charges the computing of one rank, between `start` and `stop`."""

    def __init__(self, session: Session) -> None:
        """For the rank of `session`."""
        self._session = session
        self._measured = session.job.compute == "measured"
        self._mode: Any = counting_mode() if session.job.compute == "modelled" else None
        self._handles: list[Any] = []
        self._steps: Any = None
        self._label: str | None = None
        self._since_s = 0.0
        self._running = False

    def start(self) -> None:
        """Begin to count."""
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        from edgelam.cosim.first_steps import FirstSteps

        self._running = True
        self._handles.append(register_optimizer_step_pre_hook(lambda *_: self._phase("optimiser")))
        if self._mode is not None:
            self._mode.__enter__()
            self._steps = FirstSteps(self._mode).__enter__()
        self._handles.append(register_optimizer_step_post_hook(lambda *_: self._phase(None)))
        self._since_s = _perf_counter()

    def stop(self) -> None:
        """Charge what has been counted, and count no more."""
        if not self._running:
            return
        self._session.charge()
        self._running = False
        for handle in self._handles:
            handle.remove()
        if self._mode is not None:
            self._steps.__exit__(None, None, None)
            self._mode.__exit__(None, None, None)
        self._session.meter = None

    def _phase(self, label: str | None) -> None:
        """From now on the program does something else."""
        self._session.charge()
        self._label = label

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing meanwhile; no mode looks on, which makes every operator faster."""
        import torch

        try:
            with torch._C._DisableTorchDispatch():  # noqa: SLF001
                yield
        finally:
            self._since_s = _perf_counter()

    def charge(self) -> None:
        """Let the time pass that what has been counted takes."""
        if not self._running:
            return
        if self._measured:
            work, wall_s = Work(), _perf_counter() - self._since_s
        elif self._mode is not None:
            work, wall_s = Work(self._mode.flops, self._mode.bytes), 0.0
            if not work.flops and not work.bytes:
                return
            self._mode.flops = self._mode.bytes = 0
        else:
            return
        self._session.run(self._compute(self._label or _phase_now(), work, wall_s))

    async def _compute(self, label: str, work: Work, wall_s: float) -> None:
        async with self._session.node.compute(label, work=work, wall_s=wall_s):
            pass


def _phase_now() -> str:
    import torch

    return "backward" if torch._C._current_graph_task_id() != -1 else "forward"
