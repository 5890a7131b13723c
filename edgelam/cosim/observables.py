# SPDX-License-Identifier: GPL-2.0-only
"""Observables and controls: what a program can read and set. Names, types and shapes come from the scenario."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.cosim.clock import Applied, Value
from edgelam.cosim.control_values import as_array
from edgelam.cosim.incoming import broken
from edgelam.cosim.messages import dtype_of
from edgelam.cosim.records import Reading
from edgelam.cosim.tasks import SimFuture
from edgelam.cosim.units import to_ns
from edgelam.errors import ConfigurationError, ControlRefused, ObservableRefused

if TYPE_CHECKING:
    from edgelam.cosim.core import Core


class _Described:
    """The common part of observables and controls."""

    def __init__(self, core: Core, entry: dict[str, Any]) -> None:
        self._core = core
        self.id: int = entry["id"]
        self.name: str = entry["name"]
        self.dtype: np.dtype[Any] = dtype_of(entry["dtype"])
        self.shape: tuple[int, ...] = tuple(entry.get("shape", ()))
        self.axes: Any = entry.get("axes", "")
        self.unit: str = entry.get("unit", "")
        self.help: str = entry.get("help", "")

    def __repr__(self) -> str:
        shape = "x".join("any" if n < 0 else str(n) for n in self.shape) or "scalar"
        return f"{type(self).__name__}({self.name!r}, {self.dtype}, {shape}, axes {self.axes!r}, unit {self.unit!r})"


class Observable(_Described):
    """Something to read: ``reading = await sim.observable("position").read()``.

    Attributes: `name`, `dtype`, `shape` (-1: varies), `axes`, `unit`, `help`, and `period_s`: simulated seconds between
    its values if they come at a period of their own (blocks of CSI), otherwise None.

    A large value is in shared memory and is not copied: it is what the scenario wrote, and does not change as long as
    the array (or a view or tensor made of it) exists. A program may write to it; nobody else sees that.
    """

    def __init__(self, core: Core, entry: dict[str, Any]) -> None:
        """Made by the simulation, from the scenario's catalogue."""
        super().__init__(core, entry)
        self._period_ns: int = entry.get("period_ns", 0)

    @property
    def period_s(self) -> float | None:
        """Simulated seconds between its values, if they come at a period of their own."""
        return self._period_ns / 1e9 if self._period_ns else None

    async def read(self) -> Reading:
        """Read it now; takes no simulated time. Raises `ObservableRefused`."""
        self._core.requests.looked(f"observable {self.name} is read: over another network it is another")
        request, future = self._core.requests.expect(f"reading of {self.name}")
        self._core.clock.read(request, self.id, 0)
        return self._reading(await future)

    def subscribe(self, period_s: float | None = None, *, aside: bool = False) -> Subscription:
        """Return readings from now on, every `period_s` simulated seconds, oldest first, with none left out::

            async with sim.observable("sinr").subscribe(0.1) as readings:
                async for reading in readings:
                    ...

        If the values come at a period of their own, `period_s` is that period (the default) or a whole multiple of it.
        Then each value, or every n-th value, is read exactly once, as soon as it exists.

        aside: for a program that only observes. Such a subscription does not keep a run alive: if everybody else waits
        for something that can never come, that is still a deadlock.
        """
        if period_s is None:
            if not self._period_ns:
                raise ConfigurationError(
                    f"observable {self.name!r} has no period of its own; give period_s, in seconds"
                )
            return self._subscription(self._period_ns, aside)
        if not (period_s > 0 and math.isfinite(period_s) and to_ns(period_s) > 0):
            raise ConfigurationError(f"period_s = {period_s!r}; legal is at least a nanosecond, 1e-9")
        return self._subscription(to_ns(period_s), aside)

    def _subscription(self, period_ns: int, aside: bool) -> Subscription:
        def read(request: int) -> None:
            self._core.clock.read(request, self.id, period_ns, aside=aside)

        return Subscription(self._core, self.name, read, self._reading)

    def _reading(self, event: Value) -> Reading:
        data, size = event.data, len(event.data)
        fits = len(event.shape) == len(self.shape) and all(
            want in (-1, have) for want, have in zip(self.shape, event.shape, strict=True)
        )
        if not fits or math.prod(event.shape) * self.dtype.itemsize != size:
            raise broken(
                f"{size} bytes of shape {event.shape} for {self.name!r}, which has shape {self.shape} (-1: any) of "
                f"{self.dtype.itemsize} bytes each"
            )
        data = np.frombuffer(bytearray(data), np.uint8) if isinstance(data, bytes) else np.asarray(_Writable(data))
        value = data.view(self.dtype)
        return Reading(event.time_ns / 1e9, value.reshape(event.shape))


class _Writable:
    """A view of another process's array as NumPy takes it: its pages are copy-on-write, so a program may write to it.

    (PyTorch has no read-only tensors, and warns of read-only arrays.)
    """

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        """`array` is kept alive by what is made of this."""
        self._array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


class Subscription:
    """An asynchronous iterator of readings; leave it with `async with` or `close`, so that it ends."""

    def __init__(self, core: Core, name: str, read: Callable[[int], None], reading: Callable[[Value], Reading]) -> None:
        """Use `Observable.subscribe`. read: asks under a request's number; reading: makes a reading of a value."""
        self._core = core
        self._name = name
        self._read = read
        self._reading = reading
        self._request: int | None = None
        self._closed = False
        self._readings: deque[Reading] = deque()
        self._future: SimFuture | None = None
        self._error: Exception | None = None

    async def __aenter__(self) -> Subscription:
        """Begin."""
        self._begin()
        return self

    async def __aexit__(self, *error: Any) -> None:
        """End."""
        self.close()

    def __aiter__(self) -> Subscription:
        """Return itself."""
        self._begin()
        return self

    async def __anext__(self) -> Reading:
        """Return the next reading."""
        while not self._readings:
            if self._error is not None:
                raise self._error
            if self._closed:
                raise StopAsyncIteration
            self._future = self._core.loop.create_future()
            self._future.why = ("the next reading of", self._name)
            await self._future
        return self._readings.popleft()

    def close(self) -> None:
        """End the subscription."""
        if self._request is not None and not self._closed:
            self._core.requests.forget(self._request)
            self._core.clock.unsubscribe(self._request)
        self._closed = True
        self._wake()

    def _begin(self) -> None:
        if self._request is None and not self._closed:
            requests = self._core.requests
            requests.looked(f"observable {self._name} is followed: over another network it is another")
            self._request = requests.follow(self._put, self._fail)
            self._read(self._request)

    def _put(self, event: Value) -> None:
        self._readings.append(self._reading(event))
        self._wake()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class Control(_Described):
    """Something to set: ``applied_at_s = await sim.control("bandwidth").set([0.3, 0.7])``.

    Attributes: `name`, `dtype`, `shape` (-1: any), `axes`, `unit`, `help`.
    """

    async def set(self, value: Any) -> float:
        """Set it and return the simulated time in seconds at which it was applied.

        `value`: a number, an array or nested lists. A struct is a tuple in the order of its fields, a dict by their
        names, or a NumPy record; several of them are a list, or a structured array.

        Raises `ConfigurationError` if the value does not have the control's dtype and shape, `ControlRefused` with the
        scenario's reason if the scenario does not take it.
        """
        self._core.requests.looked(f"control {self.name} is set: another network may not have it")
        array = self._as_array(value)
        request, future = self._core.requests.expect(f"control {self.name}")
        self._core.clock.set_control(request, self.id, array.tobytes())
        applied: Applied = await future
        return applied.applied_at_ns / 1e9

    def _as_array(self, value: Any) -> np.ndarray[Any, Any]:
        try:
            array = as_array(value, self.dtype, len(self.shape))
        except ValueError as error:
            raise ConfigurationError(f"control {self.name!r}: {error}") from None
        fits = array.ndim == len(self.shape) and all(
            want in (-1, have) for want, have in zip(self.shape, array.shape, strict=True)
        )
        if not fits:
            raise ConfigurationError(
                f"control {self.name!r} has shape {self.shape} (-1: any; axes {self.axes!r}), not {array.shape}"
            )
        return np.ascontiguousarray(array)


class Requests:
    """Requests to read and to set that have not been answered yet."""

    def __init__(self, core: Core) -> None:
        """Make the observables and controls of the scenario's catalogue."""
        self._core = core
        catalogue = core.clock.catalogue
        self.observables = {e["name"]: Observable(core, e) for e in catalogue.get("observables", [])}
        self.controls = {e["name"]: Control(core, e) for e in catalogue.get("controls", [])}
        self._futures: dict[int, SimFuture] = {}
        self._subscriptions: dict[int, tuple[Callable[[Value], None], Callable[[Exception], None]]] = {}
        self._ended: set[int] = set()  # subscriptions

    def observable(self, name: str) -> Observable:
        """Return the observable of this name."""
        if name not in self.observables:
            raise ConfigurationError(
                f"no observable {name!r} in scenario {self._core.scenario!r}; there are: "
                f"{', '.join(self.observables) or 'none'}"
            )
        return self.observables[name]

    def control(self, name: str) -> Control:
        """Return the control of this name."""
        if name not in self.controls:
            raise ConfigurationError(
                f"no control {name!r} in scenario {self._core.scenario!r}; there are: "
                f"{', '.join(self.controls) or 'none'}"
            )
        return self.controls[name]

    def looked(self, what: str) -> None:
        """Note that the program looks at the network, or acts on it: it cannot be replayed over another."""
        self._core.observer.depends_on_network(what)

    def expect(self, why: str) -> tuple[int, asyncio.Future[Any]]:
        """Return a new request's number, and the future of its answer."""
        future = self._core.loop.create_future()
        future.why = (why,)
        request = self._core.loop.next_sequence()
        self._futures[request] = future
        return request, future

    def follow(self, put: Callable[[Value], None], fail: Callable[[Exception], None]) -> int:
        """Return a new periodic request's number; `put` gets its values, and `fail` the reason if there are no more."""
        request = self._core.loop.next_sequence()
        self._subscriptions[request] = put, fail
        return request

    def forget(self, request: int) -> None:
        """Note that a subscription has ended. Values that were sent to it may still come."""
        if self._subscriptions.pop(request, None) is not None:
            self._ended.add(request)

    def value(self, event: Value) -> None:
        """Take a reading that has come."""
        if event.request in self._subscriptions:
            self._subscriptions[event.request][0](event)
        else:
            self._answer(event.request, event)

    def applied(self, event: Applied) -> None:
        """A control has been applied."""
        self._answer(event.request, event)

    def refused(self, request: int, message: str, reason: str) -> None:
        """Take the scenario's refusal."""
        error = ControlRefused(reason) if message == "SetControl" else ObservableRefused(reason)
        if request in self._subscriptions:
            fail = self._subscriptions[request][1]
            self.forget(request)
            fail(error)
            return
        future = self._open(request)
        if future is not None and not future.done():
            future.set_exception(error)

    def _answer(self, request: int, event: Value | Applied) -> None:
        future = self._open(request)
        if future is not None and not future.done():
            future.set_result(event)

    def _open(self, request: int) -> SimFuture | None:
        """Return the future that waits for an answer; None for a subscription that has ended."""
        if request not in self._futures and request not in self._ended:
            raise broken(f"an answer to request {request}, which nobody has made or which is answered already")
        return self._futures.pop(request, None)
