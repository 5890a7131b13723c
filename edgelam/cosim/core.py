# SPDX-License-Identifier: GPL-2.0-only
"""What the parts of one simulation share.

`Simulation` and `Node` are what a user's program sees. Behind them, the parts (transfers, compute blocks, observables,
other participants, an observer) know the one `Core`, and no part uses the private state of another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from edgelam.cosim.analog import AnalogTransfers
from edgelam.cosim.clock import Applied, Clock, Delivered, Event, Finished, Posted, Refused, Summed, Value
from edgelam.cosim.compute import check_mode
from edgelam.cosim.devices import DEFAULT_DEVICE, OTHER_DEVICE, DeviceProfile, profile
from edgelam.cosim.loop import SimLoop
from edgelam.cosim.node import Node
from edgelam.cosim.observables import Requests
from edgelam.cosim.observer import NOBODY, Observer
from edgelam.cosim.participants import Participants
from edgelam.cosim.radio_energy import watch_batteries
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.cosim.transfers import Transfers
from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError


class Core:
    """One simulation, as its own parts see it."""

    def __init__(
        self,
        clock: Clock,
        *,
        devices: Mapping[str, str | DeviceProfile] | None = None,
        compute: str = "modelled",
        network: str | None = None,
        on_transfer: Callable[[TransferRecord], object] | None = None,
        on_compute: Callable[[ComputeRecord], object] | None = None,
        program: Observer | None = None,
    ) -> None:
        """clock: the clock on which it runs; the other arguments are those of `simulate`."""
        if network not in (None, "ideal"):
            raise ConfigurationError(f"network = {network!r}; legal are None (as each send says) and 'ideal'")
        self.compute_mode = check_mode(compute)
        self.network = network
        self.on_transfer = on_transfer
        self.on_compute = on_compute
        self.clock = clock
        self.loop = SimLoop(clock, self._on_event)  # type: ignore[abstract]  # refused.py has them
        self.scenario: str = clock.catalogue["scenario"]
        self.participant = clock.participant
        self.participants = clock.participants
        self.work: dict[tuple[str, Hashable], Work] = {}
        """What compute blocks with the same label and key cost, counted once."""
        self.by_id: dict[int, Node] = {}
        self.nodes: dict[str, Node] = {}
        """Nodes by name, in the scenario's order."""
        self._claimed: set[int] = set()
        self._make_nodes(clock.catalogue["nodes"], devices or {})
        self.transfers = Transfers(self)
        self.analog = AnalogTransfers(self)
        self.requests = Requests(self)
        self.others = Participants(self)
        self.observer: Observer = (program or NOBODY).begin(self)
        """Is told of what happens."""
        self.loop.observer = self.observer
        clock.explain = self.loop.describe_waiting
        watch_batteries(self)

    def _make_nodes(self, catalogue: list[dict[str, Any]], devices: Mapping[str, str | DeviceProfile]) -> None:
        profiles = {pattern: profile(device) for pattern, device in devices.items()}
        roles = {entry["name"]: entry["role"] for entry in catalogue}
        fitting: dict[str, set[str]] = {}  # pattern -> the nodes with such names or, if there is none, with such a role
        for pattern in profiles:
            by_name = {name for name in roles if fnmatchcase(name, pattern)}
            fitting[pattern] = by_name or {name for name, role in roles.items() if fnmatchcase(role, pattern)}
            if not fitting[pattern]:
                raise ConfigurationError(
                    f"devices: {pattern!r} matches no node; there are: {', '.join(roles) or 'none'}. Give patterns of "
                    f"these names, such as '{next(iter(roles), 'ue0')}=phone', or '*=cpu-server' for all"
                )
        for entry in catalogue:
            name, role = entry["name"], entry["role"]
            device = next((p for pattern, p in profiles.items() if name in fitting[pattern]), None)
            if device is None:
                device = profile(DEFAULT_DEVICE.get(role, OTHER_DEVICE))
            self.nodes[name] = self.by_id[entry["id"]] = Node(self, entry["id"], name, role, device)

    # ---- whose nodes they are ------------------------------------------------------------------------------------

    def claim(self, node: Node) -> None:
        """Have what is sent to `node` delivered to this participant."""
        if node.id not in self._claimed:
            self._claimed.add(node.id)
            self.clock.claim(node.id)

    def is_mine(self, node: Node) -> bool:
        """True if what is sent to `node` is known to come to this process."""
        return self.participants == 1 or node.id in self._claimed

    def may_be_mine(self, node: Node) -> bool:
        """Whether `is_mine`, or, for participant 0, whether nobody else can have claimed the node."""
        return self.participant == 0 or node.id in self._claimed

    def check_others(self, node: Node, others: Sequence[Any], what: str, role: str) -> None:
        """Raise ConfigurationError unless `others` are different nodes of this simulation, none of them `node`.

        what: how errors begin, such as "ue0 sends 'x' to"; role: what the others are called, such as "receivers".
        """
        if not others:
            raise ConfigurationError(f"{what} nobody: give at least one node")
        if any(each is not self.nodes.get(getattr(each, "name", "")) for each in others):
            raise ConfigurationError(
                f"{what} {others!r}: {role} must be nodes of this simulation; there are: {', '.join(self.nodes)}"
            )
        if node in others:
            raise ConfigurationError(f"{what} itself: nothing would cross the network")
        if len({each.id for each in others}) != len(others):
            raise ConfigurationError(f"{what} the same node twice: {others!r}")

    # ---- events --------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        kind = type(event)
        if kind is Delivered:
            self.transfers.delivered(event)  # type: ignore[arg-type]
        elif kind is Finished:
            self.transfers.finished(event)  # type: ignore[arg-type]
        elif kind is Value:
            self.requests.value(event)  # type: ignore[arg-type]
        elif kind is Applied:
            self.requests.applied(event)  # type: ignore[arg-type]
        elif kind is Posted:
            self.others.posted(event)  # type: ignore[arg-type]
        elif kind is Summed:
            self.analog.ended(event)  # type: ignore[arg-type]
        elif kind is Refused:
            self._refused(event)  # type: ignore[arg-type]

    def _refused(self, event: Refused) -> None:
        if event.message == "TransferRequest":
            self.transfers.refused(event.id, event.reason)
        elif event.message == "AnalogRequest":
            self.analog.refused(event.id, event.reason)
        elif event.message in ("ReadObservable", "SetControl"):
            self.requests.refused(event.id, event.message, event.reason)
        elif event.message != "CancelTransfer":  # a transfer that had ended by then
            raise ConfigurationError(f"the scenario refused {event.message}: {event.reason}")
