# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: for each seed collect samples, search learning rates, then do one job after the other."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import torch

from edgelam.air import prediction
from edgelam.learning.search import best_factor
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from . import network
from .config import FIXED, Config
from .context import Context, Models
from .data import collect
from .records import Job
from .storing import Store
from .tables import Tables
from .training import OutOfTimeError, train


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names; tables go to `folder` as the run goes on."""
    if config.threads:
        torch.set_num_threads(config.threads)
    folder.note(host={"torch_threads": torch.get_num_threads()}, unfinished=[])
    if config.loop.predictors:
        from .in_loop import driving

        driving.run(config, folder, progress)
        return
    if config.tasks.steps:
        from .tasks import sharing

        sharing.run(config, folder, progress)
        return
    if config.across.seen:
        from .across import comparing

        comparing.run(config, folder, progress)
        return
    models, store, tables = Models(config), Store(config), Tables(folder)
    until = time.monotonic() + config.time_limit_s if config.time_limit_s else None
    for seed in range(config.seed, config.seed + config.repeats):
        data = collect(config, seed, progress)
        context = Context(config, seed, data, models, store, tables, progress, until)
        try:
            _one_seed(context)
        except OutOfTimeError as stopped:
            folder.note(unfinished=_unfinished(config, store, seed))
            progress.say(f"{stopped}; run it again with the same settings and checkpoints to go on")
            return


def _unfinished(config: Config, store: Store, first_seed: int) -> list[str]:
    jobs = [job for seed in range(first_seed, config.seed + config.repeats) for job in jobs_of(config, seed)]
    return [job.key for job in jobs if job.servers and store.epochs(job) < config.epochs]


def jobs_of(config: Config, seed: int) -> list[Job]:
    """Return the jobs of one seed, in the order of the methods."""
    jobs: list[Job] = []
    most = max(config.servers)
    for method in config.methods:
        if method in FIXED:
            jobs.append(Job(method, 0, -1, seed))
        elif method.endswith("-local"):
            jobs += [Job(method, most, server, seed) for server in range(most)]
        elif method.endswith("-pooled"):
            jobs.append(Job(method, most, -1, seed))
        else:
            jobs += [Job(method, servers, -1, seed) for servers in config.servers]
    return jobs


def _one_seed(context: Context) -> None:
    jobs = jobs_of(context.config, context.seed)
    learned = list(dict.fromkeys(job.model for job in jobs if job.servers))
    rates = {model: _search(context, model) for model in learned}
    _say_how_long(context)
    for job in jobs:
        if job.servers:
            train(context, job, rates[job.model])
            continue
        predictor = prediction.make(job.method, context.config.window)
        for name, windows in context.data.tests.items():
            context.tables.add(job, context.score(predictor, windows, name, epoch=0, time_s=0.0))
    network.costs(context)


def _search(context: Context, model: str) -> tuple[float, int]:
    """The learning rate that does best on a fifth of the first server's samples, and how many were tried."""
    config, shard = context.config, context.data.shards[0]
    if not config.search_factors or len(shard) < 2:
        return config.training.learning_rate, 0
    if (known := context.store.load_rate(model, context.seed)) is not None:
        return known
    held = max(1, len(shard) // 5)
    training, test = shard.take(np.arange(held, len(shard))), shard.take(np.arange(held))
    tries = 0
    context.progress.begin(f"learning rate of {model} (seed {context.seed})", len(config.search_factors), "tries")

    def attempt(factor: float) -> float:
        settings = dataclasses.replace(config.training, learning_rate=factor * config.training.learning_rate)
        trainer = prediction.Trainer(context.make(model), training, settings, seed=context.seed)
        for epoch in range(config.search_epochs):
            trainer.epoch(epoch)
        return context.score(trainer.predictor, test, "search", epoch=0, time_s=0.0).nmse

    def tried(factor: float, error: float) -> None:
        nonlocal tries
        tries += 1
        context.progress.step(tries, nmse=error, rate=factor * config.training.learning_rate)

    factor = best_factor(model, config.search_factors, attempt, tried, beyond=config.search_beyond)
    rate = factor * config.training.learning_rate
    context.store.save_rate(model, context.seed, rate, tries)
    return rate, tries


def _say_how_long(context: Context) -> None:
    """Measure two steps of each model and say how long training is going to take, later seeds included."""
    config = context.config
    seconds: dict[str, float] = {}
    total = 0.0
    steps = -(-config.samples_per_server // config.training.batch_size)
    later = range(context.seed, config.seed + config.repeats)
    for job in (job for seed in later for job in jobs_of(config, seed) if job.servers):
        epochs = config.epochs - context.store.epochs(job)
        if not epochs:
            continue
        if job.model not in seconds:
            shard = context.data.shards[0]
            trainer = prediction.Trainer(context.make(job.model), shard, config.training, seed=context.seed)
            for _ in range(2):  # the first is slower
                began = time.monotonic()
                trainer.step(*next(trainer.batches(0)))
                seconds[job.model] = time.monotonic() - began
        total += (1 if job.server >= 0 else job.servers) * epochs * steps * seconds[job.model]
    if total:
        seeds = f"seed {context.seed}" if len(later) == 1 else f"seeds {later[0]} to {later[-1]}"
        context.progress.say(
            f"training with {seeds}: about {total / 60:.1f} minutes; searches, tests and packets not counted"
        )
