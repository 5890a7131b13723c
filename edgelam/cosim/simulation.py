# SPDX-License-Identifier: GPL-2.0-only
"""The simulation as a coroutine sees it: its time, nodes, observables, controls, other participants, random streams."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.cosim.clock import Applied, Clock, Delivered, Event, Finished, Posted, Refused, Value
from edgelam.cosim.compute import check_mode
from edgelam.cosim.devices import DEFAULT_DEVICE, OTHER_DEVICE, DeviceProfile, profile
from edgelam.cosim.loop import SimLoop
from edgelam.cosim.node import Node
from edgelam.cosim.observables import Control, Observable, Requests
from edgelam.cosim.participants import Participants
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.cosim.transfers import Transfers
from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, from_numbers, torch_generator

if TYPE_CHECKING:
    import torch

    from edgelam.cosim.observer import Observer


class Simulation:
    """What `simulate` and `attach` hand to the main coroutine."""

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 1,
        devices: Mapping[str, str | DeviceProfile] | None = None,
        compute: str = "modelled",
        network: str | None = None,
        on_transfer: Callable[[TransferRecord], object] | None = None,
        on_compute: Callable[[ComputeRecord], object] | None = None,
        program: Observer | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Use `simulate` or `attach`."""
        if network not in (None, "ideal"):
            raise ConfigurationError(f"network = {network!r}; legal: None (as each send says), 'ideal'")
        self.seed = seed
        """The run's seed."""
        self.scenario: str = clock.catalogue["scenario"]
        """Name of the scenario, `none` without one."""
        self.participant = clock.participant
        """This process's number, from 0."""
        self.participants = clock.participants
        """How many processes take part."""
        self.scenario_pid: int | None = clock.scenario_pid
        """The scenario's process, None without one."""
        self.compute_mode = check_mode(compute)
        self.network = network
        self.on_transfer = on_transfer
        self.on_compute = on_compute
        self._clock = clock
        self._loop = SimLoop(clock, self._on_event)  # type: ignore[abstract]  # refused.py has them
        self._work: dict[tuple[str, Hashable], Work] = {}
        self._environment = dict(environment or {})
        self._by_id: dict[int, Node] = {}
        self._claimed: set[int] = set()
        self.nodes: dict[str, Node] = {}
        """All nodes by name, in the scenario's order."""
        self._make_nodes(clock.catalogue["nodes"], devices or {})
        self._transfers = Transfers(self)
        self._requests = Requests(self)
        self._others = Participants(self)
        if program is not None:
            program.begin(self)
            self._loop.observer = program
        clock.explain = self._loop.describe_waiting

    def _make_nodes(self, catalogue: list[dict[str, Any]], devices: Mapping[str, str | DeviceProfile]) -> None:
        profiles = {pattern: profile(device) for pattern, device in devices.items()}
        names = [entry["name"] for entry in catalogue]
        for pattern in profiles:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ConfigurationError(
                    f"devices: {pattern!r} matches no node; there are: {', '.join(names) or 'none'}. Give patterns of "
                    f"these names, such as '{(names or ['ue0'])[0]}=phone', or '*=cpu-server' for all"
                )
        for entry in catalogue:
            name, role = entry["name"], entry["role"]
            device = next((p for pattern, p in profiles.items() if fnmatchcase(name, pattern)), None)
            if device is None:
                device = profile(DEFAULT_DEVICE.get(role, OTHER_DEVICE))
            self.nodes[name] = self._by_id[entry["id"]] = Node(self, entry["id"], name, role, device)

    # ---- time --------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Simulated time in seconds since the start of the run."""
        now_s = self._loop.now_ns / 1e9
        return self._loop.observer.read_clock(now_s)

    @property
    def now_ns(self) -> int:
        """Simulated time in nanoseconds, exact."""
        return self._loop.now_ns

    # ---- nodes -------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """The node of that name; `ConfigurationError` lists those that exist."""
        try:
            return self.nodes[name]
        except KeyError:
            raise ConfigurationError(
                f"no node {name!r} in scenario {self.scenario!r}; there are: {', '.join(self.nodes)}"
            ) from None

    def nodes_with_role(self, role: str) -> list[Node]:
        """All nodes of a role (`ue`, `gnb`, `edge`, `cloud`, ...), in the scenario's order; at least one."""
        nodes = [node for node in self.nodes.values() if node.role == role]
        if not nodes:
            roles = sorted({node.role for node in self.nodes.values()})
            raise ConfigurationError(
                f"no node with role {role!r} in scenario {self.scenario!r}; roles: {', '.join(roles)}"
            )
        return nodes

    def claim(self, *nodes: Node) -> None:
        """Have what is sent to `nodes` delivered to this participant (default: all to participant 0).

        Do it before anybody sends to them, best as the first thing: at time 0 all participants' claims take effect
        before their first transfers are.
        """
        for node in nodes:
            if not isinstance(node, Node):
                raise ConfigurationError(f"claim takes nodes, as sim.node(name) gives them, not {node!r}")
            if node.id not in self._claimed:
                self._claimed.add(node.id)
                self._clock.claim(node.id)

    def _is_mine(self, node: Node) -> bool:
        """True if what is sent to `node` is known to come to this process."""
        return self.participants == 1 or node.id in self._claimed

    def _may_be_mine(self, node: Node) -> bool:
        """As `_is_mine`, and for participant 0 also all nodes that nobody else may have claimed."""
        return self.participant == 0 or node.id in self._claimed

    # ---- observables and controls ------------------------------------------------------------------------------

    @property
    def observables(self) -> dict[str, Observable]:
        """Everything the scenario lets one read, by name."""
        return self._requests.observables

    @property
    def controls(self) -> dict[str, Control]:
        """Everything the scenario lets one set, by name."""
        return self._requests.controls

    def observable(self, name: str) -> Observable:
        """The observable of that name; `ConfigurationError` lists those that exist."""
        return self._requests.observable(name)

    def control(self, name: str) -> Control:
        """The control of that name; `ConfigurationError` lists those that exist."""
        return self._requests.control(name)

    # ---- other participants ------------------------------------------------------------------------------------

    async def barrier(self, name: str = "") -> None:
        """Wait until every participant is at the barrier of that name; takes no simulated time."""
        await self._others.barrier(name)

    async def post(self, participant: int, tag: str, data: Any) -> None:
        """Hand `data` (as for `Node.send`) to another participant: no simulated time, no network, dtypes kept."""
        self._others.post(participant, tag, data)

    async def collect(self, participant: int, tag: str) -> Any:
        """Wait for what `participant` posted to this one with `tag`, first in first out."""
        return await self._others.collect(participant, tag)

    @property
    def address(self) -> str:
        """Where the scenario is attached to; empty without one."""
        return self._environment.get("EDGELAM_ADDRESS", "")

    def environment(self, participant: int) -> dict[str, str]:
        """Environment variables with which a child process finds this run: ``cosim.attach(main)`` is all it needs."""
        if not 0 < participant < self.participants:
            raise ConfigurationError(
                f"participant {participant!r}: this run has participants 0 (this one) to {self.participants - 1}"
            )
        return {
            **self._environment,
            "EDGELAM_PARTICIPANT": str(participant),
            "EDGELAM_PARTICIPANTS": str(self.participants),
            "EDGELAM_SEED": str(self.seed),
        }

    # ---- random streams ----------------------------------------------------------------------------------------

    def rng(self, name: str) -> np.random.Generator:
        """A NumPy generator that depends on the run's seed and `name` only."""
        return from_numbers(derive_seed(self.seed, name))

    def generator(self, name: str) -> torch.Generator:
        """A PyTorch generator (CPU) that depends on the run's seed and `name` only."""
        return torch_generator(derive_seed(self.seed, name))

    # ---- events ------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        kind = type(event)
        if kind is Delivered:
            self._transfers.delivered(event)  # type: ignore[arg-type]
        elif kind is Finished:
            self._transfers.finished(event)  # type: ignore[arg-type]
        elif kind is Value:
            self._requests.value(event)  # type: ignore[arg-type]
        elif kind is Applied:
            self._requests.applied(event)  # type: ignore[arg-type]
        elif kind is Posted:
            self._others.posted(event)  # type: ignore[arg-type]
        elif kind is Refused:
            self._refused(event)  # type: ignore[arg-type]

    def _refused(self, event: Refused) -> None:
        if event.message == "TransferRequest":
            self._transfers.refused(event.id, event.reason)
        elif event.message in ("ReadObservable", "SetControl"):
            self._requests.refused(event.id, event.message, event.reason)
        elif event.message != "CancelTransfer":  # a transfer that was over by then
            raise ConfigurationError(f"the scenario refused {event.message}: {event.reason}")
