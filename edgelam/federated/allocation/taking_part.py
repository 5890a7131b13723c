# SPDX-License-Identifier: GPL-2.0-only
"""What a method needs of an allocation, also if there is none: then everybody drawn for a round takes part."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgelam.federated.allocation.allocator import Allocator
from edgelam.learning.conversation import Link

if TYPE_CHECKING:
    from edgelam import cosim
    from edgelam.federated.allocation.reports import Coming
    from edgelam.federated.records import Report
    from edgelam.federated.setup import Setup


@dataclass(frozen=True)
class Allocation:
    """See the module."""

    allocator: Allocator | None

    @staticmethod
    def of(
        sim: cosim.Simulation, server: cosim.Node, devices: Sequence[cosim.Node], setup: Setup, *, rounds: int,
        method: str, report: Report, coming: Sequence[Coming] = (),
    ) -> Allocation:  # fmt: skip
        """Return the allocation that the settings ask for. Raises ConfigurationError if the scenario cannot do it."""
        settings = setup.settings.allocation
        if not settings.decides:
            return Allocation(None)
        samples = [len(shard) for shard in setup.shards]
        return Allocation(
            Allocator(
                sim, server, devices, settings, rounds=rounds, samples=samples, seed=setup.seed, method=method,
                told=report, coming=coming,
            )
        )  # fmt: skip

    @property
    def choose(self) -> Callable[[int], Awaitable[list[cosim.Node]]] | None:
        """Who takes part in a round; None: nobody decides."""
        return None if self.allocator is None else self.allocator.choose

    @contextlib.contextmanager
    def work(self, link: Link, round_number: int) -> Iterator[None]:
        """Around a device's part of a round."""
        if self.allocator is None:
            yield
            return
        with self.allocator.agents[link.node.name].work(link, round_number):
            yield

    def running(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Let devices report while the body goes on."""
        return contextlib.nullcontext() if self.allocator is None else self.allocator.running()
