# SPDX-License-Identifier: GPL-2.0-only
"""Small runs of looped tensor parallelism for the tests: text of 50 characters that can be learned."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import torch

from edgelam import cosim
from edgelam.parallel.looped import Trained, train
from edgelam.parallel.looped_model import Batch, LoopedConfig
from edgelam.parallel.looped_split import Split

UNEVEN = Split(("ue0", "ue1", "ue2"), (3, 1, 2), (100, 20, 72))
LENGTH = 10


def config(**given: Any) -> LoopedConfig:
    """D 48, 6 heads, F 192, 4 loops, in float64 on the wire too."""
    usual: dict[str, Any] = {
        "vocabulary": 50, "num_outputs": 50, "max_length": 16, "dtype": "float64", "encoding": "fp64",
        "weight_encoding": "fp64", "learning_rate": 3e-3,
    }  # fmt: skip
    return LoopedConfig(**{**usual, **given})


def batches(step: int, *, pooled: bool = False) -> Batch:
    """Two arithmetic sequences modulo 50, and what comes next; pooled: their differences. Three batches in turn."""
    generator = torch.Generator().manual_seed(step % 3)
    start, stride = torch.randint(50, (2, 1), generator=generator), torch.randint(1, 4, (2, 1), generator=generator)
    text = (start + stride * torch.arange(LENGTH + 1)) % 50
    return Batch(text[:, :-1].contiguous(), stride[:, 0] if pooled else text[:, 1:].contiguous())


@dataclass
class Run:
    """What a run left behind."""

    trained: Trained
    records: list[Any]
    transfers: list[cosim.TransferRecord] = field(default_factory=list)
    computes: list[cosim.ComputeRecord] = field(default_factory=list)
    end_s: float = 0.0
    nodes: dict[str, cosim.Node] = field(default_factory=dict)

    def of(self, kind: type) -> list[Any]:
        """The records of one kind."""
        return [record for record in self.records if isinstance(record, kind)]


def run(settings: LoopedConfig, steps: int = 20, *, split: Split | None = UNEVEN, scenario: str | None = None,
        options: dict[str, Any] | None = None, beside: Any = None, batches: Any = batches, num_ue: int = 3,
        devices: Any = None, watch: Any = None, **more: Any) -> Run:  # fmt: skip
    """Train over `scenario` (None: no network). beside: a coroutine function of (sim) that runs at the same time;
    watch: called with every record."""
    records: list[Any] = []
    transfers: list[cosim.TransferRecord] = []
    computes: list[cosim.ComputeRecord] = []

    async def main(sim: cosim.Simulation) -> Run:
        def report(record: Any) -> None:
            records.append(record)
            if watch:
                watch(record)

        other = asyncio.create_task(beside(sim)) if beside else None
        trained = await train(sim, settings, batches, steps, split=split, report=report, **more)
        if other is not None:
            await other
        return Run(trained, records, transfers, computes, sim.now_s, dict(sim.nodes))

    names = {**{f"ue{k}": "ue" for k in range(num_ue)}, "edge0": "edge"}
    where: dict[str, Any] = {"nodes": names} if scenario is None else {"options": {"numUe": num_ue, **(options or {})}}
    return cosim.simulate(
        main, scenario, on_transfer=transfers.append, on_compute=computes.append, devices=devices, **where
    )
