# SPDX-License-Identifier: GPL-2.0-only
"""Un-split federated LoRA with privacy of each device's whole data (DP-FedAvg, McMahan et al., ICLR 2018), by secure
aggregation (edgelam/learning/secure_sum.py).

    before:  device --public key--> server --all keys--> devices          masks (with `secure`)
    a round: server --weights-->  every device
             device               `local_steps` steps; update scaled down to the norm C; noise; mask
             server <--update--   every device
             server               weights <- weights + sum of updates / K

All K devices take part in every round and count alike. Each adds noise of variance (2 C z)^2 / K, so that of the sum is
(2 C z)^2: z is the noise multiplier, 2 C the sensitivity, as the data of one device may be replaced by any others. T
rounds are T releases of the Gaussian mechanism. With masks, the server learns the sum of the updates and nothing else;
without them, epsilon holds only against those who see the models. Losses and numbers of samples stay on the devices.
Noise is drawn from a seeded stream and its rounding is not counted (edgelam/learning/privacy/gaussian.py); in masked
sums, values are multiples of 2^-FRACTION_BITS.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.fed_lora import num_rounds, steps_of
from edgelam.federated.learner import Learner, download_model, train_step
from edgelam.federated.log import Log, RoundResult
from edgelam.federated.records import Report, UserPrivacyRecord, ignore
from edgelam.federated.refusals import refuse_unknown
from edgelam.federated.setup import Setup
from edgelam.federated.updates import load_shared, rule_of, shared_head, shared_weights
from edgelam.learning.conversation import Link, device_nodes, expect, number, server_node
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.memory import tensor_bytes
from edgelam.learning.privacy import accounting
from edgelam.learning.privacy.gaussian import add_noise, scale_to
from edgelam.learning.privacy.user import UserPrivacySettings
from edgelam.learning.rounds import Exchange, FinishedRound, Rounds, device_loop, server_loop
from edgelam.learning.secure_sum import (
    EXPONENTIATION_OPERATIONS,
    MASK_OPERATIONS_A_BYTE,
    FixedPoint,
    Masker,
    unmasked_sum,
)
from edgelam.models import Unsplit
from edgelam.models.parts import MEAN_BATCHES
from edgelam.random_streams import derive_seed, torch_generator

if TYPE_CHECKING:
    from edgelam import cosim

METHOD = "dp-fed-lora"
FRACTION_BITS = 36
COUNTER = "batches"
"""Of the head: how many batches its mean has seen, up to a limit. It follows from the settings, and is not sent."""
Weights = dict[str, dict[str, Tensor]]


class Air(Protocol):
    """Another way up for the updates: all at once (air_fed_lora.py)."""

    method: str
    against: str
    """Who cannot tell neighbouring data sets apart."""

    def hold(self, index: int, update: Tensor) -> None:
        """Keep a device's clipped update of this round, without noise, until all of them are sent."""

    async def mean(self, edge: cosim.Node, nodes: list[cosim.Node], round_number: int, noise: float) -> Tensor:
        """Return the mean of all updates, as the server gets it; noise: the noise multiplier that it is to have."""


@dataclass(frozen=True)
class Plan:
    """What privacy makes of a run: its rounds, and the noise multiplier."""

    rounds: int
    noise_multiplier: float


def plan(settings: UserPrivacySettings, rounds: int) -> Plan:
    """Return the rounds that the budget allows, and the noise. Raises ConfigurationError if it allows none."""
    if settings.epsilon is None:
        return Plan(rounds, settings.noise_multiplier or 0.0)
    target, delta, accountant = settings.epsilon, settings.delta, settings.accountant
    if settings.noise_multiplier is None:
        return Plan(rounds, accounting.noise_for(target, rounds, delta, accountant))
    allowed = min(rounds, accounting.most_releases(settings.noise_multiplier, target, delta, accountant))
    if allowed == 0:
        least = accounting.noise_for(target, 1, delta, accountant)
        raise ConfigurationError(
            f"user_privacy epsilon is {target:g} at delta {delta:g} with noise_multiplier "
            f"{settings.noise_multiplier:g}: the first round would spend more; legal for one round are noise "
            f"multipliers from {least:.4g}"
        )
    return Plan(allowed, settings.noise_multiplier)


def private_update(now: Weights, before: Weights, *, clip: float, std: float, generator: torch.Generator) -> Tensor:
    """Return the difference of weights as one vector, float64 [N]: clipped, and with noise in each number."""
    parts = [
        (now[part][name] - weight).double().flatten()
        for part in before for name, weight in before[part].items() if name != COUNTER
    ]  # fmt: skip
    vector = torch.cat(parts)
    return add_noise(vector * scale_to(vector.norm(), clip), std, generator)


def add(weights: Weights, change: Tensor) -> None:
    """Add a vector, as `private_update` lays it out, to weights in place."""
    first = 0
    for tensors in weights.values():
        for name, weight in tensors.items():
            if name == COUNTER:
                continue
            own = change[first : first + weight.numel()].reshape(weight.shape)
            tensors[name] = weight + own.to(weight.dtype)
            first += weight.numel()


async def device(
    link: Link, learner: Learner, setup: Setup, plan: Plan, names: list[str], *, index: int, air: Air | None
) -> None:
    """One device, until the server ends the run. names: of all devices."""
    node, settings, shard = link.node, setup.settings, setup.shards[index]
    rule, own = rule_of(settings), settings.user_privacy
    # over the air, noise is added when it is known how many send together
    std = 0.0 if air else 2 * own.clip * plan.noise_multiplier / math.sqrt(len(names))
    generator = torch_generator(derive_seed(setup.seed, f"user privacy noise of {node.name}"))
    fixed = FixedPoint(FRACTION_BITS)
    node.memory.allocate("model", learner.resident_bytes())
    masker = await _agree(link, derive_seed(setup.seed, f"masks of {node.name}")) if own.secure and not air else None

    async def work(round_number: int) -> None:
        got = await link.receive("weights", round_number)
        before = {part: got[part] for part in ("adapter", "head")}
        load_shared(learner.model, before, rule)
        for step in steps_of(round_number, setup):
            parts = [shard.batch(step, part) for part in range(settings.accumulation)]
            with link.accounting():
                await train_step(node, learner, parts, step)
        with link.accounting():
            async with node.compute("clip and noise", key="clip and noise"):
                now = shared_weights(learner.model, rule, True)
                update = private_update(now, before, clip=own.clip, std=std, generator=generator)
            refuse_divergence(update, f"the update of {node.name}", settings.against_divergence)
            if masker is not None:
                values = update.numel() * (len(names) - 1)
                # the masks' hash counts as operations; adding them as traffic: read and write both sides
                masking = Work(flops=8 * MASK_OPERATIONS_A_BYTE * values, bytes=24 * values)
                async with node.compute("mask", work=masking):
                    update = masker.masked(update, f"round {round_number}", names, fixed)
        if air is None:
            await link.send("update", round_number, {"update": update}, encoding="fp32")
        else:
            air.hold(index, update)
            await link.send("update", round_number, {})

    await device_loop(link, Rounds(range(plan.rounds), seed=setup.seed), work, give_up=learner.give_up)


async def _agree(link: Link, seed: int) -> Masker:
    """Exchange keys with the others through the server."""
    node = link.node
    async with node.compute("mask key", work=Work(flops=EXPONENTIATION_OPERATIONS)):
        masker = Masker(node.name, seed)
    await node.send(link.server, masker.public_key, tag="public_key")
    keys = (await node.receive(link.server, tag="keys")).data
    async with node.compute("mask secrets", work=Work(flops=(len(keys) - 1) * EXPONENTIATION_OPERATIONS)):
        masker.meet(keys)
    return masker


async def relay_keys(server: cosim.Node, nodes: list[cosim.Node]) -> None:
    """Send every device's public key to all."""
    messages = await asyncio.gather(*(server.receive(node, tag="public_key") for node in nodes))
    keys = {node.name: message.data for node, message in zip(nodes, messages, strict=True)}
    await asyncio.gather(*(server.send(node, keys, tag="keys") for node in nodes))


async def serve_round(
    node: cosim.Node,
    weights: Weights,
    exchange: Exchange,
    setup: Setup,
    over_the_air: Callable[[], Awaitable[Tensor]] | None,
) -> RoundResult:
    """Do the server's side of one round. over_the_air: returns the mean of updates that are not sent in messages."""
    settings = setup.settings

    async def update(target: cosim.Node) -> Tensor | None:
        data: dict[str, Any] = {"step": number(exchange.round), **weights}
        await node.send(target, data, tag="weights", encoding=settings.weight_encoding)
        found: Tensor | None = (await expect(node, target, "update", exchange.round)).data.get("update")
        return found

    answers = [each for each in (await exchange.invite_and(update)).values() if each is not None]
    mean = None if over_the_air is None else await over_the_air()
    async with node.compute("sum", key=("sum", len(answers))):
        if mean is None:
            if settings.user_privacy.secure:
                total = unmasked_sum(answers, FixedPoint(FRACTION_BITS))
            else:
                total = torch.stack([each.double() for each in answers]).sum(dim=0)
            mean = total / len(answers)
        add(weights, mean)
        seen = len(steps_of(exchange.round, setup)) * settings.accumulation
        weights["head"][COUNTER] = (weights["head"][COUNTER] + seen).clamp(max=MEAN_BATCHES)
    return RoundResult({}, float("nan"))


def refuse_what_does_not_fit(setup: Setup, method: str) -> None:
    """Raise ConfigurationError for settings under which epsilon would not hold, or that this method does not know."""
    settings = setup.settings
    refuse_unknown(
        method,
        (
            (
                settings.aggregation not in ("fedit", "ffa-lora"),
                f"aggregation {settings.aggregation!r}",
                "fedit, ffa-lora",
            ),
            (settings.objective != "classification", f"objective {settings.objective!r}", "classification"),
            (settings.head_averaging != "server", f"head_averaging {settings.head_averaging!r}", "server"),
            (settings.compression.kind != "none", f"compression {settings.compression.kind!r}", "none"),
            (
                settings.robust.rule != "none" or settings.robust.poisoned > 0,
                "robust settings",
                "none: sums hide updates",
            ),
            (settings.allocation.decides, f"allocation rule {settings.allocation.rule!r}", "none"),
            (settings.participation < 1.0, f"participation {settings.participation}", "1"),
            (settings.stragglers == "drop", "stragglers 'drop'", "wait: the noise is that of all devices"),
            (settings.train_embedding, "train_embedding", "False"),
        ),
    )


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore, *, air: Air | None = None) -> Outcome:
    """Run it over the simulated network. The shared head is evaluated, not those of devices after their own steps."""
    method = METHOD if air is None else air.method
    refuse_what_does_not_fit(setup, method)
    settings, own = setup.settings, setup.settings.user_privacy
    allowed = plan(own, num_rounds(setup))
    rule = rule_of(settings)
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    encoder, embedding = setup.encoder(), setup.embedding()
    encoders = [encoder.twin() for _ in nodes]
    for each in (encoder, *encoders):
        rule.prepare(each)
    learners = [
        Learner(Unsplit(embedding, each, setup.head()), settings, seed=setup.seed + k)
        for k, each in enumerate(encoders)
    ]
    weights: Weights = {"adapter": rule.first(encoder), **shared_head(learners[0].model, True)}
    log = Log(method, report)
    evaluate = Evaluator(setup, method, report, ())
    outcomes: list[Outcome] = []

    def finished(done: FinishedRound[RoundResult]) -> None:
        step = min((done.number + 1) * settings.local_steps, settings.rounds)
        log.round(done, step)
        share = (done.number + 1) * settings.evaluations // allowed.rounds
        if share > done.number * settings.evaluations // allowed.rounds:
            rule.install(encoder, weights["adapter"])
            model = Unsplit(embedding, encoder, setup.head())
            model.head.load_state_dict(weights["head"])
            outcomes.append(evaluate(step, float(sim.now_s), {}, model))

    edge.memory.allocate("model", tensor_bytes(encoder.parameters()))
    async with asyncio.TaskGroup() as group:
        for node, learner in zip(nodes, learners, strict=True):
            group.create_task(download_model(edge, node, learner), name=f"download to {node.name}")
    names = [node.name for node in nodes]
    async with asyncio.TaskGroup() as group:
        for index, (node, learner) in enumerate(zip(nodes, learners, strict=True)):
            link = Link(sim, node, edge, settings.weight_encoding)
            group.create_task(
                device(link, learner, setup, allowed, names, index=index, air=air), name=f"device {node.name}"
            )
        if own.secure and not air:
            await relay_keys(edge, nodes)

        def serve(exchange: Exchange) -> Awaitable[RoundResult]:
            mean = None if air is None else partial(air.mean, edge, nodes, exchange.round, allowed.noise_multiplier)
            return serve_round(edge, weights, exchange, setup, mean)

        await server_loop(
            sim, edge, nodes, Rounds(range(allowed.rounds), seed=setup.seed), finished=finished, serve=serve
        )
    log.nodes(setup, nodes, edge)
    noise, releases = allowed.noise_multiplier, allowed.rounds
    report(
        UserPrivacyRecord(
            method, own.clip, noise, releases, num_rounds(setup), own.delta,
            accounting.epsilon(noise, releases, own.delta, "rdp"),
            accounting.epsilon(noise, releases, own.delta, "pld"),
            "the data of one device are replaced",
            air.against if air else "server and all others" if own.secure else "all but the server",
        )
    )  # fmt: skip
    counts = sum(setup.shards[k].batch_size for k in range(len(nodes))) * settings.accumulation
    return outcomes[-1].counting(counts * min(allowed.rounds * settings.local_steps, settings.rounds))
