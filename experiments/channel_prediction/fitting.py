# SPDX-License-Identifier: GPL-2.0-only
"""Training for a number of steps, and the search for a learning rate before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from edgelam.air import prediction
from edgelam.air.prediction import Predictor, Trainer, TrainingSettings, Windows
from edgelam.learning.search import best_factor
from edgelam.output.progress import Progress

from .config import Config

SEARCHED = 3  # a try takes the steps of a training over this


def fit(trainer: Trainer, steps: int, progress: Progress | None = None) -> float:
    """Do so many steps, epoch by epoch; return the mean loss of the last tenth."""
    losses: list[float] = []
    epoch = 0
    while len(losses) < steps:
        for past, future in trainer.batches(epoch):
            losses.append(trainer.step(past, future))
            if progress is not None:
                progress.step(len(losses), loss=losses[-1])
            if len(losses) == steps:
                break
        epoch += 1
    return float(np.mean(losses[-max(1, steps // 10) :]))


def searched_rate(
    config: Config,
    name: str,
    make: Callable[[], Predictor],
    trainer_of: Callable[[Predictor, Windows, TrainingSettings], Trainer],
    windows: Windows,
    *,
    steps: int,
    seed: int,
) -> float:
    """Return the learning rate that is best on the last fifth of the samples, after a third of the steps.

    Without `search_factors`, it is the configured rate.
    """
    if not config.search_factors or len(windows) < 2:
        return config.training.learning_rate
    cut = len(windows) - max(1, len(windows) // 5)
    known, judged = windows.take(np.arange(cut)), windows.take(np.arange(cut, len(windows)))

    def attempt(factor: float) -> float:
        trainer = trainer_of(make(), known, with_rate(config, factor * config.training.learning_rate))
        fit(trainer, max(1, steps // SEARCHED))
        return prediction.evaluate(trainer.predictor, judged, config.test_snr_db, seed=seed).mean_nmse

    factor = best_factor(name, config.search_factors, attempt, lambda *_: None, beyond=config.search_beyond)
    return factor * config.training.learning_rate


def with_rate(config: Config, rate: float) -> TrainingSettings:
    """Return the configured settings of training with this learning rate."""
    return dataclasses.replace(config.training, learning_rate=rate)
