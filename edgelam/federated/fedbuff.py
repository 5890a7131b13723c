# SPDX-License-Identifier: GPL-2.0-only
"""Buffered asynchronous aggregation of un-split federated LoRA (FedBuff, Nguyen et al., AISTATS 2022).

    every device, over and over, without waiting for others:
        server --adapter, version--> device            the newest version
                                     device            `local_steps` optimiser steps on the whole model
        server <--update--           device            the difference to what it got
    server, with each `buffer` updates that have come in:
        weights <- weights + sum_k w_k update_k / buffer,    w_k = (1 + staleness_k)^-staleness_exponent

Staleness is the number of versions made since the device got its model. With `buffer` 1, every update makes a version
(asynchronous); a larger one waits for several (semi-asynchronous). There are as many updates as fed-lora has in all its
rounds, so devices that are faster give more of them, and of their data. Updates count alike, whatever their samples.

With a deadline and `stragglers = "drop"`, an update that is late, or lost with its connection, does not count, and the
device is sent the newest version. After MOST_MISSED of them in a row it counts as away (out of coverage, a flat
battery), and is asked only now and then, until it answers again. If all are away, the run ends.

A checkpoint is made when a version is. What was on its way then is lost: in the run that goes on, all devices begin
with that version, with the moments of their optimisers as they were. With one device nothing is on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from edgelam import cosim
from edgelam.errors import BatteryEmpty, ConfigurationError, TransferError
from edgelam.federated.evaluation import Evaluator, Outcome
from edgelam.federated.fed_lora import num_rounds, steps_of
from edgelam.federated.learner import Learner, download_model, have_downloaded, train_step
from edgelam.federated.log import Log, RoundResult
from edgelam.federated.records import Report, StalenessRecord, ignore
from edgelam.federated.refusals import refuse_unknown
from edgelam.federated.setup import Setup
from edgelam.federated.updates import load_shared, rule_of, shared_head, shared_weights
from edgelam.learning.conversation import Link, device_nodes, expect, number, server_node
from edgelam.learning.course import Part, named, of
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.memory import tensor_bytes
from edgelam.learning.rounds import FinishedRound
from edgelam.models import Unsplit

METHOD = "fedbuff"
END = -1
MOST_MISSED = 3
"""Updates in a row, after which a device counts as away."""
PAUSE = 2
"""Deadlines between two questions to a device that is away."""
Weights = dict[str, dict[str, Tensor]]
_NUMBERS = ("version", "updates", "steps", "counted")
SERVER = "server"
"""Its name in checkpoints."""


def staleness_weight(staleness: int, exponent: float) -> float:
    """Return (1 + staleness)^-exponent."""
    return float((1 + staleness) ** -exponent)


@dataclass
class Buffer:
    """The server's model: its weights, its version, and the updates that wait for the next one."""

    weights: Weights
    size: int
    exponent: float
    version: int = 0
    updates: int = 0
    """That have come in, in all."""
    steps: int = 0
    """Optimiser steps behind them."""
    waiting: list[tuple[float, Weights]] = field(default_factory=list)
    result: RoundResult = field(default_factory=lambda: RoundResult({}, 0.0))
    """Of the version that is being made."""
    since_s: float = 0.0
    counted: int = 0
    """Samples behind the versions that were made."""

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps, when a version has been made."""
        numbers = {name: torch.tensor(getattr(self, name)) for name in _NUMBERS}
        return numbers | {k: v for part, tensors in self.weights.items() for k, v in named(part, tensors).items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""
        for name in _NUMBERS:
            setattr(self, name, int(state[name]))
        for part in self.weights:
            self.weights[part] = of(part, state)

    def add(self, update: Weights, made_from: int) -> tuple[int, float]:
        """Take an update of a model of that version; return its staleness and its weight."""
        staleness = self.version - made_from
        weight = staleness_weight(staleness, self.exponent)
        self.waiting.append((weight, update))
        self.updates += 1
        return staleness, weight

    @property
    def full(self) -> bool:
        """Whether the next version can be made."""
        return len(self.waiting) >= self.size

    def step(self) -> None:
        """Make the next version."""
        for part, tensors in self.weights.items():
            for name, weight in tensors.items():
                change = torch.zeros_like(weight)
                for factor, update in self.waiting:
                    change += factor * update[part][name].to(weight.dtype)
                tensors[name] = weight + change / len(self.waiting)
        self.version += 1
        self.waiting = []


@dataclass
class Worker:
    """A device's learning, and how many steps it has done: they decide which samples come next."""

    learner: Learner
    steps: int = 0

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return named("learner", self.learner.state()) | {"steps": torch.tensor(self.steps)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""
        self.learner.load(of("learner", state))
        self.steps = int(state["steps"])


async def device(link: Link, worker: Worker, setup: Setup, *, index: int) -> None:
    """One device: train and send updates until the server ends the run, or the battery is empty."""
    node, settings, shard, learner = link.node, setup.settings, setup.shards[index], worker.learner
    rule, with_head = rule_of(settings), settings.head_averaging == "server"
    node.memory.allocate("model", learner.resident_bytes())
    try:
        while True:
            got = (await node.receive(link.server, tag="adapter")).data
            turn = int(got["step"])
            if turn == END:
                return
            load_shared(learner.model, got, rule)
            loss_sum, samples = 0.0, 0
            for _ in range(int(got["steps"])):
                parts = [shard.batch(worker.steps, part) for part in range(settings.accumulation)]
                loss, count = await train_step(node, learner, parts, worker.steps)
                loss_sum, samples = loss_sum + loss, samples + count
                worker.steps += 1
            now = shared_weights(learner.model, rule, with_head)
            update = {part: {name: w - got[part][name] for name, w in own.items()} for part, own in now.items()}
            await link.send("update", turn, {"update": update, "samples": number(samples), "loss": loss_sum})
    except BatteryEmpty as error:
        if settings.stragglers != "drop":
            raise BatteryEmpty(
                f"{error}; updates of others go on if the server drops devices that miss its deadline"
            ) from error


class Server:
    """The server's side of all devices."""

    def __init__(self, sim: cosim.Simulation, node: cosim.Node, setup: Setup, buffer: Buffer, *, total: int,
                 report: Report, made: Any) -> None:  # fmt: skip
        """total: updates in the run; made: called after each version."""
        self.sim, self.node, self.setup, self.buffer, self.total = sim, node, setup, buffer, total
        self._report, self._made = report, made
        self._coming = 0
        """Updates that have been asked for and have not come in."""
        self._changed = asyncio.Event()
        """Set, and replaced, when one of them has come in or is lost."""
        self._turns = 0
        self._away: set[str] = set()

    @property
    def _goes_on(self) -> bool:
        """Whether the run needs more updates, and there is somebody to give them."""
        return self.buffer.updates < self.total and len(self._away) < self.setup.settings.num_devices

    async def serve(self, target: cosim.Node) -> None:
        """Ask a device for updates as long as the run needs some."""
        settings, missed = self.setup.settings, 0
        until_s = settings.round_deadline_s if settings.stragglers == "drop" else None
        while self._goes_on:
            if missed >= MOST_MISSED:
                self._away.add(target.name)
                await asyncio.sleep(PAUSE * (until_s or 0.0) if self._goes_on else 0.0)
                if not self._goes_on:
                    return
            if self.buffer.updates + self._coming >= self.total:  # enough, if all of them come in
                await self._changed.wait()
                continue
            self._coming += 1
            self._turns += 1
            turn, version = self._turns, self.buffer.version
            number_of_all = self.buffer.updates + self._coming - 1
            steps = len(steps_of(number_of_all // self.setup.settings.num_devices, self.setup))
            try:
                async with asyncio.timeout(until_s):
                    data = {"step": number(turn), "steps": number(steps), **self.buffer.weights}
                    await self.node.send(target, data, tag="adapter", encoding=settings.weight_encoding)
                    answer = dict((await expect(self.node, target, "update", turn)).data)
            except (TimeoutError, TransferError):
                if until_s is None:
                    raise
                missed += 1
                continue
            finally:
                self._coming -= 1
                self._changed.set()
                self._changed = asyncio.Event()
            missed = 0
            self._away.discard(target.name)
            self.buffer.steps += steps
            await self._came(target, answer, version)

    async def _came(self, target: cosim.Node, answer: dict[str, Any], version: int) -> None:
        buffer = self.buffer
        for part, tensors in answer["update"].items():
            for name, tensor in tensors.items():
                what = f"{part}/{name} of an update of device {target.name}"
                refuse_divergence(tensor, what, self.setup.settings.against_divergence)
        staleness, weight = buffer.add(answer["update"], version)
        self._report(
            StalenessRecord(
                METHOD, buffer.updates - 1, target.name, buffer.version, staleness, weight, float(self.sim.now_s)
            )
        )
        samples = buffer.result.samples
        samples[target.name] = samples.get(target.name, 0) + int(answer["samples"])
        buffer.result.loss_sum += answer["loss"]
        if not buffer.full and buffer.updates < self.total:
            return
        async with self.node.compute("average", key=("average", len(buffer.waiting))):
            buffer.step()
        self._made()


async def run(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """Run FedBuff over the simulated network. Raises ConfigurationError for rules that every device must follow."""
    settings = setup.settings
    refuse_unknown(
        METHOD,
        (
            (
                settings.aggregation not in ("fedit", "ffa-lora"),
                f"aggregation {settings.aggregation!r}",
                "fedit, ffa-lora",
            ),
            (settings.compression.kind != "none", f"compression {settings.compression.kind!r}", "none"),
            (settings.robust.rule != "none" or settings.robust.poisoned > 0, "robust settings", "method fed-lora"),
            (settings.allocation.decides, f"allocation rule {settings.allocation.rule!r}", "none"),
            (settings.participation < 1.0, f"participation {settings.participation}", "1"),
            (settings.train_embedding, "train_embedding", "False"),
        ),
    )
    rule = rule_of(settings)
    nodes, edge = device_nodes(sim, settings.num_devices), server_node(sim)
    encoder, embedding = setup.encoder(), setup.embedding()
    encoders = [encoder.twin() for _ in nodes]
    for each in (encoder, *encoders):
        rule.prepare(each)
    learners = [
        Learner(Unsplit(embedding, own, setup.head()), settings, seed=setup.seed + k) for k, own in enumerate(encoders)
    ]
    total = num_rounds(setup) * len(nodes)
    weights: Weights = {
        "adapter": rule.first(encoder), **shared_head(learners[0].model, settings.head_averaging == "server")
    }  # fmt: skip
    buffer = Buffer(weights, min(settings.buffer, total), settings.staleness_exponent)
    log = Log(METHOD, report)
    evaluate = Evaluator(setup, METHOD, report, tuple(node.name for node in nodes))
    outcomes: list[Outcome] = []
    course, workers = setup.course, [Worker(learner) for learner in learners]
    parts: dict[str, Part] = {SERVER: buffer, **{n.name: w for n, w in zip(nodes, workers, strict=True)}}

    def made() -> None:
        result = buffer.result
        buffer.counted += sum(result.samples.values())
        done = FinishedRound(
            buffer.version - 1, buffer.since_s, float(sim.now_s), len(result.samples), frozenset(), frozenset(), result
        )
        steps = round(buffer.steps / len(nodes))
        log.round(done, steps)
        buffer.result, buffer.since_s = RoundResult({}, 0.0), float(sim.now_s)
        if due(buffer.updates) > before + len(outcomes) or buffer.updates == total:
            rule.install(encoder, weights["adapter"])
            models = {
                node.name: Unsplit(embedding, encoder, learner.model.head)
                for node, learner in zip(nodes, learners, strict=True)
            }
            average = None
            if "head" in weights:
                average = Unsplit(embedding, encoder, setup.head())
                average.head.load_state_dict(weights["head"])
            outcomes.append(evaluate(steps, float(sim.now_s), models, average))
        for name in parts:
            course.begins(name, buffer.version, float(sim.now_s) if name == SERVER else None)
        course.finished(buffer.version)

    def due(updates: int) -> int:
        return updates * settings.evaluations // total

    if course.first:
        for learner in learners:
            have_downloaded(learner)
    course.restore(parts)
    before = due(buffer.updates)
    edge.memory.allocate("model", tensor_bytes(encoder.parameters()))
    async with asyncio.TaskGroup() as group:
        for node, learner in zip(nodes, learners, strict=True):
            if not course.first:
                group.create_task(download_model(edge, node, learner), name=f"download to {node.name}")
    buffer.since_s = float(sim.now_s)
    server = Server(sim, edge, setup, buffer, total=total, report=report, made=made)
    async with asyncio.TaskGroup() as group:
        for index, (node, worker) in enumerate(zip(nodes, workers, strict=True)):
            link = Link(sim, node, edge, settings.weight_encoding)
            group.create_task(device(link, worker, setup, index=index), name=f"device {node.name}")
        async with asyncio.TaskGroup() as serving:
            for node in nodes:
                serving.create_task(server.serve(node), name=f"updates of {node.name}")
        for node in nodes:
            group.create_task(_end(edge, node, settings.round_deadline_s), name=f"end to {node.name}")
    if not outcomes or buffer.updates < total:
        raise ConfigurationError(
            f"{buffer.updates} of {total} updates came in: no device answered within round_deadline_s "
            f"{settings.round_deadline_s} any more; legal is a longer deadline, or devices whose batteries last"
        )
    log.nodes(setup, nodes, edge)
    return outcomes[-1].counting(buffer.counted)


async def _end(server: cosim.Node, device: cosim.Node, deadline_s: float | None) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            await server.send(device, {"step": number(END)}, tag="adapter")
    except (TimeoutError, TransferError):
        pass  # a device that is gone
