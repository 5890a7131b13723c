# SPDX-License-Identifier: GPL-2.0-only
"""A service: a module, and how its instances serve it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from edgelam.cosim.encoding import ENCODINGS
from edgelam.errors import ConfigurationError
from edgelam.inference.graph import Graph, Router

if TYPE_CHECKING:
    from edgelam.inference.module import Module


@dataclasses.dataclass(frozen=True)
class Service:
    """A module that graphs share. Each of its instances runs on one node."""

    name: str
    module: Module
    encoding: str = "fp32"
    """Number format of its outputs on the wire (edgelam/cosim/encoding.py). They are rounded to it when they are made,
    also if no wire follows, so they do not depend on where other services run."""
    max_batch: int = 8
    """Most requests that an instance computes at the same time."""
    batch_wait_s: float = 0.0
    """How long an instance that has nothing to do waits for a batch to fill, after its first request."""
    stream: bool = False
    """Of a module that generates, if its outputs are the answer: each step goes to the user when it is done."""
    renames: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Name of an input or output of the module -> its name in graphs."""

    def __post_init__(self) -> None:
        """Refuse settings that are not legal."""
        if self.encoding not in ENCODINGS:
            raise ConfigurationError(
                f"service {self.name!r}: unknown encoding {self.encoding!r}; there are: {', '.join(ENCODINGS)}"
            )
        if not isinstance(self.max_batch, int) or self.max_batch < 1:
            raise ConfigurationError(f"service {self.name!r}: max_batch is {self.max_batch!r}; legal is 1 or more")
        if not 0 <= self.batch_wait_s < math.inf:
            raise ConfigurationError(
                f"service {self.name!r}: batch_wait_s is {self.batch_wait_s!r}; it must be finite and not negative"
            )
        if self.stream and not hasattr(self.module, "generate"):
            raise ConfigurationError(f"service {self.name!r} cannot stream: {self.module.name!r} does not generate")
        for name in self.renames:
            if name not in (*self.module.takes, *self.module.gives):
                raise ConfigurationError(f"service {self.name!r}: its module has no {name!r} that could be renamed")

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of its inputs in graphs."""
        return tuple(self.renames.get(name, name) for name in self.module.takes)

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of its outputs in graphs."""
        return tuple(self.renames.get(name, name) for name in self.module.gives)

    @property
    def declared(self) -> bool:
        """Whether its module computes nothing."""
        return bool(getattr(self.module, "declared", False))

    @property
    def weight_bytes(self) -> int:
        """Memory that the weights of an instance take."""
        return self.module.weight_bytes

    @property
    def file_bytes(self) -> int:
        """Bytes of its weights as they cross the network."""
        return int(getattr(self.module, "file_bytes", self.module.weight_bytes))


def catalogue(services: Iterable[Service]) -> dict[str, Service]:
    """Return services by name. Raises ConfigurationError if two have the same name."""
    found: dict[str, Service] = {}
    for service in services:
        if service.name in found:
            raise ConfigurationError(f"two services are called {service.name!r}")
        found[service.name] = service
    return found


def unshared(
    services: Mapping[str, Service], graphs: Mapping[str, Graph]
) -> tuple[dict[str, Service], dict[str, Graph]]:
    """Return services and graphs in which no two graphs share an instance: each graph has copies of its own.

    A copy is called ``SERVICE@GRAPH``. Its module is the same object, so it gives the same outputs.
    """
    copies: dict[str, Service] = {}
    own: dict[str, Graph] = {}
    for graph in graphs.values():
        mine = {name: f"{name}@{graph.name}" for name in graph.services()}
        for name, copy in mine.items():
            copies[copy] = dataclasses.replace(services[name], name=copy)
        routers = {
            name: Router(
                router.kind,
                tuple(dataclasses.replace(step, name=mine.get(step.name, step.name)) for step in router.steps),
            )
            for name, router in graph.routers.items()
        }
        own[graph.name] = dataclasses.replace(graph, routers=routers)
    return copies, own
