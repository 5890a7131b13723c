# SPDX-License-Identifier: GPL-2.0-only
"""The conversation between a server and its devices: who they are, messages headed by their step, where time goes.

A device that was dropped from a round may still have messages of it under way; the step that heads every message tells
them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam import cosim


def device_nodes(sim: cosim.Simulation, count: int) -> list[cosim.Node]:
    """The nodes that hold data: the first `count` with role "ue". Raises ConfigurationError if there are fewer."""
    nodes = [node for node in sim.nodes.values() if node.role == "ue"]
    if len(nodes) < count:
        raise ConfigurationError(f"num_devices is {count} but the scenario has {len(nodes)} user devices (role ue)")
    return nodes[:count]


def server_node(sim: cosim.Simulation) -> cosim.Node:
    """The node that serves: the first with role "edge", else the first with role "cloud"."""
    for role in ("edge", "cloud"):
        for node in sim.nodes.values():
            if node.role == role:
                return node
    roles = sorted({node.role for node in sim.nodes.values()})
    raise ConfigurationError(f"the scenario has no server (role edge or cloud), only {', '.join(roles) or 'nothing'}")


def number(value: int) -> torch.Tensor:
    """A whole number as it travels: 4 bytes."""
    return torch.tensor(value, dtype=torch.int32)


async def expect(node: cosim.Node, source: cosim.Node, tag: str, step: int) -> cosim.Message:
    """The message of that step; older ones (of a round in which the source was dropped) are thrown away."""
    while True:
        message = await node.receive(source, tag=tag)
        if int(message.data["step"]) == step:
            return message


def on_its_way(message: cosim.Message, from_s: float, to_s: float) -> float:
    """The part of [from_s, to_s] in which the message was being transferred, in seconds."""
    return np.maximum(0.0, to_s - np.maximum(from_s, message.queued_s))


@dataclass
class Parts:
    """A device's time in one round, as it adds up (simulated seconds), and the samples it has worked on."""

    compute_s: float = 0.0
    uplink_s: float = 0.0
    downlink_s: float = 0.0
    loss_sum: float = 0.0
    num_samples: int = 0


class Link:
    """One device's side of its conversation with the server, with the time each part takes added up."""

    def __init__(self, sim: cosim.Simulation, node: cosim.Node, server: cosim.Node, encoding: str = "fp32") -> None:
        """Between the device `node` and `server`; encoding: of what is sent, unless `send` is told otherwise."""
        self.sim, self.node, self.server, self.encoding = sim, node, server, encoding
        self.parts = Parts()

    async def send(self, tag: str, step: int, data: dict[str, Any], *, encoding: str | None = None) -> None:
        """Send tensors, headed by the step; returns when the last byte is acknowledged."""
        start_s = self.sim.now_s
        await self.node.send(self.server, {"step": number(step), **data}, tag=tag, encoding=encoding or self.encoding)
        self.parts.uplink_s += self.sim.now_s - start_s

    async def receive(self, tag: str, step: int) -> dict[str, Any]:
        """The server's message of that step; older ones are thrown away."""
        start_s = self.sim.now_s
        message = await expect(self.node, self.server, tag, step)
        self.parts.downlink_s += on_its_way(message, start_s, self.sim.now_s)
        return dict(message.data)

    @contextmanager
    def accounting(self) -> Iterator[None]:
        """Count the simulated time within as this device's computing (with waiting for its processor)."""
        start_s = self.sim.now_s
        yield
        self.parts.compute_s += self.sim.now_s - start_s
