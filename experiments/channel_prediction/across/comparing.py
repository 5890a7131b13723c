# SPDX-License-Identifier: GPL-2.0-only
"""Trains one model on all seen configurations, and one for each configuration, and tests them on all.

    one        all samples of all seen configurations in one place
    federated  the same samples at a server for each configuration, federated averaging over the network
    own        the samples of one configuration, seen or not
    few        `one`, adapted to a few samples of an unseen configuration
    scratch    a new model on these few samples

`own` has `steps` optimiser steps, and `one` and `federated` have so many for each seen configuration. Learning rates
are searched on the samples of `one`, and kept for all trainings of that model.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from functools import partial

import numpy as np

from edgelam import cosim
from edgelam.air import prediction
from edgelam.air.prediction import Predictor, Trainer, TrainingSettings, Windows, federated
from edgelam.learning.aggregation import RULES
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder

from ..config import FIXED, Config, needs
from ..context import Models
from ..data import samples_of
from ..fitting import fit, searched_rate, with_rate
from .settings import AcrossSettings, options_of

ACROSS = {"method": str, "training": str, "configuration": str, "seen": bool, "seed": int, "trained": int,
          "samples": int, "steps": int, "nmse": float}  # fmt: skip
"""One row for each model, way of training, configuration that is tested on, and seed: trained parameters, samples and
optimiser steps (federated: of all servers) of that training, error."""
ROUNDS = {"method": str, "seed": int, "round": int, "end_s": float, "loss": float, "up_bytes": int, "down_bytes": int}
"""One row for each federated round: simulated time at its end, training loss, bytes of all servers."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Do everything for each seed."""
    if config.threads:
        import torch

        torch.set_num_threads(config.threads)
    for seed in range(config.seed, config.seed + config.repeats):
        _Seed(config, seed, folder, progress).run()


class _Seed:
    """One seed: all models have the same samples, in the same order, with the same noise."""

    def __init__(self, config: Config, seed: int, folder: RunFolder, progress: Progress) -> None:
        """Draw the samples of all configurations."""
        self._config, self._seed, self._folder, self._progress = config, seed, folder, progress
        across = config.across
        methods = tuple(f"{name}-pooled" for name in across.models)
        self._models = Models(dataclasses.replace(config, methods=methods, across=AcrossSettings()))
        self._training: dict[str, Windows] = {}
        self._tests: dict[str, Windows] = {}
        for text in (*across.seen, *across.unseen):
            count = across.samples + config.test_samples
            windows = samples_of((config, seed, progress), text, count, options_of(text))
            self._training[text] = windows.take(np.arange(across.samples))
            self._tests[text] = windows.take(np.arange(across.samples, count))

    def run(self) -> None:
        """Train and test."""
        across = self._config.across
        for name in FIXED if self._config.window.duplex == "tdd" else ():
            predictor = prediction.make(name, self._config.window)
            self._test(name, "", predictor, self._tests, samples=0, steps=0)
        pooled = prediction.join([self._training[text] for text in across.seen])
        for name in across.models:
            steps = across.steps * len(across.seen)
            make = partial(self._models.make, name, self._seed)
            self._settings = with_rate(
                self._config,
                searched_rate(self._config, name, make, self._trainer, pooled, steps=across.steps, seed=self._seed),
            )
            one = self._trained(name, "one", make(), pooled, steps)
            self._test(name, "one", one, self._tests, samples=len(pooled), steps=steps)
            if across.federated:
                self._federated(name)
            for text in (*across.seen, *across.unseen):
                own = self._trained(name, f"own, {text}", make(), self._training[text], across.steps)
                self._test(name, "own", own, [text], samples=across.samples, steps=across.steps)
            for text in across.unseen if across.few else ():
                few = self._training[text].take(np.arange(min(across.few, across.samples)))
                for training, first in (("few", copy.deepcopy(one)), ("scratch", make())):
                    adapted = self._trained(name, f"{training}, {text}", first, few, across.few_steps)
                    self._test(name, training, adapted, [text], samples=len(few), steps=across.few_steps)

    def _trainer(self, predictor: Predictor, windows: Windows, settings: TrainingSettings) -> Trainer:
        return Trainer(predictor, windows, settings, seed=derive_seed(self._seed, "training across") % 2**63)

    def _trained(self, name: str, what: str, predictor: Predictor, windows: Windows, steps: int) -> Predictor:
        self._progress.begin(f"{name}: {what} (seed {self._seed})", steps, "steps")
        trainer = self._trainer(predictor, windows, self._settings)
        fit(trainer, steps, self._progress)
        return trainer.predictor

    def _federated(self, name: str) -> None:
        config, across = self._config, self._config.across
        trainers = [
            self._trainer(self._models.make(name, self._seed), self._training[text], self._settings)
            for text in across.seen
        ]
        model = self._models.make(name, self._seed)
        federation = prediction.Federation(model, trainers, RULES[config.aggregation])
        of_epoch = -(-across.samples // config.training.batch_size)
        rounds = max(1, round(across.steps / (of_epoch * config.local_epochs)))
        self._progress.begin(f"{name}: federated (seed {self._seed})", rounds, "rounds")
        table = self._folder.table("across_rounds", ROUNDS)

        def report(done: prediction.FederatedRound) -> None:
            row = {"end_s": done.end_s, "loss": done.loss, "up_bytes": done.up_bytes, "down_bytes": done.down_bytes}
            table.append({"method": name, "seed": self._seed, "round": done.round} | row)
            self._progress.step(done.round + 1, simulated_s=done.end_s, loss=done.loss)

        async def main(sim: cosim.Simulation) -> None:
            servers, (aggregator,) = needs(config).nodes(sim)
            await federated.run(
                sim, federation, clients=servers, server=aggregator, local_epochs=config.local_epochs,
                rounds=range(rounds), report=report,
            )  # fmt: skip

        label = f"{name}, federated, seed {self._seed}"
        config.network.simulate(main, needs(config), self._folder, label, seed=self._seed)
        steps = rounds * of_epoch * config.local_epochs * len(trainers)
        self._test(
            name, "federated", federation.model, self._tests, samples=across.samples * len(trainers), steps=steps
        )

    def _test(
        self, name: str, training: str, predictor: Predictor, texts: Iterable[str], *, samples: int, steps: int
    ) -> None:
        config = self._config
        trained = sum(parameter.numel() for parameter in predictor.trained().values())
        for text in texts:
            noise = derive_seed(self._seed, f"noise of test set {text}") % 2**63
            nmse = prediction.evaluate(predictor, self._tests[text], config.test_snr_db, seed=noise).mean_nmse
            self._folder.table("across", ACROSS).append(
                {"method": name, "training": training, "configuration": text, "seen": text in config.across.seen,
                 "seed": self._seed, "trained": trained, "samples": samples, "steps": steps, "nmse": nmse}
            )  # fmt: skip
