# SPDX-License-Identifier: GPL-2.0-only
"""The launcher's side of the key-value store (store.py): the values, and who waits for which."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation


class StoreHost:
    """Values, queues and waiting ranks of one run."""

    def __init__(self, sim: Simulation) -> None:
        """Empty."""
        self._sim = sim
        self._values: dict[str, bytes] = {}
        self._queues: defaultdict[str, deque[bytes]] = defaultdict(deque)
        self._waiting: dict[tuple[int, int], tuple[str, str, list[str]]] = {}
        """(participant, number of its question) -> what it asked, in words and as get or pop of keys."""

    async def asked(self, participant: int, number: int, what: str, kind: str, *content: Any) -> None:
        """Answer a question, at once or when there is an answer."""
        values = self._values
        answer: Any = True
        match kind, content:
            case "set", (key, value):
                values[key] = bytes(value)
            case "append", (key, value):
                values[key] = values.get(key, b"") + bytes(value)
            case "add", (key, amount):
                answer = int(values.get(key, b"0")) + int(amount)
                values[key] = str(answer).encode()
            case "compare_set", (key, expected, desired):
                if values.get(key, b"") == bytes(expected):
                    values[key] = bytes(desired)
                answer = values.get(key, bytes(expected))
            case "check", (keys,):
                answer = all(key in values for key in keys)
            case "delete", (key,):
                answer = values.pop(key, None) is not None
            case "keys", ():
                answer = list(values)
            case "push", (key, value):
                self._queues[key].append(bytes(value))
            case "length", (key,):
                answer = len(self._queues[key])
            case "get", (keys,):
                self._waiting[participant, number] = (what, "get", list(keys))
            case "pop", (key,):
                self._waiting[participant, number] = (what, "pop", [key])
            case _:
                raise AssertionError(f"no such question to the store: {kind} {content!r}")
        if kind not in ("get", "pop"):
            await self._answer(participant, number, what, answer)
        await self._serve()

    def forget(self, participant: int, number: int) -> None:
        """Who asked does not wait for the answer any more."""
        self._waiting.pop((participant, number), None)

    async def _serve(self) -> None:
        for (participant, number), (what, kind, keys) in list(self._waiting.items()):
            answer: Any
            if kind == "get" and all(key in self._values for key in keys):
                answer = [self._values[key] for key in keys]
            elif kind == "pop" and self._queues[keys[0]]:
                answer = self._queues[keys[0]].popleft()
            else:
                continue
            del self._waiting[participant, number]
            await self._answer(participant, number, what, answer)

    async def _answer(self, participant: int, number: int, what: str, answer: Any) -> None:
        await self._sim.post(participant, f"the store: {what.removeprefix('the store: ')} ({number})", answer)
