# SPDX-License-Identifier: GPL-2.0-only
"""Local training: every device downloads the model once and then learns from its own shard alone.

This is the lower limit that federated training must beat. Devices wait for one another only to be evaluated together.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.learner import Learner, download_model, train_step
from edgelam.federated.log import Log
from edgelam.federated.records import DeviceRoundRecord, Report, ignore
from edgelam.federated.setup import Setup
from edgelam.learning.conversation import device_nodes, server_node
from edgelam.learning.participation import draw
from edgelam.models import Unsplit

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "local"


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """Train on every device, with the samples that it processes in split-fedft.

    The outcome's accuracy and loss are means over the devices' own models on the global test set.
    """
    settings = setup.settings
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    encoder, embedding = setup.encoder(), setup.embedding()
    learners = {
        node.name: Learner(
            Unsplit(setup.embedding() if settings.train_embedding else embedding, encoder.twin(), setup.head()),
            settings,
            seed=setup.seed + index,
        )
        for index, node in enumerate(nodes)
    }
    evaluate = Evaluator(setup, METHOD, report, tuple(learners))
    log = Log(METHOD, report)
    total = 0

    async def steps(index: int, first: int, stop: int) -> None:
        nonlocal total
        node, learner = nodes[index], learners[nodes[index].name]
        for step in range(first, stop):
            if index not in draw(len(nodes), settings.participation, step, setup.seed):
                continue
            start_s = sim.now_s
            parts = [setup.shards[index].batch(step, part) for part in range(settings.accumulation)]
            loss_sum, count = await train_step(node, learner, parts, step)
            total += count
            span_s = sim.now_s - start_s
            report(
                DeviceRoundRecord(
                    METHOD, step, node.name, start_s, sim.now_s, span_s, 0.0, 0.0, 0.0, loss_sum / count, count, True
                )
            )

    for node in nodes:
        node.memory.allocate("model", learners[node.name].resident_bytes())
    async with asyncio.TaskGroup() as group:
        for node in nodes:
            group.create_task(download_model(edge, node, learners[node.name]), name=f"download to {node.name}")
    first = 0
    for stop in (step + 1 for step in range(settings.rounds) if settings.evaluates_after(step)):
        async with asyncio.TaskGroup() as group:
            for index, node in enumerate(nodes):
                group.create_task(steps(index, first, stop), name=f"device {node.name}")
        outcome = evaluate(
            stop, sim.now_s, {name: learner.model for name, learner in learners.items()}, mean_of_own=True
        )
        first = stop
    log.nodes(setup, nodes, None)
    return outcome.counting(total)
