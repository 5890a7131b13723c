# SPDX-License-Identifier: GPL-2.0-only
"""The key-value store of torch.distributed, kept by the launcher and reached over the bridge in zero simulated time.

PyTorch's own stores wait in a socket or for a file, where the rank holds the clock: two ranks of which one waits there
and the other for a packet would wait for ever. Here whoever waits for a key lets simulated time pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from edgelam.parallel.session import session

POLL_S = 1e-3
"""Simulated time that an answer "not yet" takes, so that a program that asks again and again lets the others go on."""
LONG = timedelta(minutes=5)
"""PyTorch's own time-outs are at least so long; they are not applied: who waits for ever is found without."""


_kept: list[BridgeStore] = []
"""All stores: of one that only PyTorch's C++ side knows, such as that behind a prefix, Python's part would be lost."""


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


class BridgeStore(dist.Store):  # type: ignore[name-defined]
    """A rank's store: one for all ranks of the run, whatever address, port or file it was asked for.

    Time-outs below 5 minutes are simulated time; longer ones are not applied, since a run in which everybody waits
    ends with a `DeadlockError`.
    """

    def __init__(self, *unused: Any, **also_unused: Any) -> None:
        """Take the arguments of TCPStore and FileStore, which say where a store is that is not used."""
        super().__init__()
        session()
        _kept.append(self)
        self.set_timeout(also_unused.get("timeout") or LONG)

    def _ask(self, what: str, kind: str, *content: Any, timeout: timedelta | None = None) -> Any:
        limit = timeout or self.timeout
        seconds = None if limit >= LONG else limit.total_seconds()
        try:
            return session().ask(f"the store: {what}", "store", kind, *content, timeout_s=seconds)
        except TimeoutError:
            raise dist.DistStoreError(f"{what}: timed out after {seconds:g} s of simulated time") from None

    def set(self, key: str, value: Any) -> None:
        """Set a key."""
        self._ask(f"set {key!r}", "set", key, _bytes(value))

    def get(self, key: str) -> bytes:
        """The value of a key; waits for it."""
        return bytes(self._ask(f"get {key!r}", "get", [key])[0])

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """The values of several keys; waits for all."""
        return [bytes(value) for value in self._ask(f"get {', '.join(keys)}", "get", list(keys))]

    def multi_set(self, keys: Sequence[str], values: Sequence[Any]) -> None:
        """Set several keys."""
        for key, value in zip(keys, values, strict=True):
            self.set(key, value)

    def append(self, key: str, value: Any) -> None:
        """Add to the end of a value."""
        self._ask(f"append to {key!r}", "append", key, _bytes(value))

    def add(self, key: str, amount: int) -> int:
        """Add to a number, from 0 on; returns the sum."""
        return int(self._ask(f"add to {key!r}", "add", key, int(amount)))

    def compare_set(self, key: str, expected: Any, desired: Any) -> bytes:
        """Set a key that has the expected value, or no value where none is expected; returns the value it has then."""
        content = (key, _bytes(expected), _bytes(desired))
        return bytes(self._ask(f"compare {key!r}", "compare_set", *content))

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all keys are there. An answer "no" takes `POLL_S` of simulated time."""
        found = bool(self._ask(f"check {', '.join(keys)}", "check", list(keys)))
        if not found:
            session().sleep(POLL_S)
        return found

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until all keys are there."""
        self._ask(f"wait for {', '.join(keys)}", "get", list(keys), timeout=timeout)

    def delete_key(self, key: str) -> bool:
        """Remove a key; returns whether it was there."""
        return bool(self._ask(f"delete {key!r}", "delete", key))

    def num_keys(self) -> int:
        """How many keys there are."""
        return len(self.list_keys())

    def list_keys(self) -> list[str]:
        """All keys."""
        return list(self._ask("list keys", "keys"))

    def queue_push(self, key: str, value: Any) -> None:
        """Put a value at the end of a queue."""
        self._ask(f"push to {key!r}", "push", key, _bytes(value))

    def queue_pop(self, key: str, block: bool = True) -> bytes:
        """Take the first value of a queue; waits for one, or raises where that is not wanted."""
        if not block and not self.queue_len(key):
            raise dist.QueueEmptyError(f"queue {key!r} is empty")
        return bytes(self._ask(f"pop from {key!r}", "pop", key))

    def queue_len(self, key: str) -> int:
        """How many values a queue has."""
        return int(self._ask(f"length of {key!r}", "length", key))

    def has_extended_api(self) -> bool:
        """append, multi_get and multi_set are there."""
        return True

    def clone(self) -> BridgeStore:
        """Another view of the same store."""
        return BridgeStore(timeout=self.timeout)

    # what the C++ side calls them
    compareSet, deleteKey, getNumKeys = compare_set, delete_key, num_keys  # noqa: N815
    multiGet, multiSet, hasExtendedApi, listKeys = multi_get, multi_set, has_extended_api, list_keys  # noqa: N815
    queuePush, queuePop, queueLen = queue_push, queue_pop, queue_len  # noqa: N815

    # what a TCPStore says of itself
    host = "edgelam"
    port = 0
    path = ""
