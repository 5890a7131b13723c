# SPDX-License-Identifier: GPL-2.0-only
"""Un-split federated LoRA (FedIT, arXiv 2305.05644): adapters trained on the devices, matrices A and B averaged on
the server.

    before:  server --model--> every device                 the frozen encoder, once
    a round: server --adapter--> device                     A and B (and the head, with head_averaging = "server")
             device                                         `local_steps` optimiser steps on the whole model
             server <--adapter-- device                     averaged, weighted by the samples each device processed

mean(B) mean(A) differs from mean(B A): the aggregation bias of this method, kept as it is. A device keeps its
optimiser's state between rounds. With a deadline and `stragglers = "drop"`, a device whose adapter is not there in
time is left out of the average.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from torch import Tensor

from edgelam.federated.averaging import weighted_average
from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.learner import Learner, download_model, train_step
from edgelam.federated.memory import tensor_bytes
from edgelam.federated.records import Report, ignore
from edgelam.federated.rounds import (
    Exchange,
    Link,
    Log,
    RoundResult,
    device_loop,
    device_nodes,
    expect,
    number,
    report_nodes,
    server_loop,
    server_node,
)
from edgelam.federated.setup import Setup
from edgelam.models import Unsplit

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "fed-lora"


async def device(link: Link, learner: Learner, log: Log, setup: Setup, index: int) -> None:
    """One device: download the model, then train and exchange adapters until the server ends the run."""
    node, settings, shard = link.node, setup.settings, setup.shards[index]
    node.memory.allocate("model", learner.resident_bytes())

    async def work(round_number: int) -> None:
        load_shared(learner.model, await link.receive("adapter", round_number))
        samples = 0
        for step in _steps(round_number, setup):
            parts = [shard.batch(step, part) for part in range(settings.accumulation)]
            with link.accounting():
                loss_sum, count = await train_step(node, learner, parts)
            samples += count
            link.parts.loss_sum += loss_sum
            link.parts.num_samples += count
        answer: dict[str, Any] = {
            **shared_weights(learner.model, settings.head_averaging == "server"),
            "samples": number(samples),
            "loss": link.parts.loss_sum,
        }
        await link.send("adapter", round_number, answer, encoding=settings.weight_encoding)

    def give_up() -> None:
        learner.give_up()
        if "activations" in node.memory.held():
            node.memory.free("activations")

    await device_loop(link, log, setup, work, give_up)


async def serve_round(node: cosim.Node, shared: dict[str, Any], exchange: Exchange, setup: Setup) -> RoundResult:
    """The server's side of one round; `shared` is what it averages, updated in place."""
    encoding = setup.settings.weight_encoding

    async def adapter(device: cosim.Node) -> dict[str, Any]:
        data = {"step": number(exchange.round), **shared}
        await node.send(device, data, tag="adapter", encoding=encoding)
        return dict((await expect(node, device, "adapter", exchange.round)).data)

    answers = await exchange.invite_and(adapter, 1.0)
    samples = {name: int(answer["samples"]) for name, answer in answers.items()}
    if answers:
        async with node.compute("average", key=("average", len(answers))):
            for group in shared:
                shared[group] = weighted_average([answer[group] for answer in answers.values()], list(samples.values()))
    return RoundResult(samples, sum(answer["loss"] for answer in answers.values()))


def shared_weights(model: Unsplit, with_head: bool) -> dict[str, dict[str, Tensor]]:
    """What is exchanged: the adapters, and the head where the server averages heads. Copies."""
    weights = {"adapter": {name: p.detach().clone() for name, p in model.encoder.lora.items()}}
    if with_head:
        weights["head"] = {name: p.detach().clone() for name, p in model.head.state_dict().items()}
    return weights


def load_shared(model: Unsplit, weights: dict[str, Any]) -> None:
    """Put exchanged weights into a model."""
    model.encoder.load_lora(weights["adapter"])
    if "head" in weights:
        model.head.load_state_dict(weights["head"])


def _steps(round_number: int, setup: Setup) -> range:
    """The optimiser steps of a round: the last round may have fewer."""
    first = round_number * setup.settings.local_steps
    return range(first, min(first + setup.settings.local_steps, setup.settings.rounds))


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """FedIT over the simulated network: as many optimiser steps on as many samples as split-fedft.

    Evaluated: the averaged adapters with each device's head.
    """
    settings = setup.settings
    nodes, edge = device_nodes(sim, setup), server_node(sim)
    log = Log(METHOD, sim, report)
    encoder, embedding = setup.encoder(), setup.embedding()
    learners = [
        Learner(
            Unsplit(setup.embedding() if settings.train_embedding else embedding, encoder.twin(), setup.head()),
            settings,
            seed=setup.seed + index,
        )
        for index in range(len(nodes))
    ]
    shared: dict[str, Any] = shared_weights(learners[0].model, settings.head_averaging == "server")
    evaluate = Evaluator(setup, METHOD, report, tuple(node.name for node in nodes))
    outcomes: list[Outcome] = []
    num_rounds = -(-settings.rounds // settings.local_steps)
    # evaluations fall on the ends of rounds: in every round whose steps reach one
    due = [any(settings.evaluates_after(step) for step in _steps(r, setup)) for r in range(num_rounds)]

    def after(round_number: int) -> None:
        if due[round_number]:
            encoder.load_lora(shared["adapter"])
            models = {}
            for node, learner in zip(nodes, learners, strict=True):
                models[node.name] = Unsplit(learner.model.embedding, encoder, learner.model.head)
            outcomes.append(evaluate(_steps(round_number, setup).stop, sim.now_s, models))

    edge.memory.allocate("model", tensor_bytes(encoder.parameters()))
    async with asyncio.TaskGroup() as group:
        for node, learner in zip(nodes, learners, strict=True):
            group.create_task(download_model(edge, node, learner), name=f"download to {node.name}")
    async with asyncio.TaskGroup() as group:
        for index, (node, learner) in enumerate(zip(nodes, learners, strict=True)):
            link = Link(sim, node, edge, setup)
            group.create_task(device(link, learner, log, setup, index), name=f"device {node.name}")
        serving = group.create_task(
            server_loop(
                sim, edge, nodes, setup, log, rounds=num_rounds, steps_per_round=settings.local_steps, after=after,
                serve=lambda exchange: serve_round(edge, shared, exchange, setup),
            ),
            name="server",
        )  # fmt: skip
    report_nodes(log, setup, nodes, edge)
    return outcomes[-1].counting(serving.result())
