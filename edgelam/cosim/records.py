# SPDX-License-Identifier: GPL-2.0-only
"""Records of a transfer, a computation, a message and a reading, made when these have ended.

The two records are flat and hold only plain values, so a list of them is a table:
``pandas.DataFrame([dataclasses.asdict(r) for r in records])``. Times are simulated seconds since the start of the run;
a time is NaN if that did not happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from edgelam.cosim.node import Node


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """One receiver's share of a transfer."""

    id: int
    """Number of the transfer, unique in its sender's participant; receivers of one multicast share it."""
    source: str
    """Name of the sending node."""
    receiver: str
    """Name of the receiving node."""
    tag: str
    """What the sender called it."""
    protocol: str
    """`tcp`, `udp` or `ideal`."""
    encoding: str
    """Number format on the wire, see encoding.py."""
    status: str
    """`complete`; `partial` (udp: ended with losses); `cancelled`; `expired` (deadline); `failed` (socket error)."""
    size_bytes: int
    """Bytes to send: exactly the encoded payload."""
    delivered_bytes: int
    """Bytes that arrived."""
    queued_s: float
    """When the request took effect."""
    first_byte_s: float
    """When the first byte was at the receiver."""
    last_byte_s: float
    """When the last byte was at the receiver."""
    acknowledged_s: float
    """When the sender knew (tcp: last byte acknowledged; udp and ideal: same as last_byte_s)."""
    retransmissions: int
    """tcp: segments sent again while this transfer was the oldest unacknowledged."""
    goodput_bps: float
    """delivered_bytes * 8 / (last_byte_s - queued_s): infinite for `ideal`, NaN if nothing arrived."""
    lost_bytes: int
    """udp: bytes in lost ranges."""
    participant: int
    """The participant that sent it."""
    priority: int = 0
    """Class of traffic, 0 to 7."""


@dataclass(frozen=True, slots=True)
class ComputeRecord:
    """One compute block on one node."""

    node: str
    """Name of the node."""
    label: str
    """What the block was called."""
    start_s: float
    """When the node began with it."""
    end_s: float
    """When it was done."""
    flops: int
    """Floating-point operations (a multiplication and an addition count as two); 0 if not counted."""
    bytes: int
    """Bytes read and written, operator by operator; 0 if not counted."""
    energy_j: float
    """Energy above idle, joules."""
    waited_s: float
    """How long it waited for its turn before `start_s`."""


@dataclass(slots=True)
class Message:
    """What `Node.receive` returns."""

    data: Any
    """The data that was sent: same structure, same dtypes; lost bytes are zeros."""
    source: Node
    """The node that sent it."""
    tag: str
    """What the sender called it."""
    lost: list[tuple[int, int]]
    """udp: lost byte ranges [begin, end) of the encoded payload; empty if nothing is missing."""
    size_bytes: int
    """Bytes on the wire."""
    protocol: str
    """`tcp`, `udp` or `ideal`."""
    encoding: str
    """Number format on the wire."""
    queued_s: float
    """Simulated time at which the sender asked for the transfer."""
    last_byte_s: float
    """Simulated time at which the last byte arrived."""

    @property
    def lost_bytes(self) -> int:
        """Number of bytes that are missing."""
        return sum(end - begin for begin, end in self.lost)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of an observable."""

    time_s: float
    """Simulated time of the reading."""
    value: np.ndarray[Any, Any]
    """The value; dtype, shape and axes as the observable says."""
