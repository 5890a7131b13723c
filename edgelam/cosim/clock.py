# SPDX-License-Identifier: GPL-2.0-only
"""The clock of the loop: its interface, and a clock without a network.

A clock takes requests (they take effect at the next wait), and `wait` lets simulated time move until the deadline or
until something happens, whichever comes first, and returns what happened. `BridgeClock` (bridge_clock.py) is ns-3;
`IdealClock` below needs no other process: transfers take no time, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from edgelam.cosim.encoding import Encoded
from edgelam.cosim.transfer_spec import TransferSpec
from edgelam.cosim.units import NEVER_NS
from edgelam.errors import ControlRefused, DeadlockError, ObservableRefused

NO_ANALOG = "an analog transfer takes resource blocks of a radio, and there is no radio without a scenario"
STATUSES = ("complete", "partial", "cancelled", "expired", "failed")  # TransferStatus of protocol.h


class Delivered(NamedTuple):
    """A transfer's last byte is at `receiver` (a node id)."""

    id: int
    sender_participant: int
    source: int
    receiver: int
    lost: list[tuple[int, int]]
    meta: bytes
    size_bytes: int
    last_byte_ns: int
    payload: Any  # uint8 array in shared memory, None if the payload did not travel


class Finished(NamedTuple):
    """One receiver's share of a transfer has ended; times are NOT_YET_NS where something did not happen."""

    id: int
    receiver: int
    status: str
    size_bytes: int
    delivered_bytes: int
    queued_ns: int
    first_byte_ns: int
    last_byte_ns: int
    acknowledged_ns: int
    retransmissions: int
    lost: list[tuple[int, int]]
    reason: str


class Refused(NamedTuple):
    """Request `id` of kind `message` (a message name of protocol.h) was refused."""

    id: int
    message: str
    reason: str


class Value(NamedTuple):
    """A reading: `shape` and the bytes, or an array in shared memory."""

    request: int
    time_ns: int
    shape: tuple[int, ...]
    data: Any


class Applied(NamedTuple):
    """A control has been applied."""

    request: int
    applied_at_ns: int


class Posted(NamedTuple):
    """Bytes, and perhaps an array in shared memory, from another participant."""

    sender: int
    data: bytes
    payload: Any


class Summed(NamedTuple):
    """An analog transfer has ended; see AnalogRecord of protocol.h."""

    id: int
    begin_ns: int
    end_ns: int
    noise_w: float
    noise_figure_db: float
    power_w: float
    num_senders: int
    num_ports: int
    num_blocks: int
    data: Any  # uint8 array in shared memory, None without blocks


Event = Delivered | Finished | Refused | Value | Applied | Posted | Summed


class Clock(Protocol):
    """What the loop and the simulation ask of a clock. Node, observable and control numbers are the catalogue's."""

    now_ns: int
    participant: int
    participants: int
    scenario_pid: int | None
    catalogue: dict[str, Any]
    explain: Callable[[], str]

    def wait(self, deadline_ns: int) -> list[Event]:
        """Let time move to the deadline or the first event; return what happened, in order."""

    def transfer(
        self,
        id: int,
        source: int,
        receivers: Sequence[int],
        size_bytes: int,
        spec: TransferSpec,
        *,
        meta: bytes = b"",
        payload: Encoded | None = None,
    ) -> Any:
        """Ask for a transfer; `payload`: what the receivers' participants need, None if they do not.

        Returns what the caller must keep until the transfer is over everywhere.
        """

    def cancel(self, id: int) -> None:
        """Withdraw what a transfer, or an analog one, has still queued."""

    def analog(self, id: int, receiver: int, senders: Sequence[int], elements: int, most_prbs: int) -> None:
        """Ask for an analog transfer of so many resource elements; most_prbs: in a slot, 0 for all."""

    def claim(self, node: int) -> None:
        """Have deliveries to `node` reported here."""

    def read(self, request: int, observable: int, period_ns: int, *, aside: bool = False) -> None:
        """Read once (`period_ns` 0) or every `period_ns`; aside: the reading alone does not keep a run alive."""

    def unsubscribe(self, request: int) -> None:
        """End a periodic reading."""

    def set_control(self, request: int, control: int, value: bytes) -> None:
        """Set a control to a value, given as its bytes."""

    def post(self, to: int, data: bytes, payload: Encoded | None = None) -> None:
        """Hand bytes, and perhaps a larger block, to another participant in zero simulated time."""

    def detach(self) -> None:
        """Leave in good order."""

    def close(self) -> None:
        """Release everything; without `detach` before, the others take this as a death."""


class IdealClock:
    """A clock of one participant without a network: every transfer arrives at the time of its request."""

    def __init__(self, nodes: dict[str, str]) -> None:
        """Make a clock with `nodes`, name to role."""
        self.now_ns = 0
        self.participant = 0
        self.participants = 1
        self.scenario_pid: int | None = None
        self.catalogue: dict[str, Any] = {
            "scenario": "none",
            "participants": 1,
            "nodes": [{"id": i, "name": n, "role": r} for i, (n, r) in enumerate(nodes.items())],
            "observables": [],
            "controls": [],
        }
        self.explain: Callable[[], str] = str
        self._events: list[Event] = []

    def wait(self, deadline_ns: int) -> list[Event]:
        """Return what has been requested since the last call, or let time jump to the deadline."""
        if self._events:
            events, self._events = self._events, []
            return events
        if deadline_ns >= NEVER_NS:
            raise DeadlockError(
                f"deadlock at simulated time {self.now_ns / 1e9:.9f} s: everybody waits and nothing is outstanding\n"
                + self.explain()
            )
        self.now_ns = deadline_ns
        return []

    def transfer(
        self,
        id: int,
        source: int,
        receivers: Sequence[int],
        size_bytes: int,
        spec: TransferSpec,
        *,
        meta: bytes = b"",
        payload: Encoded | None = None,
    ) -> Any:
        """Deliver at once, whatever the protocol."""
        now = self.now_ns
        for node in receivers:
            self._events.append(Delivered(id, 0, source, node, [], meta, size_bytes, now, None))
            self._events.append(Finished(id, node, "complete", size_bytes, size_bytes, now, now, now, now, 0, [], ""))

    def cancel(self, id: int) -> None:
        """Nothing is ever queued."""

    def analog(self, id: int, receiver: int, senders: Sequence[int], elements: int, most_prbs: int) -> None:
        """There is no radio."""
        self._events.append(Refused(id, "AnalogRequest", NO_ANALOG))

    def claim(self, node: int) -> None:
        """There is only one participant."""

    def read(self, request: int, observable: int, period_ns: int, *, aside: bool = False) -> None:
        """There is nothing to read."""
        raise ObservableRefused("there are no observables without a scenario")

    def unsubscribe(self, request: int) -> None:
        """There is nothing to read."""

    def set_control(self, request: int, control: int, value: bytes) -> None:
        """There is nothing to set."""
        raise ControlRefused("there are no controls without a scenario")

    def post(self, to: int, data: bytes, payload: Encoded | None = None) -> None:
        """There is nobody else."""

    def detach(self) -> None:
        """There is nothing to leave."""

    def close(self) -> None:
        """There is nothing to release."""
