# SPDX-License-Identifier: GPL-2.0-only
"""Who takes part in looped tensor parallelism: devices that are there, want to leave, or are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from edgelam.errors import BatteryEmpty, ConfigurationError, RunEnded, TransferError
from edgelam.parallel.looped_model import Batches, LoopedConfig
from edgelam.parallel.looped_records import Report

if TYPE_CHECKING:
    from edgelam import cosim

T = TypeVar("T")


class Lost(Exception):  # noqa: N818
    """Devices that did not answer, with the reasons; within the server's loop only."""

    def __init__(self, reasons: dict[str, str]) -> None:
        """By name."""
        super().__init__(str(reasons))
        self.reasons = reasons


class Fleet:
    """The devices of one run. Give your own to `train` to have devices leave while it runs."""

    def __init__(self) -> None:
        """Nobody is there yet."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Future[None]] = {}
        self._reasons: dict[str, str] = {}
        self._leaving: dict[str, asyncio.Event] = {}

    def leave(self, name: str) -> None:
        """Have a device leave in an orderly way: it tells the server, and goes between two steps when it has handed
        over its shard. What was learned is kept."""
        self._known(name)
        self._leaving[name].set()

    def crash(self, name: str, reason: str = "it stopped") -> None:
        """Have a device stop where it is; its connections are reset, so the server learns it at once."""
        self._known(name)
        self.lose(name, reason)

    async def asked_to_leave(self, name: str) -> None:
        """Wait until a device is to leave."""
        await self._leaving[name].wait()

    def _known(self, name: str) -> None:
        if name not in self._tasks:
            raise ConfigurationError(f"no device {name!r} takes part; there are: {', '.join(self._tasks) or 'none'}")

    @property
    def present(self) -> tuple[str, ...]:
        """Devices that are not lost and have not gone."""
        return tuple(name for name in self._tasks if not self._ended[name].done())

    def join(self, group: asyncio.TaskGroup, name: str, life: Coroutine[Any, Any, None]) -> None:
        """Start a device's life. It ends with it, or with an empty battery, or where its connection fails."""
        ended = asyncio.get_running_loop().create_future()
        self._ended[name] = ended
        self._leaving[name] = asyncio.Event()

        async def living() -> None:
            try:
                await life
                self._end(name, "it has left")
            except (TransferError, BatteryEmpty) as error:
                self._end(name, str(error))

        self._tasks[name] = group.create_task(living(), name=f"device {name}")

    def lose(self, name: str, reason: str) -> None:
        """A device counts as lost from now on: its life ends."""
        self._end(name, reason)
        self._tasks[name].cancel()

    def reason(self, name: str) -> str:
        """Why a device is not there any more."""
        return self._reasons[name]

    def _end(self, name: str, reason: str) -> None:
        if not self._ended[name].done():
            self._reasons[name] = reason
            self._ended[name].set_result(None)

    async def with_each(
        self, names: Sequence[str], exchange: Any, sim: cosim.Simulation, patience_s: float | None
    ) -> list[Any]:
        """`exchange(name)` with all at once; results in the order of `names`.

        A device is lost if the exchange fails in the network, takes longer than `patience_s`, or its life ends. All
        other exchanges are finished before `Lost` is raised, so that nothing of theirs is left under way.
        """
        results: dict[str, Any] = {}
        lost: dict[str, str] = {}

        async def one(name: str) -> None:
            try:
                results[name] = await self._with(name, exchange(name), patience_s)
            except TransferError as error:
                lost[name] = str(error)
            except TimeoutError:
                lost[name] = f"it did not answer within {patience_s:g} s"
            except _EndedError:
                lost[name] = self.reason(name)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name), name=f"exchange with {name}")
        if lost:
            raise Lost({name: lost[name] for name in names if name in lost})
        return [results[name] for name in names]

    async def _with(self, name: str, exchange: Coroutine[Any, Any, T], patience_s: float | None) -> T:
        ended = self._ended[name]
        if ended.done():
            exchange.close()
            raise _EndedError
        task = asyncio.create_task(exchange, name=f"messages with {name}")
        try:
            either: list[asyncio.Future[Any]] = [task, ended]
            await asyncio.wait(either, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _EndedError if ended.done() else TimeoutError
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def refuse_empty(self, names: Sequence[str], step: int) -> None:
        """Raise RunEnded if nobody is left."""
        if not names:
            told = "; ".join(f"{name}: {reason}" for name, reason in self._reasons.items())
            raise RunEnded(f"no device is left for step {step} of looped tensor parallelism ({told})")


class _EndedError(Exception):
    """The device's life has ended."""


@dataclass(frozen=True)
class Job:
    """What the coroutines of one run share."""

    sim: cosim.Simulation
    server: cosim.Node
    nodes: Mapping[str, cosim.Node]
    """The devices by name."""
    config: LoopedConfig
    batches: Batches
    fleet: Fleet
    report: Report
