# SPDX-License-Identifier: GPL-2.0-only
"""Split federated fine-tuning (FedFT, arXiv 2407.02924): adapters on the server, embedding and task head on the
devices.

One round, with every device k drawn for it (repeated `accumulation` times before the server's update):

    device k                                          server
    embed a batch              --embedding-->         all devices' tokens in one padded batch through encoder + LoRA
    loss of its head           <--representation--    unicast to each device
    dL_k/d representation      --jacobian-->          back-propagate: the gradient of LoRA is sum_k n_k/n dL_k/dLoRA
    embedding, if trained      <--embedding_gradient--  only with train_embedding: dL_k/d embedding

L_k is the mean loss of device k's n_k samples, so the server's gradient is the federated average of the devices'
low-rank gradients, weighted by samples. Labels and raw data never leave a device. Tokens travel without padding.
The embedding module counts as installed on the device beforehand, as in the paper. Heads are updated on the
devices; `head_averaging = "server"` averages them (weighted by samples) after every round.

With a deadline and `stragglers = "drop"`, the deadline is divided into 2 * accumulation equal parts, one for each phase
(embeddings, Jacobians): a device that is late for a phase is out of the round from then on; what it delivered before
counts.

With `allocation` the server decides before each round who takes part and with how much of the cell's band
(edgelam/federated/allocation).

With `privacy` what leaves a device about labels is clipped for each sample and noisy, and losses stay on the devices
(edgelam/federated/private.py), and embeddings can be noisy (edgelam/federated/inputs.py); a run can attack what is sent
(edgelam/federated/attacks.py).

Shape suffixes: B batch, L padded length, T tokens without padding, D width.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgelam.cosim.encoding import encode
from edgelam.federated.allocation.taking_part import Allocation
from edgelam.federated.attacks import attack_labels, attack_tokens
from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.heads import average_heads, receive_head
from edgelam.federated.inputs import InputNoise
from edgelam.federated.log import Log, RoundResult
from edgelam.federated.records import Report, ignore
from edgelam.federated.samples import Batch
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.federated.setup import Setup
from edgelam.federated.split_parts import Device, Server, SplitParts
from edgelam.learning.conversation import Link, device_nodes, expect, number, server_node
from edgelam.learning.course import Part
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.memory import borrowed, tensor_bytes
from edgelam.learning.rounds import Exchange, FinishedRound, device_loop, server_loop
from edgelam.random_streams import derive_seed

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "split-fedft"
SERVER = "server"
"""Its name in checkpoints."""


async def device(link: Link, worker: Device, log: Log, setup: Setup, allocation: Allocation) -> None:
    """Run one device over the network, until the server ends the run."""
    node, settings = link.node, setup.settings
    node.memory.allocate("model", worker.resident_bytes())

    async def work(round_number: int) -> None:
        setup.course.begins(node.name, round_number)
        with allocation.work(link, round_number):
            for part in range(settings.accumulation):
                step = round_number * settings.accumulation + part
                batch = worker.batch(round_number, part)
                await exchange(step, batch, first=part == 0, last=part == settings.accumulation - 1)
            if settings.head_averaging == "server":
                head = {"head": dict(worker.head.state_dict())}
                await link.send("head", round_number, head, encoding=settings.weight_encoding)
                worker.head.load_state_dict((await link.receive("head", round_number))["head"])

    async def exchange(step: int, batch: Batch, *, first: bool, last: bool) -> None:
        with link.accounting():
            async with node.compute("embed", key=("embed", batch.shape)):
                tokens_TD, lengths_B = worker.embed(batch)
        where = f"device {node.name} in round {step // settings.accumulation}"
        refuse_divergence(tokens_TD, f"an embedding of {where}", settings.against_divergence)
        with borrowed(node.memory) as take:
            take("activations", tensor_bytes([tokens_TD]) + worker.saved_bytes)
            await link.send("embedding", step, {"tokens": tokens_TD, "lengths": lengths_B})
            representation = (await link.receive("representation", step))["representation"]
            with link.accounting():
                async with node.compute("head", key=("head", batch.shape, first, last)):
                    loss, jacobian = worker.loss_and_jacobian(representation, batch)
                    if last and not settings.train_embedding:
                        worker.update()
            refuse_divergence(loss, f"the loss of {where}", settings.against_divergence)
            take("head activations", tensor_bytes([representation, jacobian]) + worker.saved_bytes)
            link.parts.loss_sum += loss * len(batch)
            link.parts.num_samples += len(batch)
            told = {"loss": loss} if worker.releases is None else {}  # a loss tells about labels
            await link.send("jacobian", step, {"jacobian": jacobian} | told)
            if settings.train_embedding:
                gradient_TD = (await link.receive("embedding_gradient", step))["gradient"]
                with link.accounting():
                    async with node.compute("embed_backward", key=("embed_backward", batch.shape, first, last)):
                        worker.accept_embedding_gradient(gradient_TD, batch)
                        if last:
                            worker.update()

    def finished(round_number: int) -> None:
        log.device_round(round_number, node.name, link.parts)

    await device_loop(link, setup.rounds(settings.rounds), work, give_up=worker.give_up, finished=finished)


async def serve_round(node: cosim.Node, server: Server, exchange: Exchange, setup: Setup) -> RoundResult:
    """Do the server's side of one round."""
    settings = setup.settings
    setup.course.begins(SERVER, exchange.round, exchange.start_s)
    phases = 2 * settings.accumulation
    counted: dict[str, int] = {}
    loss_sum = 0.0
    for part in range(settings.accumulation):
        step = exchange.round * settings.accumulation + part

        async def embedding(source: cosim.Node, step: int = step) -> tuple[Tensor, Tensor]:
            data = (await expect(node, source, "embedding", step)).data
            return data["tokens"], data["lengths"]

        first = exchange.invite_and if part == 0 else exchange.each
        embeddings = await first(embedding, (2 * part + 1) / phases)
        if not embeddings:
            break
        shape = _padded_shape([n for _, n in embeddings.values()])
        async with node.compute("encode", key=("encode", shape)):
            representations = server.represent(embeddings)
        for name, representation in representations.items():
            what = f"the server's representation for device {name} in round {exchange.round}"
            refuse_divergence(representation, what, settings.against_divergence)
        with borrowed(node.memory) as take:
            take("activations", server.saved_bytes)
            take("received", tensor_bytes(x for x, _ in embeddings.values()))

            async def jacobian(
                target: cosim.Node, step: int = step, ready: dict[str, Tensor] = representations
            ) -> tuple[Tensor, float]:
                data = {"step": number(step), "representation": ready[target.name]}
                await node.send(target, data, tag="representation", encoding=settings.encoding)
                answer = (await expect(node, target, "jacobian", step)).data
                return answer["jacobian"], answer.get("loss", float("nan"))

            answers = await exchange.each(jacobian, (2 * part + 2) / phases)
            last = part == settings.accumulation - 1
            async with node.compute("backward", key=("backward", shape, len(answers), part == 0, last)):
                gradients = server.backward({name: jacobian for name, (jacobian, _) in answers.items()})
                if last:
                    server.update()
        for name, (_, loss) in answers.items():
            samples = len(embeddings[name][1])
            counted[name] = counted.get(name, 0) + samples
            loss_sum += loss * samples
        if settings.train_embedding:
            await _send_gradients(node, exchange, step, gradients, settings)
    else:
        if settings.head_averaging == "server":
            await _average_heads(node, exchange, counted, settings)
        return RoundResult(counted, loss_sum)
    server.update()  # all devices were dropped before the last part: what came before counts
    return RoundResult(counted, loss_sum)


async def _send_gradients(node: cosim.Node, exchange: Exchange, step: int, gradients: dict[str, Tensor],
                          settings: SplitFedFTSettings) -> None:  # fmt: skip
    async def send(target: cosim.Node) -> None:
        data = {"step": number(step), "gradient": gradients[target.name]}
        await node.send(target, data, tag="embedding_gradient", encoding=settings.encoding)

    # beyond the deadline if necessary: a device that has delivered its Jacobian has done its part
    await asyncio.gather(*(send(target) for target in exchange.active))


async def _average_heads(node: cosim.Node, exchange: Exchange, counted: dict[str, int],
                         settings: SplitFedFTSettings) -> None:  # fmt: skip
    active = exchange.active
    if not active:
        return
    # beyond the deadline if necessary, as gradients
    heads = await asyncio.gather(*(receive_head(node, source, exchange.round) for source in active))
    own = {source.name: head for source, head in zip(active, heads, strict=True)}
    await average_heads(node, exchange, own, counted, settings)


def round_bytes(worker: Device, settings: SplitFedFTSettings, round_number: int) -> tuple[int, int]:
    """Return the bytes that a device will send and get in a round, as its next batches say."""
    up, down = 0, number(round_number).nbytes
    for part in range(settings.accumulation):
        batch = worker.shard.batch(round_number, part)
        tokens_TD = torch.zeros(int(batch.mask.sum()), worker.head.width)
        lengths = batch.mask.sum(dim=1, dtype=torch.int32)
        on_head = tokens_TD if settings.cut == "tokens" else tokens_TD[: len(batch)]
        told = {"loss": 0.0} if worker.releases is None else {}
        step = {"step": number(round_number)}
        up += encode(step | {"tokens": tokens_TD, "lengths": lengths}, settings.encoding).nbytes
        up += encode(step | {"jacobian": on_head} | told, settings.encoding).nbytes
        down += encode(step | {"representation": on_head}, settings.encoding).nbytes
        if settings.train_embedding:
            down += encode(step | {"gradient": tokens_TD}, settings.encoding).nbytes
    if settings.head_averaging == "server":
        head = {"step": number(round_number), "head": dict(worker.head.state_dict())}
        both = encode(head, settings.weight_encoding).nbytes
        up, down = up + both, down + both
    return up, down


def _padded_shape(lengths: list[Tensor]) -> tuple[int, int]:
    """Return (B, L) of the server's batch."""
    every = torch.cat(lengths)
    return len(every), int(every.max())


SplitModels = SplitParts[Server, Device]


def build(setup: Setup, names: Sequence[str]) -> SplitModels:
    """Make new parts for a server and for devices with these names, one for each shard of the setup."""
    settings = setup.settings
    shared = setup.embedding()  # frozen: one copy serves all virtual devices
    devices = {
        name: Device(
            setup.embedding() if settings.train_embedding else shared,
            setup.head(),
            shard,
            settings,
            noise_seed=derive_seed(setup.seed, f"privacy noise of {name}"),
            input_noise=input_noise(setup, name),
        )
        for name, shard in zip(names, setup.shards, strict=True)
    }
    return SplitModels(Server(setup.encoder(), settings, seed=setup.seed), devices)


def kept_parts(split: SplitModels) -> dict[str, Part]:
    """Return what a checkpoint keeps, by name."""
    return {SERVER: split.server, **split.devices}


def input_noise(setup: Setup, of: str) -> InputNoise | None:
    """Return the noise on embeddings of a device's samples, or of the test set's (of: its name); None without noise."""
    eta = setup.settings.privacy.embedding_eta
    return None if eta is None else InputNoise(eta, derive_seed(setup.seed, f"input noise of {of}"))


async def run(
    sim: cosim.Simulation, setup: Setup, report: Report = ignore, split: SplitModels | None = None
) -> Outcome:
    """Run split federated fine-tuning over the simulated network, from the current time to the last round.

    Uses the first `num_devices` nodes with role "ue" and the first with role "edge" (or "cloud"). split: what to
    train, if the caller keeps it afterwards; None: new parts.
    """
    settings = setup.settings
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    split = split or build(setup, [node.name for node in nodes])
    server, models = split.server, split.models()
    log = Log(METHOD, report)
    evaluate = Evaluator(setup, METHOD, report, tuple(models), input_noise(setup, "test"))
    outcomes: list[Outcome] = []
    workers = [split.devices[node.name] for node in nodes]
    allocation = Allocation.of(
        sim, edge, nodes, setup, rounds=settings.rounds, method=METHOD, report=report,
        coming=[functools.partial(round_bytes, worker, settings) for worker in workers],
    )  # fmt: skip

    def finished(done: FinishedRound[RoundResult]) -> None:
        log.round(done, step=done.number + 1)
        if settings.evaluates_after(done.number):
            outcomes.append(evaluate(done.number + 1, sim.now_s, models))
        setup.course.finished(done.number)

    setup.course.restore(kept_parts(split))
    edge.memory.allocate("model", server.resident_bytes())
    async with allocation.running(), asyncio.TaskGroup() as group:
        for node, worker in zip(nodes, workers, strict=True):
            link = Link(sim, node, edge, settings.encoding)
            group.create_task(device(link, worker, log, setup, allocation), name=f"device {node.name}")
        serving = group.create_task(
            server_loop(
                sim,
                edge,
                nodes,
                setup.rounds(settings.rounds),
                serve=lambda exchange: serve_round(edge, server, exchange, setup),
                finished=finished,
                choose=allocation.choose,
            ),
            name="server",
        )
    log.nodes(setup, nodes, edge)
    for name, worker in split.devices.items():
        if worker.releases is not None:
            log.privacy(name, worker.releases)
        if worker.releases is not None or worker.input_noise is not None or worker.sent is not None:
            leak = attack_tokens(METHOD, name, worker.embedding, worker.shard.samples, worker.input_noise)
            if leak is not None:
                report(leak)
    sent = [worker.sent for worker in workers if worker.sent is not None]
    told = attack_labels(METHOD, sent, seed=derive_seed(setup.seed, "attack on labels"))
    if told is not None:
        report(told)
    return outcomes[-1].counting(sum(result.num_samples for result in serving.result()))
