# SPDX-License-Identifier: GPL-2.0-only
"""A communication that has begun, as torch.distributed sees it: `Work`."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from edgelam.errors import RunEnded

if TYPE_CHECKING:
    from edgelam.parallel.session import Session

POLL_S = 1e-4
"""Simulated time that an answer "not yet" takes: a program that asks again and again lets simulated time pass."""


class NetworkWork(dist.Work):
    """A communication under way; waiting for it lets simulated time pass."""

    def __init__(
        self,
        session: Session,
        operation: Coroutine[Any, Any, Any],
        result: Sequence[Tensor],
        *,
        what: str,
        timeout_s: float | None = None,
        parts: Sequence[NetworkWork] = (),
    ) -> None:
        """Begin `operation`.

        result: the tensors that it makes; what: it is, in words; timeout_s: in simulated time, from now on; parts: are
        over when it is.
        """
        super().__init__()
        self._session, self._result, self._parts = session, list(result), parts
        self.what = what
        """What it is, in words."""
        self.error: BaseException | None = None
        """With what it has failed."""
        self.done = session.loop.create_future()
        """Is set when it is over."""
        self.done.why = (what, "of the program")
        self._source: int | None = None
        self._told = False
        self._future: torch.futures.Future[list[Tensor]] = torch.futures.Future()
        session.begin(self, self._note(operation))
        self._deadline_s = None if timeout_s is None else session.loop.time() + timeout_s

    async def _note(self, operation: Coroutine[Any, Any, Any]) -> None:
        self._source = await operation

    def complete(self) -> None:
        """It is over: tell PyTorch. What waits for that may communicate."""
        for part in self._parts:
            part.complete()
        if self._told:
            return
        self._told = True
        self._session.completed(self)
        if self.error is None:
            self._future.set_result(self._result)
        else:
            self._future.set_exception(self.error)  # type: ignore[arg-type]

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Let simulated time pass until it is over. Raises its error, or RuntimeError after the time-out."""
        self._session.charge()
        if not self.done.done():
            self._session.run(self._until(timeout))
        self.complete()
        if self.error is not None:
            raise self.error if isinstance(self.error, RunEnded) else RuntimeError(str(self.error)) from self.error
        return True

    async def _until(self, timeout: timedelta | None) -> None:
        import asyncio

        loop = self._session.loop
        deadline_s = self._deadline_s
        if timeout is not None and timeout > timedelta(0):
            own_s = loop.time() + timeout.total_seconds()
            deadline_s = own_s if deadline_s is None else min(own_s, deadline_s)
        if deadline_s is None:
            await self.done
            return
        try:
            async with asyncio.timeout_at(deadline_s):
                await asyncio.shield(self.done)
        except TimeoutError:
            raise RuntimeError(
                f"{self.what} of rank {self._session.rank} timed out at {loop.time():.6f} s of simulated time"
            ) from None

    def is_completed(self) -> bool:
        """Whether it is over. An answer "no" takes `POLL_S` of simulated time."""
        self._session.charge()
        if not self.done.done():
            self._session.sleep(POLL_S)
        if self.done.done():
            self.complete()
        return self._told

    def is_success(self) -> bool:
        """Whether it is over, and well."""
        return self._told and self.error is None

    def exception(self) -> BaseException | None:
        """Its error."""
        return self.error

    def get_future(self) -> Any:
        """A future of its result."""
        if self._session.at_once:
            self.wait()
        return self._future

    getFuture = get_future  # noqa: N815  # what the C++ side calls it

    def result(self) -> list[Tensor]:
        """The tensors that it has made."""
        return self._result

    def synchronize(self) -> None:
        """Wait."""
        self.wait()

    def source_rank(self) -> int:
        """Rank that what was received came from."""
        assert self._source is not None
        return self._source

    _source_rank = source_rank


def of_several(session: Session, works: Sequence[NetworkWork], what: str) -> NetworkWork:
    """One work that is over when all are."""

    async def all_of_them() -> None:
        for work in works:
            if not work.done.done():
                await work.done
            if work.error is not None:
                raise work.error

    result = [tensor for work in works for tensor in work.result()]
    return NetworkWork(session, all_of_them(), result, what=what, parts=works)
