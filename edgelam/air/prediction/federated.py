# SPDX-License-Identifier: GPL-2.0-only
"""Federated training of one predictor by clients that keep their CSI, over a simulated network.

    a round: server --model--> every client       what the rule for adapters sends, and all other trained weights
             client                               `local_epochs` epochs on its own samples
             server <--model-- client             merged, weighted by the number of samples (FedAvg)

From the start, every client has the frozen backbone, and the first values of the rest (drawn from a common seed).
Clients keep their optimiser's state from round to round. Predictors without adapters are averaged whole. In the case
study (experiments/channel_prediction) the clients are edge servers and the server is called the aggregator.
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
from edgelam.errors import ConfigurationError
from edgelam.learning.aggregation import Aggregation, whole_models
from edgelam.learning.conversation import Link
from edgelam.learning.rounds import Exchange, FinishedRound, Rounds, device_loop, server_loop

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
    """Training loss (NMSE), mean over all samples of all clients."""
    up_bytes: int
    """Bytes that all clients together have sent."""
    down_bytes: int


class Federation:
    """The server's model and one trainer for each client, without a network."""

    def __init__(self, model: Predictor, trainers: Sequence[Trainer], rule: Aggregation) -> None:
        """All predictors have the same weights.

        Raises ConfigurationError for a rule with which clients keep parts of their own: one model is judged here.
        """
        if rule.personal:
            raise ConfigurationError(
                f"aggregation {rule.name!r} leaves a part of the model on each client; this federation has one model"
            )
        self.model, self.trainers, self.rule = model, list(trainers), rule
        for predictor in (model, *(trainer.predictor for trainer in trainers)):
            rule.prepare(predictor)
        for trainer in self.trainers:
            trainer.restart()  # what the rule has frozen is not trained
        self._down = self._first()

    def adopt(self) -> None:
        """Give every client the server's model, as after a merge; used when training is resumed."""
        for trainer in self.trainers:
            own = everything(trainer.predictor)
            with torch.no_grad():
                for name, value in everything(self.model).items():
                    own[name].copy_(value)
        self._down = self._first()

    def _first(self) -> dict[str, dict[str, Tensor]]:
        return whole_models.first(self.model, self.rule)

    def download(self) -> dict[str, dict[str, Tensor]]:
        """Return what every client gets at the beginning of a round."""
        return self._down

    def install(self, client: int, download: Mapping[str, Any], *, begins: bool) -> None:
        """Put a download into a client's model; begins: whether the client has not trained yet."""
        trainer = self.trainers[client]
        whole_models.install(trainer.predictor, download, self.rule)
        if self.rule.restarts and not begins:
            trainer.restart_adapters()

    def upload(self, client: int) -> dict[str, dict[str, Tensor]]:
        """Return what a client sends when it has trained."""
        return whole_models.upload(self.trainers[client].predictor, self.rule)

    def merge(self, uploads: Sequence[Mapping[str, Any]]) -> None:
        """Merge the uploads of all clients, in their order, into the server's model and the next download."""
        samples = [len(trainer.windows) for trainer in self.trainers]
        self._down = whole_models.merge(uploads, samples, self.rule)
        whole_models.install(self.model, self._down, self.rule)


async def run(
    sim: cosim.Simulation,
    federation: Federation,
    *,
    clients: Sequence[cosim.Node],
    server: cosim.Node,
    rounds: range,
    local_epochs: int = 1,
    encoding: str = "fp32",
    report: Callable[[FederatedRound], object] = lambda record: None,
) -> None:
    """Do all rounds over the network; `report` is called after each, when the server's model is the merged one.

    clients: as many nodes as the federation has trainers; rounds: numbers of the rounds (a resumed run begins later).
    """
    every = Rounds(rounds, announced=False)
    weights = [len(trainer.windows) for trainer in federation.trainers]

    async def client(index: int, link: Link) -> None:
        trainer, node = federation.trainers[index], link.node

        async def work(number: int) -> None:
            message = await node.receive(server, tag="model")
            federation.install(index, message.data, begins=number == 0)
            total = 0.0
            for epoch in range(number * local_epochs, (number + 1) * local_epochs):
                for past, future in trainer.batches(epoch):
                    async with node.compute("train", key=("train", tuple(past.shape))):
                        total += trainer.step(past, future) * len(past)
            loss = torch.tensor(total / (local_epochs * len(trainer.windows)))
            await node.send(server, {**federation.upload(index), "loss": loss}, tag="model", encoding=encoding)

        await device_loop(link, every, work)

    async def model(node: cosim.Node) -> tuple[dict[str, Any], int, int]:
        down = await server.send(node, federation.download(), tag="model", encoding=encoding)
        message = await server.receive(node, tag="model")
        return dict(message.data), down.size_bytes, message.size_bytes

    async def serve(exchange: Exchange) -> tuple[float, int, int]:
        answers = list((await exchange.invite_and(model)).values())
        async with server.compute("merge", key=("merge", len(answers))):
            federation.merge([answer for answer, _, _ in answers])
        losses = [float(answer["loss"]) for answer, _, _ in answers]
        loss = sum(w * x for w, x in zip(weights, losses, strict=True)) / sum(weights)
        return loss, sum(up for _, _, up in answers), sum(down for _, down, _ in answers)

    def finished(done: FinishedRound[tuple[float, int, int]]) -> None:
        loss, up, down = done.result
        report(FederatedRound(done.number, done.start_s, done.end_s, loss, up, down))

    async with asyncio.TaskGroup() as group:
        for index, node in enumerate(clients):  # recorded programs call the tasks as the case study does
            group.create_task(client(index, Link(sim, node, server)), name=f"server {node.name}")
        serving = server_loop(sim, server, clients, every, serve=serve, finished=finished)
        group.create_task(serving, name="aggregator")
