# SPDX-License-Identifier: GPL-2.0-only
"""Split federated fine-tuning in which every device has a cut of its own, which can change from round to round.

One round, with every device k (parts 2 to 4 are repeated `accumulation` times):

    server                                            device k, which runs its first c_k blocks
    (adaptive, its first round)                 --probe-->          the same back, and how long it took
    plan: cut, rank, encoding; missing weights  --blocks, plan-->   and the adapters of its blocks
    blocks c_k .. of all devices with that cut  <--activation--     embedding and blocks 0 .. c_k - 1
    (losses are the devices')                   --representation--> loss of its head
    back-propagates to block c_k                <--jacobian--
    (only if c_k is above 0)                    --cut_gradient-->   back-propagates through its blocks
    adds up, one step of the optimiser          <--done--           gradients of its adapters; what it has measured

A device with all blocks sends and gets no activations, only adapters and their gradients. All adapters belong to the
server, so with one rank and 16 bits or more on the wire it makes no difference to the learning where models are cut.

Activations in int8 or int4 and Jacobians of which the largest values are sent go through the compressors of
`edgelam.learning`; a sample's error is kept and added when the sample comes again. Frozen weights are sent in
`weight_encoding`, whose rounding then holds for the server's copy, too. With `token_share` below 1, a device leaves out
tokens behind its blocks.

Shape suffixes: B batch, T tokens of a device's batch without padding, H width.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.cosim.encoding import decode, encode
from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.federated.decomposition.costs import Costs, Measured
from edgelam.federated.decomposition.links import LinkFit
from edgelam.federated.decomposition.packing import Packing, unpack
from edgelam.federated.decomposition.parts import DeviceBlocks, ServerBlocks
from edgelam.federated.decomposition.planner import Planner
from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.heads import average_heads, receive_head
from edgelam.federated.log import Log, RoundResult
from edgelam.federated.records import CutRecord, Report, ignore
from edgelam.federated.refusals import refuse_unknown
from edgelam.federated.samples import Batch
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.federated.setup import Setup
from edgelam.federated.split_parts import SplitParts
from edgelam.federated.updates import Owed
from edgelam.learning.conversation import Link, device_nodes, expect, number, on_its_way, server_node
from edgelam.learning.course import Part, Together
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.memory import borrowed, tensor_bytes
from edgelam.learning.rounds import Exchange, FinishedRound, device_loop, server_loop
from edgelam.models.blocks import Blocks

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "decomposed"
SERVER = "server"
"""Its name in checkpoints."""
PLAIN = ("fp64", "fp32", "fp16")
RADIO_J, UP = "ue_radio_j", 1


async def device(link: Link, worker: DeviceBlocks, packing: Packing, log: Log, setup: Setup) -> None:
    """Run one device over the network, until the server ends the run. packing: what it compresses, and owes."""
    node, settings = link.node, setup.settings
    up, down = LinkFit(), LinkFit()
    kinds = settings.decomposition.activations
    unknown = settings.decomposition.probes

    async def send(tag: str, step: int, data: dict[str, Any], encoding: str | None = None) -> None:
        start_s, before = link.sim.now_s, link.parts.up_bytes
        await link.send(tag, step, data, encoding=encoding)
        up.add(link.parts.up_bytes - before, link.sim.now_s - start_s)

    async def receive(tag: str, step: int) -> dict[str, Any]:
        start_s = link.sim.now_s
        message = await expect(node, link.server, tag, step)
        link.parts.downlink_s += on_its_way(message, start_s, link.sim.now_s)
        link.parts.down_bytes += message.size_bytes
        link.parts.down_messages += 1
        down.add(message.size_bytes, link.sim.now_s - message.queued_s)
        return dict(message.data)

    async def probe(round_number: int) -> None:
        """Send back two messages of different sizes, and tell how long they took."""
        for _ in range(2):
            await send("probe", round_number, {"filler": (await receive("probe", round_number))["filler"]})
        await send("measured", round_number, asdict(measured_for(round_number, 0.0)))

    def measured_for(round_number: int, spent_w: float) -> Measured:
        """Return what is known of the link, and of the batches of a round."""
        coming = worker.shard.batch(round_number, 0)
        return Measured(*up.fit(), *down.fit(), spent_w, float(coming.mask.sum()), float(len(coming)))

    async def work(round_number: int) -> None:
        nonlocal unknown
        setup.course.begins(node.name, round_number)
        if unknown:
            await probe(round_number)
            unknown = False
        plan = await receive("plan", round_number)
        cut, _, kind = plan["plan"].tolist()
        while worker.held < cut:
            worker.blocks.encoder.load_base((await receive("blocks", round_number))["weights"])
            worker.held += 1
        worker.begin(cut, plan.get("adapters", {}))
        node.memory.allocate("model", worker.resident_bytes())
        radio_j, sent_s = await _radio_j(link), link.parts.uplink_s
        parts = range(settings.accumulation)
        for part in parts:
            batch = worker.batch(round_number, part)
            step = round_number * settings.accumulation + part
            await exchange(step, batch, kinds[kind], first=part == 0, last=part == parts[-1])
        up_s = link.parts.uplink_s - sent_s
        spent_w = (await _radio_j(link) - radio_j) / up_s if up_s > 0 else 0.0
        measured = measured_for(round_number + 1, spent_w)
        data = {
            "gradients": worker.adapter_gradients(link.parts.num_samples),
            "samples": number(link.parts.num_samples), "loss": link.parts.loss_sum, "measured": asdict(measured),
        }  # fmt: skip
        await send("done", round_number, data, settings.weight_encoding)
        if settings.head_averaging == "server":
            await send("head", round_number, {"head": dict(worker.head.state_dict())}, settings.weight_encoding)
            worker.head.load_state_dict((await receive("head", round_number))["head"])

    async def exchange(step: int, batch: Batch, kind: str, *, first: bool, last: bool) -> None:
        where = f"device {node.name} in round {step // settings.accumulation}"
        with link.accounting():
            async with node.compute("lower", key=("lower", batch.shape, worker.cut, first)):
                out_TH, lengths_B = worker.lower(batch)
        refuse_divergence(out_TH, f"an activation of {where}", settings.against_divergence)
        with borrowed(node.memory) as take:
            take("activations", tensor_bytes([out_TH]) + worker.saved_bytes)
            representation = out_TH
            if not worker.whole:
                told = await packed(kind, "activation", out_TH, batch, lengths_B.tolist())
                encoding = kind if kind in PLAIN else settings.encoding
                await send("activation", step, {"tokens": told, "lengths": lengths_B}, encoding)
                representation = (await receive("representation", step))["representation"]
            with link.accounting():
                async with node.compute("head", key=("head", batch.shape, first, last)):
                    loss, jacobian = worker.loss_and_jacobian(representation, batch)
                    if last:
                        worker.update()
            refuse_divergence(loss, f"the loss of {where}", settings.against_divergence)
            link.parts.loss_sum += loss * len(batch)
            link.parts.num_samples += len(batch)
            gradient = jacobian
            if not worker.whole:
                counts = lengths_B.tolist() if settings.cut == "tokens" else [1] * len(batch)
                answer = await packed("jacobian", "jacobian", jacobian, batch, counts)
                await send("jacobian", step, {"jacobian": answer})
                if not worker.cut:
                    return
                gradient = (await receive("cut_gradient", step))["gradient"]
            with link.accounting():
                async with node.compute("lower_backward", key=("lower_backward", batch.shape, worker.cut, first)):
                    worker.backward(gradient, batch)

    async def packed(kind: str, what: str, rows: Tensor, batch: Batch, counts: Sequence[int]) -> Any:
        compressor = packing.jacobian if what == "jacobian" else packing.activation(kind)
        if compressor is None:
            return rows
        with link.accounting():
            async with node.compute("compress", key=("compress", kind, batch.shape)):
                found = packing.pack(compressor, what, rows, batch, counts)
        node.memory.allocate("compressor", packing.state.num_bytes)
        return found

    def finished(round_number: int) -> None:
        log.device_round(round_number, node.name, link.parts)

    await device_loop(link, setup.rounds(settings.rounds), work, give_up=worker.give_up, finished=finished)


async def _radio_j(link: Link) -> float:
    """Return what sending has taken so far, J; 0 in a scenario that does not say."""
    if RADIO_J not in link.sim.observables:
        return 0.0
    ues = [each.name for each in link.sim.nodes.values() if each.role == "ue"]
    return float((await link.sim.observable(RADIO_J).read()).value[UP, ues.index(link.node.name)])


async def serve_round(
    node: cosim.Node, server: ServerBlocks, planner: Planner, exchange: Exchange, *, setup: Setup, report: Report
) -> RoundResult:
    """Do the server's side of one round."""
    settings, packing = setup.settings, Packing(setup)
    setup.course.begins(SERVER, exchange.round, exchange.start_s)
    names = [each.name for each in exchange.chosen]
    probes = settings.decomposition.probes
    unknown = [each for each in exchange.chosen if probes and not planner.known[each.name].probed]

    async def probe(target: cosim.Node) -> None:
        if target not in unknown:
            return
        sizes = (settings.decomposition.probe_bytes // 8, settings.decomposition.probe_bytes)
        for size in sizes:
            filler = torch.zeros(size, dtype=torch.uint8)
            await node.send(target, {"step": number(exchange.round), "filler": filler}, tag="probe")
            await expect(node, target, "probe", exchange.round)
        told = dict((await expect(node, target, "measured", exchange.round)).data)
        told.pop("step")
        planner.probed(target.name, Measured(**told), sum(sizes))

    if unknown:
        await exchange.invite_and(probe)
    operations = planner.operations(len(names))
    if operations:
        async with node.compute("choose cuts", work=Work(flops=operations, bytes=24 * operations)):
            pass
    plans = planner.plan(exchange.chosen, exchange.round)
    width, dtype = setup.backbone.hidden_width, next(server.encoder.model.parameters()).dtype

    async def begin(target: cosim.Node) -> None:
        option, known = plans[target.name].option, planner.known[target.name]
        kind = settings.decomposition.activations.index(option.activation)
        plan: dict[str, Any] = {
            "step": number(exchange.round), "plan": torch.tensor([option.blocks, option.rank, kind], dtype=torch.int32)
        }  # fmt: skip
        if option.blocks:
            plan["adapters"] = server.adapters(option.blocks, option.rank)
        await node.send(target, plan, tag="plan", encoding=settings.weight_encoding)
        base = server.encoder.base()
        while known.held < option.blocks:
            weights = server.blocks.weights(base, known.held, known.held + 1)
            data = {"step": number(exchange.round), "weights": weights}
            await node.send(target, data, tag="blocks", encoding=settings.weight_encoding)
            known.held += 1

    await (exchange.each(begin) if unknown else exchange.invite_and(begin))
    above = [name for name in names if plans[name].option.blocks < server.blocks.count]
    for part in range(settings.accumulation if above else 0):
        step = exchange.round * settings.accumulation + part

        async def activation(source: cosim.Node, step: int = step) -> tuple[Tensor, Tensor, int] | None:
            if source.name not in above:
                return None
            data = (await expect(node, source, "activation", step)).data
            option, lengths = plans[source.name].option, data["lengths"]
            compressor = packing.activation(option.activation)
            tokens = data["tokens"]
            if compressor is not None:
                tokens = unpack(compressor, tokens, lengths.tolist(), width if option.blocks else setup.backbone.width,
                                dtype)  # fmt: skip
            return tokens, lengths, option.blocks

        arrived = {name: each for name, each in (await exchange.each(activation)).items() if each is not None}
        shape = tuple(sorted((cut, len(lengths), int(lengths.max())) for _, lengths, cut in arrived.values()))
        async with node.compute("upper", key=("upper", shape)):
            ready = server.represent(arrived)
        for name, representation in ready.items():
            what = f"the server's representation for device {name} in round {exchange.round}"
            refuse_divergence(representation, what, settings.against_divergence)
        with borrowed(node.memory) as take:
            take("activations", server.saved_bytes)
            take("received", tensor_bytes(tokens for tokens, _, _ in arrived.values()))

            async def jacobian(
                target: cosim.Node, step: int = step, ready: dict[str, Tensor] = ready,
                arrived: dict[str, tuple[Tensor, Tensor, int]] = arrived,
            ) -> Tensor | None:  # fmt: skip
                if target.name not in ready:
                    return None
                data = {"step": number(step), "representation": ready[target.name]}
                await node.send(target, data, tag="representation", encoding=settings.encoding)
                answer = (await expect(node, target, "jacobian", step)).data["jacobian"]
                if packing.jacobian is None:
                    own: Tensor = answer
                    return own
                lengths = arrived[target.name][1]
                counts = lengths.tolist() if settings.cut == "tokens" else [1] * len(lengths)
                return unpack(packing.jacobian, answer, counts, width, dtype)

            answers = {name: each for name, each in (await exchange.each(jacobian)).items() if each is not None}
            async with node.compute("backward", key=("backward", shape, part == 0)):
                gradients = server.backward(answers)

            async def cut_gradient(target: cosim.Node, step: int = step, found: dict[str, Tensor] = gradients) -> None:
                if target.name in found:
                    data = {"step": number(step), "gradient": found[target.name]}
                    await node.send(target, data, tag="cut_gradient", encoding=settings.encoding)

            await exchange.each(cut_gradient)

    async def done(source: cosim.Node) -> dict[str, Any]:
        return dict((await expect(node, source, "done", exchange.round)).data)

    told = await exchange.each(done)
    samples = {name: int(each["samples"]) for name, each in told.items()}
    for name, each in told.items():
        planner.known[name].measured = Measured(**each["measured"])
    async with node.compute("update", key=("update", tuple(plans[name].option for name in names))):
        for name, each in told.items():
            server.add(each["gradients"], samples[name], counts=name not in above)
        server.update()
    if settings.head_averaging == "server":
        heads = await exchange.each(lambda source: receive_head(node, source, exchange.round))
        await average_heads(node, exchange, heads, samples, settings)
    for name, plan in plans.items():
        option = plan.option
        report(
            CutRecord(
                METHOD, exchange.round, name, option.blocks, option.rank, option.activation, plan.seconds,
                plan.energy_j, plan.num_bytes, plan.flops, plan.memory_bytes,
            )
        )  # fmt: skip
    return RoundResult(samples, float(sum(each["loss"] for each in told.values())))


def refuse_what_does_not_fit(setup: Setup) -> None:
    """Raise ConfigurationError for settings that this method does not know."""
    settings = setup.settings
    refuse_unknown(
        METHOD,
        (
            (settings.stragglers == "drop", "stragglers 'drop'", "stragglers 'wait'"),
            (settings.train_embedding, "train_embedding", "train_embedding False"),
            (
                settings.decomposition.token_share < 1.0 and settings.cut == "tokens",
                "decomposition.token_share below 1 and cut 'tokens'",
                "cut pooled, or token_share 1",
            ),
            (settings.freeze_a, "freeze_a", "freeze_a False"),
            (settings.tuning != "lora", f"tuning {settings.tuning!r}", "tuning lora"),
            (settings.frozen_weights != "plain", f"frozen_weights {settings.frozen_weights!r}", "frozen_weights plain"),
            (settings.privacy.attack, "privacy.attack", "no attack, or method split-fedft"),
            (settings.privacy.clip is not None, "privacy.clip", "no clip, or method split-fedft"),
            (settings.privacy.embedding_eta is not None, "privacy.embedding_eta", "none, or method split-fedft"),
            (settings.allocation.decides, f"allocation rule {settings.allocation.rule!r}", "rule none"),
        ),
    )


DecomposedModels = SplitParts[ServerBlocks, DeviceBlocks]


def build(setup: Setup, names: Sequence[str]) -> DecomposedModels:
    """Make new parts for a server and for devices with these names, one for each shard of the setup.

    Raises ConfigurationError if adapters are outside the blocks, or the settings name a cut outside the model.
    """
    settings, encoder = setup.settings, setup.encoder()
    blocks = Blocks(encoder, setup.backbone.width)
    settings.decomposition.check(blocks.count, settings.lora.rank)
    outside = [name for name in encoder.lora if blocks.block_of(name) is None]
    if outside:
        raise ConfigurationError(
            f"LoRA adapter {outside[0]} is in no transformer block, so no cut says where it is; legal with method "
            f"{METHOD} are lora.targets within {blocks.name}"
        )
    shared = setup.embedding()
    devices = {
        name: DeviceBlocks(
            shared, setup.head(), shard, settings, Blocks(encoder.twin(), setup.backbone.width), seed=setup.seed + 1 + k
        )
        for k, (name, shard) in enumerate(zip(names, setup.shards, strict=True))
    }
    return DecomposedModels(ServerBlocks(blocks, settings, seed=setup.seed), devices)


def _have_received(parts: DecomposedModels, planner: Planner, settings: SplitFedFTSettings) -> None:
    """Give the frozen weights what they had when an earlier run sent them: the rounding of their encoding."""
    first = settings.decomposition.installed_blocks
    server = parts.server
    base = server.encoder.base()
    for block in range(first, max(worker.held for worker in parts.devices.values())):
        sent = server.blocks.weights(base, block, block + 1)
        server.encoder.load_base(decode(encode(sent, settings.weight_encoding)))
    for name, worker in parts.devices.items():
        planner.known[name].held = worker.held


async def run(
    sim: cosim.Simulation, setup: Setup, report: Report = ignore, parts: DecomposedModels | None = None
) -> Outcome:
    """Run decomposed fine-tuning over the simulated network, from the current time to the last round.

    parts: what to train, if the caller keeps it afterwards; None: new parts.
    """
    settings = setup.settings
    refuse_what_does_not_fit(setup)
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    names = [node.name for node in nodes]
    parts = parts or build(setup, names)
    server, models = parts.server, parts.models()
    planner = Planner(setup, Costs(setup), edge, names)
    log = Log(METHOD, report)
    evaluate = Evaluator(setup, METHOD, report, tuple(models))
    outcomes: list[Outcome] = []

    def finished(done: FinishedRound[RoundResult]) -> None:
        log.round(done, step=done.number + 1)
        if settings.evaluates_after(done.number):
            outcomes.append(evaluate(done.number + 1, sim.now_s, models))
        setup.course.finished(done.number)

    packings = {name: Packing(setup) for name in names}
    kept: dict[str, Part] = {SERVER: server}
    for name, worker in parts.devices.items():
        kept[name] = Together({"worker": worker, "owed": Owed(packings[name])})
    setup.course.restore(kept)
    if setup.course.first:
        _have_received(parts, planner, settings)
    edge.memory.allocate("model", server.resident_bytes())
    async with asyncio.TaskGroup() as group:
        for node in nodes:
            link = Link(sim, node, edge, settings.encoding)
            own = parts.devices[node.name], packings[node.name]
            group.create_task(device(link, *own, log, setup), name=f"device {node.name}")
        serving = group.create_task(
            server_loop(
                sim, edge, nodes, setup.rounds(settings.rounds), finished=finished,
                serve=lambda exchange: serve_round(edge, server, planner, exchange, setup=setup, report=report),
            ),
            name="server",
        )  # fmt: skip
    log.nodes(setup, nodes, edge)
    return outcomes[-1].counting(sum(result.num_samples for result in serving.result()))
