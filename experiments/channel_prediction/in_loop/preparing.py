# SPDX-License-Identifier: GPL-2.0-only
"""Makes the predictors of one pilot period: those that learn are trained, and all are tested, before the cell."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

from edgelam.air import prediction
from edgelam.air.prediction import Predictor, Trainer, TrainingSettings, Windows
from edgelam.air.prediction.prony import Prony
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed

from ..config import FIXED, Config
from ..context import Models
from ..fitting import fit, searched_rate, with_rate
from . import watching
from .checking import pattern_slots
from .settings import PERFECT, LoopSettings
from .watching import Watched


@dataclass(frozen=True)
class Prepared:
    """A predictor that is ready, and how it came about."""

    name: str
    predictor: Predictor
    trained: int
    """Parameters that were trained."""
    learning_rate: float
    steps: int
    samples: int
    """On which it was trained."""
    loss: float
    """Mean training loss of the last tenth of the steps; NaN if nothing was trained."""
    nmse: dict[float, float]
    """Speed in km/h -> error on a network of its own, over all predicted times."""


@dataclass(frozen=True)
class Channels:
    """The networks that are watched for one seed."""

    training: list[Watched]
    tests: dict[float, Watched]

    @classmethod
    def of(cls, config: Config, seed: int, progress: Progress) -> Channels:
        """Watch them; those for training only if a predictor learns."""
        learning = any(name not in (PERFECT, *FIXED) for name in config.loop.predictors)
        progress.say(f"channels of {len(config.loop.speeds_kmh)} test networks (seed {seed})")
        tests = {speed: watching.tested_network(config, seed, speed) for speed in config.loop.speeds_kmh}
        if not learning:
            return cls([], tests)
        progress.say(f"channels of {config.loop.training_drops} networks to learn from (seed {seed})")
        return cls(watching.training_networks(config, seed), tests)


def prepare(config: Config, seed: int, period: int, channels: Channels, progress: Progress) -> dict[str, Prepared]:
    """Return the predictors for pilots every `period` slots by name, without the perfect one."""
    loop = config.loop
    names = [name for name in loop.predictors if name != PERFECT]
    multiple = config.lam.patch if config.lam.residual == "prony" else 1
    horizon = loop.horizon(period, pattern_slots(config), multiple)
    cut = (config.window.history, period, horizon, loop.decision_slots)
    tests = {speed: watching.samples([each], *cut) for speed, each in channels.tests.items()}
    groups = next(iter(tests.values())).past.shape[-1]
    window = dataclasses.replace(config.window, horizon=horizon, tones=groups, antennas=0)
    steps = [loop.decision_slots * (number + 1) / period for number in range(horizon)]
    methods = tuple(f"{name}-pooled" for name in names if name not in FIXED)
    others = dataclasses.replace(config, window=window, loop=LoopSettings(), methods=methods or ("hold-last",))
    # pilots have little noise: fitted in one direction, errors are a tenth smaller
    models = Models(others, partial(Prony, steps=steps, ridge=loop.prony_ridge, both_directions=False))
    windows = watching.samples(channels.training, *cut) if methods else None
    found = {}
    for name in names:
        predictor, rate, loss, samples = models.make(name, seed), 0.0, float("nan"), 0
        if windows is not None and name not in FIXED:
            trainer_of = partial(_trainer, seed=seed)
            make = partial(models.make, name, seed)
            rate = searched_rate(config, name, make, trainer_of, windows, steps=loop.training_steps, seed=seed)
            progress.begin(f"{name}, a pilot every {period} slots, seed {seed}", loop.training_steps, "steps")
            trainer = trainer_of(predictor, windows, with_rate(config, rate))
            loss, samples = fit(trainer, loop.training_steps, progress), len(windows)
        noise = derive_seed(seed, f"noise of tests in the loop, {period} slots") % 2**63
        nmse = {
            speed: prediction.evaluate(predictor, each, config.test_snr_db, seed=noise).mean_nmse
            for speed, each in tests.items()
        }
        size = sum(parameter.numel() for parameter in predictor.trained().values())
        steps_done = loop.training_steps if name not in FIXED else 0
        found[name] = Prepared(name, predictor.eval(), size, rate, steps_done, samples, loss, nmse)
    return found


def _trainer(predictor: Predictor, windows: Windows, settings: TrainingSettings, *, seed: int) -> Trainer:
    return Trainer(predictor, windows, settings, seed=derive_seed(seed, "training in the loop") % 2**63)
