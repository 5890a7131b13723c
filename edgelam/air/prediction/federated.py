# SPDX-License-Identifier: GPL-2.0-only
"""Federated training of one predictor by edge servers that keep their CSI, over a simulated network.

    a round: aggregator --model--> every server       what the rule for adapters sends, and all other trained weights
             server                                    `local_epochs` epochs on its own samples
             aggregator <--model-- server              merged, weighted by the number of samples (FedAvg)

The frozen backbone, and the first values of everything else (drawn from a common seed), are at every server before.
Servers keep their optimiser's state from round to round. Predictors without adapters are averaged whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.air.prediction.checkpoints import everything
from edgelam.air.prediction.predictor import Predictor
from edgelam.air.prediction.training import Trainer
from edgelam.learning.aggregation import Aggregation
from edgelam.learning.averaging import weighted_average

if TYPE_CHECKING:
    from edgelam import cosim


@dataclass(frozen=True)
class FederatedRound:
    """A finished round."""

    round: int
    """Number of the round, from 0."""
    start_s: float
    end_s: float
    loss: float
    """Training loss (NMSE), mean over all samples of all servers."""
    up_bytes: int
    """Sent by all servers together."""
    down_bytes: int


class Federation:
    """The aggregator's model and one trainer a server; knows no network."""

    def __init__(self, model: Predictor, trainers: Sequence[Trainer], rule: Aggregation) -> None:
        """All predictors with the same weights."""
        self.model, self.trainers, self.rule = model, list(trainers), rule
        for predictor in (model, *(trainer.predictor for trainer in trainers)):
            rule.prepare(predictor)
        for trainer in self.trainers:
            trainer.restart()  # what the rule has frozen is not trained
        self._down = self._first()

    def adopt(self) -> None:
        """Give every server the aggregator's model, as after a merge: when training is taken up again."""
        for trainer in self.trainers:
            own = everything(trainer.predictor)
            with torch.no_grad():
                for name, value in everything(self.model).items():
                    own[name].copy_(value)
        self._down = self._first()

    def _first(self) -> dict[str, dict[str, Tensor]]:
        return {"adapter": self.rule.first(self.model), "weights": plain_weights(self.model)}

    def download(self) -> dict[str, dict[str, Tensor]]:
        """What every server gets at the beginning of a round."""
        return self._down

    def install(self, server: int, download: Mapping[str, Any], *, begins: bool) -> None:
        """Put it into a server's model; `begins`: it has not trained yet."""
        trainer = self.trainers[server]
        put(trainer.predictor, download, self.rule)
        if self.rule.restarts and not begins:
            trainer.restart_adapters()

    def upload(self, server: int) -> dict[str, dict[str, Tensor]]:
        """What a server sends when it has trained."""
        predictor = self.trainers[server].predictor
        return {"adapter": self.rule.upload(predictor), "weights": plain_weights(predictor)}

    def merge(self, uploads: Sequence[Mapping[str, Any]]) -> None:
        """All servers' uploads, in their order, into the aggregator's model and the next download."""
        samples = [len(trainer.windows) for trainer in self.trainers]
        self._down = {
            "adapter": self.rule.merge([upload["adapter"] for upload in uploads], samples),
            "weights": weighted_average([upload["weights"] for upload in uploads], samples),
        }
        put(self.model, self._down, self.rule)


def plain_weights(predictor: Predictor) -> dict[str, Tensor]:
    """What is trained and is no adapter: copies."""
    return {name: p.detach().clone() for name, p in predictor.trained().items() if "lora_" not in name}


def put(predictor: Predictor, download: Mapping[str, Any], rule: Aggregation) -> None:
    """Load the parameters that came down into a model."""
    rule.install(predictor, download["adapter"])
    own = predictor.trained()
    with torch.no_grad():
        for name, value in download["weights"].items():
            own[name].copy_(value)


async def run(
    sim: cosim.Simulation,
    federation: Federation,
    *,
    servers: Sequence[cosim.Node],
    aggregator: cosim.Node,
    rounds: range,
    local_epochs: int = 1,
    encoding: str = "fp32",
    report: Callable[[FederatedRound], object] = lambda record: None,
) -> None:
    """All rounds over the network; `report` is called after each, when the aggregator's model is the merged one.

    servers: as many nodes as the federation has trainers; rounds: their numbers (a resumed run begins later).
    """

    async def serve(index: int, node: cosim.Node) -> None:
        trainer = federation.trainers[index]
        for number in rounds:
            message = await node.receive(aggregator, tag="model")
            federation.install(index, message.data, begins=number == 0)
            total = 0.0
            for epoch in range(number * local_epochs, (number + 1) * local_epochs):
                for past, future in trainer.batches(epoch):
                    async with node.compute("train", key=("train", tuple(past.shape))):
                        total += trainer.step(past, future) * len(past)
            loss = torch.tensor(total / (local_epochs * len(trainer.windows)))
            await node.send(aggregator, {**federation.upload(index), "loss": loss}, tag="model", encoding=encoding)

    async def exchange(node: cosim.Node) -> tuple[dict[str, Any], int, int]:
        down = await aggregator.send(node, federation.download(), tag="model", encoding=encoding)
        message = await aggregator.receive(node, tag="model")
        return dict(message.data), down.size_bytes, message.size_bytes

    async def aggregate() -> None:
        for number in rounds:
            start_s = sim.now_s
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(exchange(node), name=f"round with {node.name}") for node in servers]
            answers = [task.result() for task in tasks]
            async with aggregator.compute("merge", key=("merge", len(answers))):
                federation.merge([answer for answer, _, _ in answers])
            weights = [len(trainer.windows) for trainer in federation.trainers]
            losses = [float(answer["loss"]) for answer, _, _ in answers]
            loss = sum(w * x for w, x in zip(weights, losses, strict=True)) / sum(weights)
            up, down = sum(up for _, _, up in answers), sum(down for _, down, _ in answers)
            report(FederatedRound(number, start_s, sim.now_s, loss, up, down))

    async with asyncio.TaskGroup() as group:
        for index, node in enumerate(servers):
            group.create_task(serve(index, node), name=f"server {node.name}")
        group.create_task(aggregate(), name="aggregator")
