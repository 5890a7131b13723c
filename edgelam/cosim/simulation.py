# SPDX-License-Identifier: GPL-2.0-only
"""The simulation as a coroutine sees it: its time, nodes, observables, controls, other participants, random streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.cosim.core import Core
from edgelam.cosim.node import Node
from edgelam.cosim.observables import Control, Observable
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, from_numbers, torch_generator

if TYPE_CHECKING:
    import torch


class Simulation:
    """What `simulate` and `attach` pass to the main coroutine."""

    def __init__(self, core: Core, *, seed: int = 1, environment: Mapping[str, str] | None = None) -> None:
        """Use `simulate` or `attach`."""
        self._core = core
        self._environment = dict(environment or {})
        self.seed = seed
        """The run's seed."""
        self.scenario = core.scenario
        """Name of the scenario; `none` without one."""
        self.participant = core.participant
        """This process's number, from 0."""
        self.participants = core.participants
        """How many processes take part."""
        self.scenario_pid = core.clock.scenario_pid
        """The scenario's process; None without one."""
        self.compute_mode = core.compute_mode
        """How long computing takes: modelled, measured or free."""
        self.network = core.network
        """"ideal" if every transfer is ideal, otherwise None."""
        self.nodes = core.nodes
        """All nodes by name, in the scenario's order."""

    @property
    def on_transfer(self) -> Callable[[TransferRecord], object] | None:
        """A function that is called with the record of each transfer; may be set."""
        return self._core.on_transfer

    @on_transfer.setter
    def on_transfer(self, function: Callable[[TransferRecord], object] | None) -> None:
        self._core.on_transfer = function

    @property
    def on_compute(self) -> Callable[[ComputeRecord], object] | None:
        """A function that is called with the record of each computation; may be set."""
        return self._core.on_compute

    @on_compute.setter
    def on_compute(self, function: Callable[[ComputeRecord], object] | None) -> None:
        self._core.on_compute = function

    # ---- time --------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Simulated time in seconds since the start of the run."""
        return self._core.observer.read_clock(self._core.loop.now_ns / 1e9)

    @property
    def now_ns(self) -> int:
        """Simulated time in nanoseconds, exact."""
        return self._core.loop.now_ns

    # ---- nodes -------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """Return the node of this name; `ConfigurationError` lists those that exist."""
        try:
            return self.nodes[name]
        except KeyError:
            raise ConfigurationError(
                f"no node {name!r} in scenario {self.scenario!r}; there are: {', '.join(self.nodes)}"
            ) from None

    def nodes_with_role(self, role: str) -> list[Node]:
        """Return all nodes (at least one) of a role (`ue`, `gnb`, `edge`, `cloud`, ...), in the scenario's order."""
        nodes = [node for node in self.nodes.values() if node.role == role]
        if not nodes:
            roles = sorted({node.role for node in self.nodes.values()})
            raise ConfigurationError(
                f"no node with role {role!r} in scenario {self.scenario!r}; roles: {', '.join(roles)}"
            )
        return nodes

    def claim(self, *nodes: Node) -> None:
        """Let this participant get what is sent to `nodes` (by default, participant 0 gets everything).

        Call it before anybody sends to them, best at the very beginning: at time 0, the claims of all participants take
        effect before their first transfers.
        """
        for node in nodes:
            if not isinstance(node, Node):
                raise ConfigurationError(f"claim takes nodes, as sim.node(name) gives them, not {node!r}")
            self._core.claim(node)

    # ---- observables and controls ------------------------------------------------------------------------------

    @property
    def observables(self) -> dict[str, Observable]:
        """Everything that can be read in the scenario, by name."""
        return self._core.requests.observables

    @property
    def controls(self) -> dict[str, Control]:
        """Everything that can be set in the scenario, by name."""
        return self._core.requests.controls

    def observable(self, name: str) -> Observable:
        """Return the observable of this name; `ConfigurationError` lists those that exist."""
        return self._core.requests.observable(name)

    def control(self, name: str) -> Control:
        """Return the control of this name; `ConfigurationError` lists those that exist."""
        return self._core.requests.control(name)

    # ---- other participants ------------------------------------------------------------------------------------

    async def barrier(self, name: str = "") -> None:
        """Wait until every participant is at the barrier of that name; takes no simulated time."""
        await self._core.others.barrier(name)

    async def post(self, participant: int, tag: str, data: Any) -> None:
        """Hand `data` (as for `Node.send`) to another participant: no simulated time, no network, dtypes kept."""
        self._core.others.post(participant, tag, data)

    async def collect(self, participant: int, tag: str) -> Any:
        """Wait for what `participant` has posted to this one with `tag`, first in, first out."""
        return await self._core.others.collect(participant, tag)

    @property
    def address(self) -> str:
        """The address at which the scenario is attached; empty without a scenario."""
        return self._environment.get("EDGELAM_ADDRESS", "")

    def environment(self, participant: int) -> dict[str, str]:
        """Return the environment variables with which a child process finds this run by ``cosim.attach(main)``."""
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
        """Return a NumPy generator that depends only on the run's seed and `name`."""
        return from_numbers(derive_seed(self.seed, name))

    def generator(self, name: str) -> torch.Generator:
        """Return a PyTorch generator (CPU) that depends only on the run's seed and `name`."""
        return torch_generator(derive_seed(self.seed, name))
