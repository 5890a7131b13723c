# SPDX-License-Identifier: GPL-2.0-only
"""How long collectives take, worked out by hand: latency, rate, headers, slow start. docs/collectives.md derives them.

For ranks that are alike and begin at the same time, on links of their own to one router (the scenario wired-star), and
without losses. tests/parallel compares simulated collectives with these forms.

path = Path((100e6, 100e6), 0.01)                                              # two links, 10 ms in all
ring(4, Udp(path, 90e6), 1_000_000)                                            # seconds of an all-reduce of 1 MB
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

SEGMENT_BYTES = 1400
"""Payload of a TCP segment and of a datagram."""
UDP_HEADER_BYTES = 30
"""UDP 8, IPv4 20, point-to-point 2."""
TCP_HEADER_BYTES = 54
"""TCP 20 and time stamps 12, IPv4 20, point-to-point 2; an acknowledgement is this and no more."""
INITIAL_WINDOW = 10
"""Segments (RFC 6928)."""


@dataclass(frozen=True)
class Path:
    """From one node to another: the rates of its links, bit/s, and the sum of their delays, s."""

    rates_bps: tuple[float, ...]
    delay_s: float

    def there_s(self, left_s: float, packet_bytes: float, before_s: float, before_bytes: float) -> float:
        """When the last of two packets is there, which have left the first link at `left_s` and, first, `before_s`."""
        for rate_bps in self.rates_bps[1:]:
            before_s += before_bytes * 8 / rate_bps
            left_s = max(left_s, before_s) + packet_bytes * 8 / rate_bps
        return left_s + self.delay_s


Send = Callable[[int, float], float]
"""When the last byte of a message is there: ``send(bytes, when it is asked for)``, s."""


class Udp:
    """Datagrams at a pace of `rate_bps` bits of payload a second, less than any link's."""

    def __init__(self, path: Path, rate_bps: float) -> None:
        """On a path."""
        self.path, self.rate_bps = path, rate_bps

    def __call__(self, size_bytes: int, start_s: float) -> float:
        """All datagrams but the last at the pace, and the last one over the links."""
        if size_bytes == 0:
            return start_s
        before = (size_bytes - 1) // SEGMENT_BYTES
        last_bytes = size_bytes - before * SEGMENT_BYTES + UDP_HEADER_BYTES
        whole_bytes = SEGMENT_BYTES + UDP_HEADER_BYTES
        pace_s = SEGMENT_BYTES * 8 / self.rate_bps
        before_s = start_s + (before - 1) * pace_s + whole_bytes * 8 / self.path.rates_bps[0]
        left_s = max(before_s, start_s + before * pace_s) + last_bytes * 8 / self.path.rates_bps[0]
        return self.path.there_s(left_s, last_bytes, before_s if before else -math.inf, whole_bytes)


class Tcp:
    """One connection, whose messages come one after another.

    Segment i leaves when the link is free, and when fewer than a window of segments are not acknowledged. There is one
    acknowledgement for two segments. While the window is what data waits for, it grows by each segment acknowledged.
    """

    def __init__(self, path: Path, *, window: float | None = None, busy_backwards: bool = False) -> None:
        """Make one on a path.

        window: segments; None: not connected yet; math.inf: warmed, it never waits. busy_backwards: the same data
        crosses the links for another connection the other way round at the same time: half an acknowledgement goes with
        each segment, and waits for the segments before it.
        """
        self.path, self.window, self._busy = path, window, busy_backwards
        self._header_bytes = TCP_HEADER_BYTES * (1.5 if busy_backwards else 1)
        self.acknowledged_s = path.delay_s + sum(TCP_HEADER_BYTES * 8 / rate for rate in path.rates_bps)
        """How long an acknowledgement is under way."""
        self._free_s = 0.0
        self._handed_s: list[float] = []
        self._left_s: list[float] = []
        self._in_flight = 0
        self._arrived: deque[tuple[float, int]] = deque()
        """When segments are there that are to be acknowledged, and how many."""

    def __call__(self, size_bytes: int, start_s: float) -> float:
        """Send a message."""
        if size_bytes == 0:
            return start_s
        if self.window is None:
            self.window = INITIAL_WINDOW
            start_s += 2 * self.acknowledged_s  # the handshake
        count = math.ceil(size_bytes / SEGMENT_BYTES)
        packet_bytes, link_bps = SEGMENT_BYTES + self._header_bytes, min(self.path.rates_bps)
        last_bytes = size_bytes - (count - 1) * SEGMENT_BYTES + self._header_bytes
        before_s = start_s + (count - 1) * packet_bytes * 8 / link_bps
        left_s = before_s + last_bytes * 8 / link_bps
        if self.window < math.inf:
            before_s, left_s = self._through_window(count, last_bytes, start_s)
        if self.path.rates_bps[0] > link_bps:  # the packets have queued before the slower link
            return left_s + self.path.delay_s + last_bytes * 8 / self.path.rates_bps[0]
        return self.path.there_s(left_s, last_bytes, before_s if count > 1 else -math.inf, packet_bytes)

    def _through_window(self, count: int, last_bytes: float, now_s: float) -> tuple[float, float]:
        """When the last segment but one and the last one have left the slowest link."""
        assert self.window is not None
        link_bps, before_s = min(self.path.rates_bps), -math.inf
        while self._arrived and self._next_s() <= now_s:
            self._in_flight -= self._arrived.popleft()[1]
        for segment in range(1, count + 1):
            while self._in_flight >= self.window:
                now_s = max(now_s, self._next_s())
                acknowledged = self._arrived.popleft()[1]
                self._in_flight -= acknowledged
                self.window += acknowledged
            packet_bytes = SEGMENT_BYTES + self._header_bytes if segment < count else last_bytes
            before_s, self._free_s = self._free_s, max(now_s, self._free_s) + packet_bytes * 8 / link_bps
            self._handed_s.append(now_s)
            self._left_s.append(self._free_s)
            self._in_flight += 1
            if segment % 2 == 0 or segment == count:
                others_s = sum(packet_bytes * 8 / rate for rate in self.path.rates_bps) - packet_bytes * 8 / link_bps
                self._arrived.append((self._free_s + others_s + self.path.delay_s, 1 if segment % 2 else 2))
        return before_s, self._free_s

    def _next_s(self) -> float:
        """When the next acknowledgement comes; the other way round, as much waits for the link as here."""
        there_s = self._arrived[0][0]
        handed = bisect_right(self._handed_s, there_s)
        if self._busy and handed:
            there_s = max(there_s, self._left_s[handed - 1])
        return there_s + self.acknowledged_s


def ring(size: int, send: Send, size_bytes: int) -> float:
    """Seconds of an all-reduce around a ring: 2 (n - 1) steps of a chunk. send: to the next rank."""
    end_s = 0.0
    for _ in range(2 * (size - 1)):
        end_s = send(math.ceil(size_bytes / size), end_s)
    return end_s


def halving_doubling(sends: list[Send], size_bytes: int) -> float:
    """Seconds of an all-reduce by halving and doubling among 2^k ranks. sends: to the ranks 1, 2, 4, ... away."""
    end_s, steps = 0.0, len(sends)
    there = [(sends[step], math.ceil(size_bytes / 2 ** (steps - step))) for step in reversed(range(steps))]
    for send, part_bytes in there + there[::-1]:
        end_s = send(part_bytes, end_s)
    return end_s


def tree(ups: list[Send], downs: list[Send], size_bytes: int, *, acknowledged_s: float = 0.0) -> float:
    """Seconds of an all-reduce along a binomial tree of 2^k ranks, of tensors that go to one child after another.

    ups, downs: between ranks 1, 2, 4, ... apart. acknowledged_s: what passes from the arrival of a message until its
    sender knows and turns to the next child; nothing by udp.
    """
    end_s = 0.0
    for send in ups + downs[::-1]:
        end_s = send(size_bytes, end_s)
    return end_s + max(0, len(ups) - 1) * acknowledged_s


def star(up: Send, down: Send, size_bytes: int) -> float:
    """Seconds of an all-reduce through a server, whose link carries what all ranks' links do.

    Through rank 0 the n - 1 others share its link: give paths of the rate / (n - 1).
    """
    return down(size_bytes, up(size_bytes, 0.0))
