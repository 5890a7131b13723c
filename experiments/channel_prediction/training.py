# SPDX-License-Identifier: GPL-2.0-only
"""One job: a model trained by each server alone, by all together, or in one place, in simulated time."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgelam import cosim
from edgelam.air import prediction
from edgelam.air.prediction import Predictor, Trainer, federated
from edgelam.cosim import derive_seed
from edgelam.errors import EdgelamError
from edgelam.learning.aggregation import RULES
from edgelam.runs import programs

from . import network, records
from .records import Job

if TYPE_CHECKING:
    from .config import Config
    from .context import Context


class OutOfTimeError(EdgelamError):
    """The wall-clock limit has come; what was done is in a checkpoint."""


def train(context: Context, job: Job, learning_rate: tuple[float, int]) -> None:
    """Do a job from where its checkpoint left it; all its rows go to the recorder.

    learning_rate: and how many were tried for it.
    """
    config, data, store = context.config, context.data, context.store
    settings = dataclasses.replace(config.training, learning_rate=learning_rate[0])

    def trainer_of(samples: prediction.Windows, name: str) -> Trainer:
        seed = derive_seed(job.seed, f"training of {name}") % 2**63
        return Trainer(context.make(job.model), samples, settings, seed=seed)

    federation: prediction.Federation | None = None
    if job.method.endswith("-federated"):
        trainers = [trainer_of(data.shards[i], f"server {i}") for i in range(job.servers)]
        federation = prediction.Federation(context.make(job.model), trainers, RULES[config.aggregation])
        predictor = federation.model
    else:
        if job.server >= 0:
            trainers = [trainer_of(data.shards[job.server], f"server {job.server}")]
        else:
            trainers = [trainer_of(prediction.join(data.shards[: job.servers]), "all servers")]
        predictor = trainers[0].predictor
    optimisers = [trainer.optimiser for trainer in trainers]
    state = store.load(job, predictor, optimisers)
    if federation is not None and state.epochs:
        federation.adopt()
    offset_s, done = state.clock_s, state.epochs
    if not done:
        state.rows.append(_size(predictor, trainers[0], learning_rate, config))
    context.progress.begin(job.label, config.epochs, "epochs")

    def finished(epochs: int, now_s: float, loss: float, up_bytes: int, down_bytes: int) -> None:
        """After `epochs` epochs: record, test, put aside, and stop if time is up."""
        state.epochs, state.clock_s = epochs, offset_s + now_s
        state.up_bytes += up_bytes
        state.down_bytes += down_bytes
        state.rows.append(records.Epoch(epochs, state.clock_s, loss, state.up_bytes, state.down_bytes))
        if _is_tested(config, epochs):
            for name, windows in data.tests.items():
                state.rows.append(context.score(predictor, windows, name, epoch=epochs, time_s=state.clock_s))
        last = next((row.nmse for row in reversed(state.rows) if isinstance(row, records.Score)), None)
        context.progress.step(epochs, simulated_s=state.clock_s, loss=loss, nmse=last)
        store.save(job, predictor, optimisers, state)
        if context.until is not None and time.monotonic() > context.until and epochs < config.epochs:
            raise OutOfTimeError(f"{job.label} stopped after {epochs} of {config.epochs} epochs at the time limit")

    networked = context.networked and job.server < 0
    options = config.scenario_options() if networked else {}

    async def main(sim: cosim.Simulation) -> None:
        async with recorder.following(sim, options):
            if federation is not None:
                await _together(sim, config, federation, done, finished)
            else:
                await _alone(sim, context, job, trainers[0], epochs=range(done, config.epochs), finished=finished)

    if done < config.epochs:
        recorder = context.recorder.simulation(job)
        try:
            cosim.simulate(
                main,
                scenario=config.scenario if networked else None,
                nodes=None if networked else network.ideal_nodes(config, job.servers),
                options=options,
                seed=job.seed,
                devices=config.device_profiles(),
                compute=config.compute,
                on_transfer=recorder.on_transfer,
                on_compute=recorder.on_compute,
                program=programs.record(context.recorder.folder, job.key),
            )
        except* OutOfTimeError as stopped:
            raise OutOfTimeError(str(stopped.exceptions[0])) from None
        recorder.done()
    for row in state.rows:
        context.recorder.add(job, row)


def _is_tested(config: Config, epochs: int) -> bool:
    """Whether the models are tested after so many epochs."""
    before = epochs - config.local_epochs
    return epochs * config.evaluations // config.epochs > before * config.evaluations // config.epochs


def _size(predictor: Predictor, trainer: Trainer, rate: tuple[float, int], config: Config) -> records.Model:
    steps = -(-len(trainer.windows) // config.training.batch_size) * config.epochs
    trained = sum(p.numel() for p in predictor.trained().values())
    total = sum(p.numel() for p in predictor.parameters())
    return records.Model(total, trained, rate[0], rate[1], steps, len(trainer.windows))


Finished = Callable[[int, float, float, int, int], None]


async def _together(
    sim: cosim.Simulation, config: Config, federation: prediction.Federation, done: int, finished: Finished
) -> None:
    """Federated rounds over the network."""
    servers, aggregator = network.nodes_of(sim, config, len(federation.trainers))

    def report(record: federated.FederatedRound) -> None:
        epochs = (record.round + 1) * config.local_epochs
        finished(epochs, record.end_s, record.loss, record.up_bytes, record.down_bytes)

    await federated.run(
        sim, federation, servers=servers, aggregator=aggregator, local_epochs=config.local_epochs,
        rounds=range(done // config.local_epochs, config.epochs // config.local_epochs), report=report,
    )  # fmt: skip


async def _alone(
    sim: cosim.Simulation, context: Context, job: Job, trainer: Trainer, *, epochs: range, finished: Finished
) -> None:
    """A server by itself; or the aggregator, after all servers' CSI has been sent there."""
    servers, aggregator = network.nodes_of(sim, context.config, job.servers)
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
