# SPDX-License-Identifier: GPL-2.0-only
"""The conversation between a server and its devices: who they are, messages that begin with their step, and times.

If a device was dropped from a round, its messages of that round may still arrive. Every message begins with its step,
so they can be told from later ones.
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
    """Return the server's node: the first with role "edge", or else the first with role "cloud"."""
    for role in ("edge", "cloud"):
        for node in sim.nodes.values():
            if node.role == role:
                return node
    roles = sorted({node.role for node in sim.nodes.values()})
    raise ConfigurationError(f"the scenario has no server (role edge or cloud), only {', '.join(roles) or 'nothing'}")


def number(value: int) -> torch.Tensor:
    """Return a whole number as it is sent: 4 bytes."""
    return torch.tensor(value, dtype=torch.int32)


async def expect(node: cosim.Node, source: cosim.Node, tag: str, step: int) -> cosim.Message:
    """Return the message of this step; older ones (of a round from which the source was dropped) are ignored."""
    while True:
        message = await node.receive(source, tag=tag)
        if int(message.data["step"]) == step:
            return message


def on_its_way(message: cosim.Message, from_s: float, to_s: float) -> float:
    """Return how long the message was being transferred within [from_s, to_s], in seconds."""
    return np.maximum(0.0, to_s - np.maximum(from_s, message.queued_s))


@dataclass
class Parts:
    """A device's time in one round so far (simulated seconds), and the samples that it has processed."""

    compute_s: float = 0.0
    uplink_s: float = 0.0
    downlink_s: float = 0.0
    loss_sum: float = 0.0
    num_samples: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    up_messages: int = 0
    down_messages: int = 0


class Link:
    """One device's side of its conversation with the server; it adds up the time of each part."""

    def __init__(self, sim: cosim.Simulation, node: cosim.Node, server: cosim.Node, encoding: str = "fp32") -> None:
        """Connect the device `node` and `server`; encoding: of what is sent, unless `send` gets another one."""
        self.sim, self.node, self.server, self.encoding = sim, node, server, encoding
        self.parts = Parts()

    async def send(self, tag: str, step: int, data: dict[str, Any], *, encoding: str | None = None) -> None:
        """Send tensors after the number of the step; return when the last byte is acknowledged."""
        start_s = self.sim.now_s
        sent = await self.node.send(
            self.server, {"step": number(step), **data}, tag=tag, encoding=encoding or self.encoding
        )
        self.parts.uplink_s += self.sim.now_s - start_s
        self.parts.up_bytes += sent.size_bytes
        self.parts.up_messages += 1

    async def receive(self, tag: str, step: int) -> dict[str, Any]:
        """Return the server's message of this step; older ones are ignored."""
        start_s = self.sim.now_s
        message = await expect(self.node, self.server, tag, step)
        self.parts.downlink_s += on_its_way(message, start_s, self.sim.now_s)
        self.parts.down_bytes += message.size_bytes
        self.parts.down_messages += 1
        return dict(message.data)

    @contextmanager
    def accounting(self) -> Iterator[None]:
        """Count the simulated time inside as this device's computing (including waiting for its processor)."""
        start_s = self.sim.now_s
        yield
        self.parts.compute_s += self.sim.now_s - start_s
