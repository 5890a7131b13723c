# SPDX-License-Identifier: GPL-2.0-only
"""One job: a model trained by each server alone, by all together, or in one place, in simulated time."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from edgelam import cosim
from edgelam.air import prediction
from edgelam.air.prediction import Predictor, Trainer, federated
from edgelam.cosim import derive_seed
from edgelam.errors import EdgelamError
from edgelam.learning.aggregation import RULES

from . import network, records
from .config import needs
from .records import Job

if TYPE_CHECKING:
    from .config import Config
    from .context import Context


class OutOfTimeError(EdgelamError):
    """The wall-clock limit has come; what was done is in a checkpoint."""


@dataclasses.dataclass(frozen=True)
class Learners:
    """The models of a job and what trains them."""

    trainers: list[Trainer]
    predictor: Predictor
    """The model that is tested and stored: the aggregator's, if there is one."""
    federation: prediction.Federation | None = None

    @property
    def optimisers(self) -> list[torch.optim.Optimizer]:
        """The optimisers of all trainers."""
        return [trainer.optimiser for trainer in self.trainers]


class Course:
    """How far a job is: from its checkpoint on, epoch by epoch."""

    def __init__(self, context: Context, job: Job, learners: Learners) -> None:
        """Load the checkpoint into the models, if there is one."""
        self.context, self.job, self.learners = context, job, learners
        self.state = context.store.load(job, learners.predictor, learners.optimisers)
        self._earlier_s = self.state.clock_s

    def finished(self, epochs: int, now_s: float, loss: float, up_bytes: int, down_bytes: int) -> None:
        """After `epochs` epochs: record, test, put aside, and stop if time is up (OutOfTimeError)."""
        context, state = self.context, self.state
        state.epochs, state.clock_s = epochs, self._earlier_s + now_s
        state.up_bytes += up_bytes
        state.down_bytes += down_bytes
        state.rows.append(records.Epoch(epochs, state.clock_s, loss, state.up_bytes, state.down_bytes))
        if _is_tested(context.config, epochs):
            predictor = self.learners.predictor
            for name, windows in context.data.tests.items():
                state.rows.append(context.score(predictor, windows, name, epoch=epochs, time_s=state.clock_s))
        last = next((row.nmse for row in reversed(state.rows) if isinstance(row, records.Score)), None)
        context.progress.step(epochs, simulated_s=state.clock_s, loss=loss, nmse=last)
        context.store.save(self.job, self.learners.predictor, self.learners.optimisers, state)
        whole = context.config.epochs
        if context.until is not None and time.monotonic() > context.until and epochs < whole:
            raise OutOfTimeError(f"{self.job.label} stopped after {epochs} of {whole} epochs at the time limit")


def train(context: Context, job: Job, learning_rate: tuple[float, int]) -> None:
    """Do a job from where its checkpoint left it; all its rows go to the tables.

    learning_rate: and how many were tried for it.
    """
    learners = _learners(context, job, learning_rate[0])
    course = Course(context, job, learners)
    if not course.state.epochs:
        course.state.rows.append(_size(learners, learning_rate, context.config))
    elif learners.federation is not None:
        learners.federation.adopt()
    context.progress.begin(job.label, context.config.epochs, "epochs")
    if course.state.epochs < context.config.epochs:
        _simulate(context, job, course)
    for row in course.state.rows:
        context.tables.add(job, row)


def _learners(context: Context, job: Job, learning_rate: float) -> Learners:
    """The models of a job at their first weights."""
    config, shards = context.config, context.data.shards
    settings = dataclasses.replace(config.training, learning_rate=learning_rate)

    def trainer_of(samples: prediction.Windows, name: str) -> Trainer:
        seed = derive_seed(job.seed, f"training of {name}") % 2**63
        return Trainer(context.make(job.model), samples, settings, seed=seed)

    if job.method.endswith("-federated"):
        trainers = [trainer_of(shards[i], f"server {i}") for i in range(job.servers)]
        federation = prediction.Federation(context.make(job.model), trainers, RULES[config.aggregation])
        return Learners(trainers, federation.model, federation)
    if job.server >= 0:
        trainer = trainer_of(shards[job.server], f"server {job.server}")
    else:
        trainer = trainer_of(prediction.join(shards[: job.servers]), "all servers")
    return Learners([trainer], trainer.predictor)


def _simulate(context: Context, job: Job, course: Course) -> None:
    """The epochs that are left, in a simulation of their own: over the network, or without where nothing is sent."""
    config, done = context.config, course.state.epochs
    networked = context.networked and job.server < 0

    async def main(sim: cosim.Simulation) -> None:
        if (federation := course.learners.federation) is not None:
            await _together(sim, config, federation, done, course.finished)
        else:
            trainer, epochs = course.learners.trainers[0], range(done, config.epochs)
            await _alone(sim, context, job, trainer, epochs=epochs, finished=course.finished)

    over = config.network if networked else config.network.ideal()
    there = needs(config) if networked else needs(config, job.servers)
    try:
        over.simulate(
            main, there, context.tables.folder, job.key, seed=job.seed, recorder=context.tables.simulation(job)
        )
    except* OutOfTimeError as stopped:
        raise OutOfTimeError(str(stopped.exceptions[0])) from None


def _is_tested(config: Config, epochs: int) -> bool:
    """Return whether the models are tested after this number of epochs."""
    before = epochs - config.local_epochs
    return epochs * config.evaluations // config.epochs > before * config.evaluations // config.epochs


def _size(learners: Learners, rate: tuple[float, int], config: Config) -> records.Model:
    predictor, trainer = learners.predictor, learners.trainers[0]
    steps = -(-len(trainer.windows) // config.training.batch_size) * config.epochs
    trained = sum(p.numel() for p in predictor.trained().values())
    total = sum(p.numel() for p in predictor.parameters())
    return records.Model(total, trained, rate[0], rate[1], steps, len(trainer.windows))


Finished = Callable[[int, float, float, int, int], None]


async def _together(
    sim: cosim.Simulation, config: Config, federation: prediction.Federation, done: int, finished: Finished
) -> None:
    """Federated rounds over the network."""
    servers, (aggregator,) = needs(config, len(federation.trainers)).nodes(sim)

    def report(record: federated.FederatedRound) -> None:
        epochs = (record.round + 1) * config.local_epochs
        finished(epochs, record.end_s, record.loss, record.up_bytes, record.down_bytes)

    await federated.run(
        sim, federation, clients=servers, server=aggregator, local_epochs=config.local_epochs,
        rounds=range(done // config.local_epochs, config.epochs // config.local_epochs), report=report,
    )  # fmt: skip


async def _alone(
    sim: cosim.Simulation, context: Context, job: Job, trainer: Trainer, *, epochs: range, finished: Finished
) -> None:
    """A server by itself; or the aggregator, after all servers' CSI has been sent there."""
    servers, (aggregator,) = needs(context.config, job.servers).nodes(sim)
    up_bytes = 0
    node = servers[0]
    if job.server < 0:
        node = aggregator
        if epochs.start == 0:
            async with asyncio.TaskGroup() as group:
                sent = [
                    group.create_task(network.send_csi(each, aggregator, context.data.shards[i]))
                    for i, each in enumerate(servers)
                ]
            up_bytes = sum(task.result().size_bytes for task in sent)
    for epoch in epochs:
        total = 0.0
        for past, future in trainer.batches(epoch):
            async with node.compute("train", key=("train", tuple(past.shape))):
                total += trainer.step(past, future) * len(past)
        finished(epoch + 1, sim.now_s, total / len(trainer.windows), up_bytes, 0)
        up_bytes = 0
