# SPDX-License-Identifier: GPL-2.0-only
"""Trains a predictor and a precoder in four ways, and says how good, how large and how far to send they are.

    adapters   one frozen backbone in memory; each task has adapters, a pre-encoder and heads of its own
    joint      the same, but the two tasks train the same adapters, in turn
    full       two backbones, all weights of which are trained, one for each task
    small      no backbone: a CNN and a GNN with as many trained parameters as those of `adapters`

All ways have the same samples, channels and numbers of steps. LayerNorms and positions stay frozen where adapters are
trained, so that the backbone is one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from edgelam.air import beamforming, prediction
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.learned import training as beam_training
from edgelam.air.beamforming.learned.ascent import LARGEST_GRADIENT
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import Kind, PolicySettings
from edgelam.air.beamforming.learned.settings import TrainingSettings as BeamTraining
from edgelam.air.prediction import Trainer
from edgelam.models.sharing import held_bytes, share_frozen, tie_adapters, trained_bytes
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder

from ..config import EQUAL, Config
from ..context import Models
from ..data import samples_of
from .settings import TasksSettings

TASKS = {"method": str, "seed": int, "nmse": float, "rate": float, "of_wmmse": float, "held_bytes": int,
         "sent_bytes": int, "trained": int}  # fmt: skip
"""One row for each way and seed: error of prediction; sum rate of beamforming in bit/s/Hz, and its share of WMMSE's;
bytes in the memory of a node that has both tasks; bytes that bring both tasks to a node that has the pre-trained
backbone; trained parameters of both."""
WAYS: dict[str, tuple[str, Kind]] = {
    "adapters": ("lam", "graph-lam"), "joint": ("lam", "graph-lam"), "full": ("lam-full", "graph-lam-full"),
    "small": (EQUAL, "gnn"),
}  # fmt: skip
SNR_DB = 10.0


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Train and test all ways for each seed."""
    if config.threads:
        torch.set_num_threads(config.threads)
    tasks = config.tasks
    lam = dataclasses.replace(config.lam, train_norms=False)
    methods = tuple(f"{model}-pooled" for model, _ in WAYS.values())
    models = Models(dataclasses.replace(config, lam=lam, tasks=TasksSettings(), methods=tuple(dict.fromkeys(methods))))
    policy = PolicySettings(backbone=config.backbone, layers=config.lam.layers, lora=config.lam.lora)
    for seed in range(config.seed, config.seed + config.repeats):
        count = tasks.samples + config.test_samples
        windows = samples_of((config, seed, progress), "CSI", count, {})
        known, test = windows.take(np.arange(tasks.samples)), windows.take(np.arange(tasks.samples, count))
        channel = beamforming.iid(
            config.test_samples, tasks.users, tasks.users, seed=derive_seed(seed, "channels of the test")
        )
        problem = Downlink(channel, 10 ** (SNR_DB / 10))
        best = float(problem.weighted_sum_rate(beamforming.wmmse(problem)).mean())
        for way, (model, kind) in WAYS.items():
            predictor = models.make(model, seed)
            precoder = beam_training.make(kind, policy, seed=derive_seed(seed, f"weights of {kind}") % 2**31)
            if way == "joint":
                tie_adapters(_backbone(predictor), _backbone(precoder))
            if way in ("adapters", "joint"):
                share_frozen((predictor, precoder))
            progress.begin(f"{way}, seed {seed}", tasks.steps, "steps")
            trainer = Trainer(predictor, known, config.training, seed=derive_seed(seed, "training") % 2**63)
            for step, _ in enumerate(zip(_predicting(trainer), _precoding(precoder, tasks, seed), strict=False), 1):
                progress.step(step)
                if step == tasks.steps:
                    break
            noise = derive_seed(seed, "noise of the test") % 2**63
            nmse = prediction.evaluate(predictor, test, config.test_snr_db, seed=noise).mean_nmse
            with torch.no_grad():
                rate = float(problem.weighted_sum_rate(precoder.eval()(problem)).mean())
            both = (predictor, precoder)
            sent = trained_bytes(both)
            folder.table("tasks", TASKS).append(
                {"method": way, "seed": seed, "nmse": nmse, "rate": rate, "of_wmmse": rate / best,
                 "held_bytes": held_bytes(both), "sent_bytes": sent, "trained": sent // 4}
            )  # fmt: skip


def _backbone(model: nn.Module) -> nn.Module:
    backbone = model.inner.backbone if isinstance(model, prediction.Continued) else model.backbone
    assert isinstance(backbone, nn.Module)
    return backbone


def _predicting(trainer: Trainer) -> Iterator[float]:
    """One step of prediction for each item, without end."""
    epoch = 0
    while True:
        for past, future in trainer.batches(epoch):
            yield trainer.step(past, future)
        epoch += 1


def _precoding(policy: Policy, tasks: TasksSettings, seed: int) -> Iterator[float]:
    """One step of beamforming for each item, as `beamforming.learned.training` does them, at a constant rate."""
    settings = BeamTraining(steps=tasks.steps, batch_size=tasks.batch_size, learning_rate=tasks.learning_rate)
    own = [
        p for name, p in policy.named_parameters() if p.requires_grad and "backbone." in name and "lora_" not in name
    ]
    others = [p for p in policy.parameters() if p.requires_grad and all(p is not each for each in own)]
    slow = beam_training.BACKBONE_SHARE * tasks.learning_rate
    optimiser = torch.optim.Adam([{"params": others, "lr": tasks.learning_rate}, {"params": own, "lr": slow}])
    for problem in beam_training.problems(settings, derive_seed(seed, "training of beamforming")):
        policy.train()
        optimiser.zero_grad()
        value = beam_training.objective(problem, policy(problem), settings).mean()
        (-value).backward()
        nn.utils.clip_grad_norm_([*own, *others], LARGEST_GRADIENT)
        optimiser.step()
        yield value.item()
