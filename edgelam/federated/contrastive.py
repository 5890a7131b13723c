# SPDX-License-Identifier: GPL-2.0-only
"""Contrastive alignment of two modalities, split between devices and server: split-fedft with objective "contrastive".

A sample has two modalities (an image and the name of its class, the series of two sensors), of which a device may lack
one. Each modality has a frozen embedding module (device), a frozen transformer with adapters (server), and a projection
to a shared space (device). One round:

    device k                                              server
    embed a batch in each modality it has --embedding-->    tokens of each modality through its encoder + LoRA
    project; loss (see below)             <--representation-- of each modality
    dL_k/d representation of each         --jacobian-->     back-propagate; each encoder counts its own samples alone
    update its modules                    --modules-->      average each module over the devices that have it
                                          <--modules--      those that the device has

L_k is the cross-entropy of each modality's vectors with anchors of the classes, which all devices share; with both
modalities also InfoNCE between them (edgelam/learning/contrastive.py). So a device with one modality takes part, and
what it has not takes no memory, arithmetic or bytes there. Labels stay on the devices, but the name of a class tells
the label: its tokens go up in the clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from edgelam.federated.alignment.pair import MODALITIES, Pair, pair_of
from edgelam.federated.alignment.parts import ANCHORS, AlignedDevice, AlignedServer, Sent
from edgelam.federated.evaluation import AVERAGE, Outcome, pooled_test
from edgelam.federated.log import Log, RoundResult
from edgelam.federated.records import EvaluationRecord, Report, ignore
from edgelam.federated.refusals import refuse_unknown
from edgelam.federated.setup import Setup
from edgelam.learning.contrastive import info_nce, retrieved, scores, to_anchors
from edgelam.learning.conversation import Link, device_nodes, expect, number, server_node
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.memory import borrowed, tensor_bytes
from edgelam.learning.rounds import Exchange, FinishedRound, device_loop, server_loop

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "split-fedft"


async def device(link: Link, worker: AlignedDevice, log: Log, setup: Setup) -> None:
    """Run one device over the network, until the server ends the run."""
    node, settings = link.node, setup.settings
    node.memory.allocate("model", worker.resident_bytes())

    async def work(round_number: int) -> None:
        for part in range(settings.accumulation):
            await exchange(round_number, part, last=part == settings.accumulation - 1)
        await link.send("modules", round_number, {"modules": worker.states()}, encoding=settings.weight_encoding)
        worker.load((await link.receive("modules", round_number))["modules"])

    async def exchange(round_number: int, part: int, *, last: bool) -> None:
        step = round_number * settings.accumulation + part
        batches = worker.batches(round_number, part)
        shapes = tuple((name, batch.shape) for name, batch in batches.items())
        with link.accounting():
            async with node.compute("embed", key=("embed", shapes)):
                sent = worker.embed(batches)
        with borrowed(node.memory) as take:
            take("activations", tensor_bytes(tokens for tokens, _ in sent.values()))
            await link.send("embedding", step, {n: {"tokens": t, "lengths": b} for n, (t, b) in sent.items()})
            data = await link.receive("representation", step)
            representations = {name: data[name] for name in worker.held}
            with link.accounting():
                async with node.compute("align", key=("align", shapes, part == 0, last)):
                    loss, jacobians = worker.loss_and_jacobians(representations, batches)
                    if last:
                        worker.update()
            where = f"the loss of device {node.name} in round {round_number}"
            refuse_divergence(loss, where, settings.against_divergence)
            take("head activations", 2 * tensor_bytes(representations.values()) + worker.saved_bytes)
            samples = len(next(iter(batches.values())))
            link.parts.loss_sum += loss * samples
            link.parts.num_samples += samples
            await link.send("jacobian", step, {"jacobians": jacobians, "loss": loss})

    def finished(round_number: int) -> None:
        log.device_round(round_number, node.name, link.parts)

    await device_loop(link, setup.rounds(settings.rounds), work, give_up=worker.give_up, finished=finished)


async def serve_round(node: cosim.Node, server: AlignedServer, exchange: Exchange, setup: Setup) -> RoundResult:
    """Do the server's side of one round."""
    settings = setup.settings
    phases = 2 * settings.accumulation + 1
    counted: dict[str, int] = {}
    loss_sum = 0.0
    for part in range(settings.accumulation):
        step = exchange.round * settings.accumulation + part

        async def embedding(source: cosim.Node, step: int = step) -> Sent:
            data = (await expect(node, source, "embedding", step)).data
            return {name: (data[name]["tokens"], data[name]["lengths"]) for name in MODALITIES if name in data}

        first = exchange.invite_and if part == 0 else exchange.each
        arrived = await first(embedding, (2 * part + 1) / phases)
        if not arrived:
            break
        shape = tuple((tuple(sent), *(tuple(n.tolist()) for _, n in sent.values())) for sent in arrived.values())
        async with node.compute("encode", key=("encode", shape)):
            ready = server.represent(arrived)
        with borrowed(node.memory) as take:
            take("activations", server.saved_bytes)
            take("received", tensor_bytes(tokens for sent in arrived.values() for tokens, _ in sent.values()))

            async def jacobians(
                target: cosim.Node, step: int = step, ready: dict[str, dict[str, Tensor]] = ready
            ) -> dict[str, Any]:
                data = {"step": number(step), **ready[target.name]}
                await node.send(target, data, tag="representation", encoding=settings.encoding)
                return dict((await expect(node, target, "jacobian", step)).data)

            answers = await exchange.each(jacobians, (2 * part + 2) / phases)
            last = part == settings.accumulation - 1
            async with node.compute("backward", key=("backward", shape, tuple(answers), part == 0, last)):
                server.backward({name: answer["jacobians"] for name, answer in answers.items()})
                if last:
                    server.update()
        for name, answer in answers.items():
            samples = len(next(iter(arrived[name].values()))[1])
            counted[name] = counted.get(name, 0) + samples
            loss_sum += answer["loss"] * samples
    else:
        await _average(node, server, exchange, counted, setup)
        return RoundResult(counted, loss_sum)
    server.update()  # all devices were dropped before the last part: what came before counts
    return RoundResult(counted, loss_sum)


async def _average(node: cosim.Node, server: AlignedServer, exchange: Exchange, counted: dict[str, int],
                   setup: Setup) -> None:  # fmt: skip
    async def modules(source: cosim.Node) -> dict[str, Any]:
        return dict((await expect(node, source, "modules", exchange.round)).data["modules"])

    told = await exchange.each(modules)
    if not told:
        return
    held = {name: [each for each in MODALITIES if each in own] for name, own in told.items()}
    async with node.compute("average", key=("average", tuple(map(tuple, held.values())))):
        server.average(told, counted)

    async def answer(target: cosim.Node) -> None:
        data = {"step": number(exchange.round), "modules": server.modules_for(held[target.name])}
        await node.send(target, data, tag="modules", encoding=setup.settings.weight_encoding)

    await asyncio.gather(*(answer(target) for target in exchange.active))


@dataclass(frozen=True)
class Judge:
    """Judges the averaged modules on the test samples, and reports it.

    test_set "global": the share of samples whose nearest vector of the other modality is of their class, and InfoNCE;
    for each modality, with its task's name as test_set: the share that is nearest to the anchor of its class, and the
    cross-entropy. embeddings: by modality.
    """

    pair: Pair
    server: AlignedServer
    embeddings: Mapping[str, nn.Module]
    report: Report

    @torch.no_grad()
    def __call__(self, step: int, time_s: float) -> Outcome:
        """Judge after `step` steps, at `time_s`."""
        first = next(iter(self.pair.setups.values()))
        labels, temperature = first.test.labels, first.settings.alignment.temperature
        anchors: Tensor = self.server.modules[ANCHORS].weight  # type: ignore[assignment]
        vectors = []
        for name, setup in self.pair.setups.items():
            pooled = pooled_test(setup, self.embeddings[name], self.server.encoders[name].encoder)
            vectors.append(self.server.modules[name].classify(pooled))  # type: ignore[operator]
            right = float((scores(vectors[-1], anchors).argmax(dim=1) == labels).double().mean())
            loss = float(to_anchors(vectors[-1], anchors, labels, temperature))
            self.report(EvaluationRecord(METHOD, step, time_s, AVERAGE, setup.task.name, right, loss, len(labels)))
        same = labels[:, None] == labels if self.pair.same_by_label else torch.eye(len(labels)).bool()
        one, other = vectors
        accuracy, loss = retrieved(one, other, labels), float(info_nce(one, other, same, temperature))
        what = f"the test loss of {METHOD} after {step} steps"
        refuse_divergence(loss, what, first.settings.against_divergence)
        self.report(EvaluationRecord(METHOD, step, time_s, AVERAGE, "global", accuracy, loss, len(labels)))
        return Outcome(METHOD, accuracy, loss, accuracy, accuracy, num_samples=0, steps=step, time_s=time_s)


def refuse_what_does_not_fit(setup: Setup) -> None:
    """Raise ConfigurationError for settings that this objective does not know."""
    settings = setup.settings
    refuse_unknown(
        f"{METHOD} and objective 'contrastive'",
        (
            (settings.cut != "pooled", f"cut {settings.cut!r}", "cut pooled"),
            (settings.head_averaging != "server", "head_averaging 'none'", "head_averaging server"),
            (settings.train_embedding, "train_embedding", "train_embedding False"),
            (settings.privacy.clip is not None, "privacy.clip", "no clip"),
            (settings.privacy.attack, "privacy.attack", "no attack"),
            (settings.privacy.embedding_eta is not None, "privacy.embedding_eta", "none"),
            (settings.allocation.decides, f"allocation rule {settings.allocation.rule!r}", "rule none"),
        ),
    )


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """Align two modalities over the simulated network, from the current time to the last round.

    Raises ConfigurationError for settings that do not fit.
    """
    refuse_what_does_not_fit(setup)
    settings, pair = setup.settings, pair_of(setup)
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    embeddings = {name: each.embedding() for name, each in pair.setups.items()}
    workers = [AlignedDevice(pair, index, embeddings) for index in range(len(nodes))]
    server = AlignedServer(pair)
    judge = Judge(pair, server, embeddings, report)
    log = Log(METHOD, report)
    outcomes: list[Outcome] = []

    def finished(done: FinishedRound[RoundResult]) -> None:
        log.round(done, step=done.number + 1)
        if settings.evaluates_after(done.number):
            outcomes.append(judge(done.number + 1, float(sim.now_s)))

    edge.memory.allocate("model", server.resident_bytes())
    async with asyncio.TaskGroup() as group:
        for node, worker in zip(nodes, workers, strict=True):
            link = Link(sim, node, edge, settings.encoding)
            group.create_task(device(link, worker, log, setup), name=f"device {node.name}")
        serving = group.create_task(
            server_loop(
                sim, edge, nodes, setup.rounds(settings.rounds), finished=finished,
                serve=lambda exchange: serve_round(edge, server, exchange, setup),
            ),
            name="server",
        )  # fmt: skip
    log.nodes(setup, nodes, edge)
    return outcomes[-1].counting(sum(result.num_samples for result in serving.result()))
