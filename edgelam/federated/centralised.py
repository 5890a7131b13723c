# SPDX-License-Identifier: GPL-2.0-only
"""Centralised training: the devices upload their raw data once, and the server trains one model with one head on it.

This is the upper limit for all methods, at the price of privacy. Each step takes the samples that split-fedft takes
from all its devices in that round.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.learner import Learner, train_step
from edgelam.federated.log import Log
from edgelam.federated.records import Report, RoundRecord, ignore
from edgelam.federated.samples import Batch
from edgelam.federated.setup import Setup
from edgelam.learning.conversation import device_nodes, server_node
from edgelam.learning.participation import draw

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "centralised"


def raw_data(setup: Setup, index: int) -> dict[str, Any]:
    """A device's training data for the upload: UTF-8 text and lengths, or continuous tokens; labels of 2 bytes."""
    examples = setup.task.train.subset(setup.parts[index])
    labels = examples.labels.astype(np.int16)
    if isinstance(examples.inputs, np.ndarray):
        return {"tokens": examples.inputs, "labels": labels}
    texts = [str(text).encode() for text in examples.inputs]
    return {"text": b"".join(texts), "lengths": np.array([len(t) for t in texts], dtype=np.int32), "labels": labels}


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """Upload all training data, then train on the server."""
    settings = setup.settings
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    learner = Learner(setup.unsplit(), settings, seed=setup.seed)
    evaluate = Evaluator(setup, METHOD, report, ())
    log = Log(METHOD, report)
    edge.memory.allocate("model", learner.resident_bytes())

    async def upload(index: int) -> None:
        await nodes[index].send(edge, raw_data(setup, index), tag="data", encoding="fp32")
        await edge.receive(nodes[index], tag="data")

    async with asyncio.TaskGroup() as group:
        for index, node in enumerate(nodes):
            group.create_task(upload(index), name=f"upload from {node.name}")
    total = 0
    for step in range(settings.rounds):
        start_s = sim.now_s
        chosen = draw(len(nodes), settings.participation, step, setup.seed)
        parts = [
            merge([setup.shards[index].batch(step, part) for index in chosen]) for part in range(settings.accumulation)
        ]
        loss_sum, count = await train_step(edge, learner, parts, step)
        total += count
        report(RoundRecord(METHOD, step, step + 1, start_s, sim.now_s, loss_sum / count, count, len(chosen), 0, 0))
        if settings.evaluates_after(step):
            outcome = evaluate(step + 1, sim.now_s, {}, learner.model)
    log.nodes(setup, nodes, edge)
    return outcome.counting(total)


def merge(batches: list[Batch]) -> Batch:
    """Return several right-padded batches as one, padded to the longest."""
    length = max(batch.shape[1] for batch in batches)

    def padded(tensor: torch.Tensor) -> torch.Tensor:
        filler = tensor.new_zeros(tensor.shape[0], length - tensor.shape[1], *tensor.shape[2:])
        return torch.cat([tensor, filler], dim=1)

    return Batch(
        torch.cat([padded(batch.inputs) for batch in batches]),
        torch.cat([padded(batch.mask) for batch in batches]),
        torch.cat([batch.labels for batch in batches]),
        np.concatenate([batch.samples for batch in batches]),
    )
