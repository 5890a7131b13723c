# SPDX-License-Identifier: GPL-2.0-only
"""How a transfer crosses the network, as one value: the arguments of `Node.send` other than receivers and data.

`TransferSpec` is passed whole from `Node.send` to the clock, and packed here, in one place, for the struct of the same
name in `bridge/include/edgelam/bridge/protocol.h`, which the scenario passes whole to its sockets. A new field is
declared in these two places (here also as a keyword), gets a line in `TransferSpec.packed`, and is read where it is
used; nothing in between names it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from edgelam.cosim.units import NEVER_NS, to_ns
from edgelam.errors import ConfigurationError

PROTOCOLS = {"ideal": 0, "tcp": 1, "udp": 2}  # TransferProtocol of protocol.h
MAX_RATE_BPS = 1e15  # faster than any link, and within an int64
PRIORITIES = range(8)  # the class selectors of RFC 2474


class TransferOptions(TypedDict, total=False):
    """The fields of `TransferSpec` as keywords, for type checkers."""

    tag: str
    protocol: str
    encoding: str
    deadline_s: float | None
    give_up_s: float
    rate_bps: float | None
    priority: int
    paced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSpec:
    """How a transfer crosses the network.

    Raises `ConfigurationError` for a value that is not legal; `encode` checks the encoding.
    """

    tag: str = ""
    """The transfer's name; `Node.receive` can ask for it."""
    protocol: str = "tcp"
    """`tcp` (reliable, in order for each pair of nodes, priority and value of `paced`), `udp` (datagrams at a pace, may
    lose byte ranges), or `ideal` (takes no time). What several nodes send at once is `Node.over_the_air`."""
    encoding: str = "fp32"
    """Number format of floating-point values on the wire: `fp32`, `fp16`, `bf16`, `int8` (a scale for each token),
    `fp64`, `exact`. The wire carries exactly these bytes, see encoding.py."""
    deadline_s: float | None = None
    """Give up the transfer this many seconds after the request; None: never."""
    give_up_s: float = 1.0
    """udp: seconds after the last datagram was sent, after which what is missing counts as lost."""
    rate_bps: float | None = None
    """udp: pace in bits of payload per second; None: the scenario's default for the path."""
    priority: int = 0
    """Class of traffic, 0 to 7: packets of tcp and udp, also acknowledgements, carry the class selector of this number
    (RFC 2474; DSCP 8 * priority). Queues and schedulers that read it treat them accordingly; others do not. With
    0, they carry none."""
    paced: bool = False
    """tcp: over a connection of its own that spreads its segments over a round trip, so that large transfers in
    opposite directions do not hold up one another's acknowledgements (EnablePacing of ns3::TcpSocketState)."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        if self.protocol not in PROTOCOLS:
            hint = "; an analog transfer has several senders: receiver.over_the_air(senders, elements)"
            raise ConfigurationError(
                f"unknown protocol {self.protocol!r}; there are: {', '.join(PROTOCOLS)}"
                f"{hint if self.protocol == 'analog' else ''}"
            )
        if not isinstance(self.tag, str):
            raise ConfigurationError(f"a tag is text, not {self.tag!r}")
        try:
            self.tag.encode()
        except UnicodeEncodeError:
            raise ConfigurationError(
                f"tag {self.tag!r} has a single surrogate, half a character: it cannot be written"
            ) from None
        if self.deadline_s is not None and not self.deadline_s > 0:
            raise ConfigurationError(f"deadline_s = {self.deadline_s!r}; it must be positive")
        if self.rate_bps is not None and not 1 <= self.rate_bps <= MAX_RATE_BPS:
            raise ConfigurationError(f"rate_bps = {self.rate_bps!r}; legal are 1 to {MAX_RATE_BPS:g} bits per second")
        if not 0 <= self.give_up_s < math.inf:
            raise ConfigurationError(f"give_up_s = {self.give_up_s!r} must be finite and not negative")
        if type(self.priority) is not int or self.priority not in PRIORITIES:
            raise ConfigurationError(
                f"priority = {self.priority!r}: a class of traffic is an int from {PRIORITIES[0]} (none) to "
                f"{PRIORITIES[-1]}"
            )
        if type(self.paced) is not bool:
            raise ConfigurationError(f"paced = {self.paced!r}; legal are True and False")

    def packed(self, id: int, size_bytes: int, now_ns: int) -> dict[str, int]:
        """Return the fields of the struct in protocol.h, for transfer `id` of `size_bytes`, requested at `now_ns`."""
        return {
            "id": id,
            "size_bytes": size_bytes,
            "protocol": PROTOCOLS[self.protocol],
            "priority": self.priority,
            "deadline_ns": NEVER_NS if self.deadline_s is None else min(now_ns + to_ns(self.deadline_s), NEVER_NS),
            "give_up_ns": to_ns(self.give_up_s),
            "rate_bps": 0 if self.rate_bps is None else round(self.rate_bps),
            "paced": int(self.paced),
        }

    def noted(self) -> dict[str, Any]:
        """Return what a recording keeps, as JSON: all but the deadline, which no replay can keep. See `from_note`."""
        first = {
            "tag": self.tag,
            "protocol": self.protocol,
            "encoding": self.encoding,
            "give_up_ns": to_ns(self.give_up_s),
            "rate_bps": 0 if self.rate_bps is None else round(self.rate_bps),
        }
        for name, usual in _LATER.items():
            if getattr(self, name) != usual:
                first[name] = getattr(self, name)
        return first

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> TransferSpec:
        """Return the spec for which `noted` has returned this; other entries of the note are ignored."""
        names = {field.name for field in dataclasses.fields(cls)} - {"rate_bps"}
        return cls(
            give_up_s=note["give_up_ns"] / 1e9,
            rate_bps=note["rate_bps"] or None,
            **{name: value for name, value in note.items() if name in names},
        )


_FIRST = ("tag", "protocol", "encoding", "deadline_s", "give_up_s", "rate_bps")
_LATER = {field.name: field.default for field in dataclasses.fields(TransferSpec) if field.name not in _FIRST}
"""Fields that older recordings do not have, with their defaults, which no recording holds."""
