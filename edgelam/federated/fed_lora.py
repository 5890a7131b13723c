# SPDX-License-Identifier: GPL-2.0-only
"""Un-split federated LoRA: adapters are trained on the devices, and combined on the server by a rule (`aggregation`).

    before:  server --model--> every device                 the frozen encoder, once
    a round: server --adapter--> device                     by FedIT: A and B (and the head, if the server averages it)
             device                                         `local_steps` optimiser steps on the whole model
             server <--adapter-- device                     merged, weighted by the samples each device processed

The default rule is FedIT (arXiv 2305.05644): mean(B) mean(A) differs from mean(B A); this aggregation bias of the
method is kept. A device keeps its optimiser's state between rounds, unless the rule begins with new adapters. With
`compression`, a device sends, instead of adapter and head, their compressed difference to what came down (updates.py).
With `ranks`, devices have adapters of different ranks; with `tuning` they train and send other weights of the model.
With `allocation` the server decides before each round who takes part and with how much of the cell's band.
With a deadline and `stragglers = "drop"`, a device whose adapter is late is left out of the average.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edgelam.federated.allocation.taking_part import Allocation
from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.learner import Learner, download_model, have_downloaded, train_step
from edgelam.federated.log import Log, RoundResult
from edgelam.federated.records import Report, ignore
from edgelam.federated.setup import Setup
from edgelam.federated.updates import (
    Owed,
    Receiver,
    Sender,
    SharedWeights,
    changed_base,
    load_shared,
    rule_of,
    shared_head,
    shared_weights,
)
from edgelam.federated.wrong_updates import combine, poison, poisoned, refuse_wrong
from edgelam.learning.averaging import weighted_average
from edgelam.learning.conversation import Link, device_nodes, expect, number, server_node
from edgelam.learning.course import Part, Together
from edgelam.learning.memory import tensor_bytes
from edgelam.learning.rounds import Exchange, FinishedRound, device_loop, server_loop
from edgelam.models import Unsplit
from edgelam.models.lora import keep_rank
from edgelam.random_streams import derive_seed

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "fed-lora"
SERVER = "server"
"""Its name in checkpoints."""


async def device(
    link: Link, learner: Learner, log: Log, setup: Setup, *, index: int, sender: Sender | None, allocation: Allocation
) -> None:  # fmt: skip
    """One device: train and exchange adapters until the server ends the run. sender: compresses its updates."""
    node, settings, shard = link.node, setup.settings, setup.shards[index]
    rule, with_head = rule_of(settings), settings.head_averaging == "server"
    node.memory.allocate("model", learner.resident_bytes())

    async def work(round_number: int) -> None:
        setup.course.begins(node.name, round_number)
        with allocation.work(link, round_number):
            await train(round_number)

    async def train(round_number: int) -> None:
        got = await link.receive("adapter", round_number)
        load_shared(learner.model, got, rule)
        if rule.restarts and round_number > 0:
            learner.restart_adapters()
        if sender is not None:
            sender.begin(shared_weights(learner.model, rule, with_head))
        samples = 0
        for step in steps_of(round_number, setup):
            parts = [shard.batch(step, part) for part in range(settings.accumulation)]
            with link.accounting():
                loss_sum, count = await train_step(node, learner, parts, step)
            samples += count
            link.parts.loss_sum += loss_sum
            link.parts.num_samples += count
        answer: dict[str, Any] = shared_weights(learner.model, rule, with_head)
        if poisoned(index, settings):
            seed = derive_seed(setup.seed, f"{node.name} in round {round_number}")
            answer = poison(answer, got, settings.robust, seed)
        if sender is not None:
            with link.accounting():
                async with node.compute("compress", key=("compress", settings.compression.kind)):
                    answer = {"update": sender.pack(answer)}
            node.memory.allocate("compressor", sender.state.num_bytes)
        answer |= {"samples": number(samples), "loss": link.parts.loss_sum}
        await link.send("adapter", round_number, answer)

    def give_up() -> None:
        learner.give_up()
        if sender is not None:
            sender.take_back()  # what the server did not count

    def finished(round_number: int) -> None:
        log.device_round(round_number, node.name, link.parts)

    await device_loop(link, setup.rounds(num_rounds(setup)), work, give_up=give_up, finished=finished)


async def serve_round(node: cosim.Node, shared: dict[str, Any], exchange: Exchange, setup: Setup, *,
                      ranks: dict[str, int], receiver: Receiver | None, report: Report) -> RoundResult:  # fmt: skip
    """Do the server's side of one round. shared: what it sends down, updated in place; ranks: of the devices' adapters,
    by name; receiver: decompresses the updates."""
    settings = setup.settings
    setup.course.begins(SERVER, exchange.round, exchange.start_s)
    encoding, rule = settings.weight_encoding, rule_of(settings)

    async def adapter(device: cosim.Node) -> dict[str, Any]:
        data = {"step": number(exchange.round), **shared}
        data["adapter"] = rule.part_for(shared["adapter"], ranks[device.name])
        await node.send(device, data, tag="adapter", encoding=encoding)
        return dict((await expect(node, device, "adapter", exchange.round)).data)

    if receiver is not None:
        receiver.begin(shared)
    answers = await exchange.invite_and(adapter)
    samples = {name: int(answer["samples"]) for name, answer in answers.items()}
    if answers and receiver is not None:
        async with node.compute("decompress", key=("decompress", len(answers))):
            answers = {name: answer | receiver.unpack(answer["update"]) for name, answer in answers.items()}
    if answers and settings.robust.rule != "none":
        async with node.compute("combine", key=("combine", len(answers))):
            parts, finite = combine(
                answers, shared, settings, round_number=exchange.round, method=METHOD, report=report
            )
            shared |= parts
        samples = {name: count for name, count in samples.items() if name in finite}
        answers = {name: answers[name] for name in finite}
    elif answers:
        refuse_wrong(answers, exchange.round)
        async with node.compute("average", key=("average", len(answers))):
            counts = list(samples.values())
            shared["adapter"] = rule.merge([answer["adapter"] for answer in answers.values()], counts)
            if "head" in shared:
                shared["head"] = weighted_average([answer["head"] for answer in answers.values()], counts)
    return RoundResult(samples, sum(answer["loss"] for answer in answers.values()))


def num_rounds(setup: Setup) -> int:
    """Return the number of exchanges of adapters in a run."""
    return -(-setup.settings.rounds // setup.settings.local_steps)


def steps_of(round_number: int, setup: Setup) -> range:
    """Return the optimiser steps of a round: the last round may have fewer."""
    first = round_number * setup.settings.local_steps
    return range(first, min(first + setup.settings.local_steps, setup.settings.rounds))


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """Run federated LoRA over the simulated network, with as many optimiser steps and samples as split-fedft.

    The merged adapters are evaluated with each device's head.
    """
    settings = setup.settings
    rule = rule_of(settings)
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    log = Log(METHOD, report)
    encoder, embedding = setup.encoder(), setup.embedding()
    encoders = [encoder.twin() for _ in nodes]
    for each in (encoder, *encoders):
        rule.prepare(each)
    ranks = {node.name: settings.rank_of(index) for index, node in enumerate(nodes)}
    for node, own in zip(nodes, encoders, strict=True):
        if ranks[node.name] < settings.lora.rank:
            keep_rank(own, ranks[node.name])
    learners = [
        Learner(
            Unsplit(setup.embedding() if settings.train_embedding else embedding, own, setup.head()),
            settings,
            seed=setup.seed + index,
        )
        for index, own in enumerate(encoders)
    ]
    shared: dict[str, Any] = {
        "adapter": rule.first(encoder),
        **shared_head(learners[0].model, settings.head_averaging == "server"),
    }
    receiver = None
    senders = [Sender(setup) if settings.compression.kind != "none" else None for _ in nodes]
    if settings.compression.kind != "none":
        mirror = Unsplit(embedding, encoder.twin(), setup.head())
        rule.prepare(mirror.encoder)
        receiver = Receiver(setup, mirror)
    evaluate = Evaluator(setup, METHOD, report, tuple(node.name for node in nodes))
    outcomes: list[Outcome] = []
    allocation = Allocation.of(sim, edge, nodes, setup, rounds=num_rounds(setup), method=METHOD, report=report)
    # evaluations are at the ends of rounds: in every round whose steps reach one
    due = [any(settings.evaluates_after(step) for step in steps_of(r, setup)) for r in range(num_rounds(setup))]

    def finished(done: FinishedRound[RoundResult]) -> None:
        step = steps_of(done.number, setup).stop
        log.round(done, step)
        rule.install(encoder, shared["adapter"])
        if due[done.number]:
            models = {}
            for node, learner in zip(nodes, learners, strict=True):
                models[node.name] = Unsplit(learner.model.embedding, encoder, learner.model.head)
                if rule.personal:
                    models[node.name] = learner.model
            average = None
            if settings.robust.rule != "none" and "head" in shared:  # the devices' own heads are as they train
                average = Unsplit(embedding, encoder, setup.head())
                average.head.load_state_dict(shared["head"])
            outcomes.append(evaluate(step, sim.now_s, models, average, mean_of_own=rule.personal))
        setup.course.finished(done.number)

    kept: dict[str, Part] = {"shared": SharedWeights(shared), "base": changed_base(encoder, rule)}
    if receiver is not None:
        kept["mirror"] = changed_base(receiver.mirror.encoder, rule)
    parts: dict[str, Part] = {SERVER: Together(kept)}
    for node, learner, sender in zip(nodes, learners, senders, strict=True):
        own_parts: dict[str, Part] = {"learner": learner, "base": changed_base(learner.model.encoder, rule)}
        if sender is not None:
            own_parts["owed"] = Owed(sender)
        parts[node.name] = Together(own_parts)
    if setup.course.first:
        for learner in learners:
            have_downloaded(learner)
    setup.course.restore(parts)
    edge.memory.allocate("model", tensor_bytes(encoder.parameters()))
    async with asyncio.TaskGroup() as group:
        for node, learner in zip(nodes, learners, strict=True):
            if not setup.course.first:
                group.create_task(download_model(edge, node, learner), name=f"download to {node.name}")
    async with allocation.running(), asyncio.TaskGroup() as group:
        for index, (node, learner) in enumerate(zip(nodes, learners, strict=True)):
            link = Link(sim, node, edge, settings.weight_encoding)
            group.create_task(
                device(link, learner, log, setup, index=index, sender=senders[index], allocation=allocation),
                name=f"device {node.name}",
            )
        serving = group.create_task(
            server_loop(
                sim, edge, nodes, setup.rounds(num_rounds(setup)), finished=finished,
                choose=allocation.choose,
                serve=lambda exchange: serve_round(
                    edge, shared, exchange, setup, ranks=ranks, receiver=receiver, report=report
                ),
            ),
            name="server",
        )  # fmt: skip
    log.nodes(setup, nodes, edge)
    return outcomes[-1].counting(sum(result.num_samples for result in serving.result()))
