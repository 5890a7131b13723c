# SPDX-License-Identifier: GPL-2.0-only
"""The image decoder, trained on scikit-learn's digits (1,438 of 8 x 8 pixels); the rest is for measuring.

The weights that are kept are an exponential average over the steps (EMA). A run that was ended goes on from its last
checkpoint, to the same weights.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from edgelam.data import digits
from edgelam.data.task import split_train_test
from edgelam.learning.optimisers import make
from edgelam.modalities.bench import Bench
from edgelam.modalities.denoising import CLASSES, Denoiser, loss
from edgelam.modalities.resumed import resumed
from edgelam.random_streams import derive_seed, torch_generator, torch_seeded

STEPS, CHECKPOINT, BATCH = 4000, 500, 128
LEARNING_RATE, AVERAGE = 1e-3, 0.998


def parts() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Return the images [images, 8, 8] and digits of the training set, then of the test set."""
    pictures, labels = digits.images()
    train, test = split_train_test(labels, 0.2, 0)
    return pictures[train], labels[train], pictures[test], labels[test]


def empty() -> Denoiser:
    """Return a network of the right shape."""
    return Denoiser()


def fit(bench: Bench) -> tuple[Denoiser, dict[str, float]]:
    """Train the denoiser; the learning rate falls to zero linearly."""
    pictures, labels, _, _ = parts()
    clean_SX = torch.from_numpy(pictures).flatten(1)
    condition_SC = F.one_hot(torch.from_numpy(labels), CLASSES).float()
    with torch_seeded(derive_seed(bench.seed, "first weights of the denoiser") % 2**63):
        network, average = Denoiser(), Denoiser()
    average.load_state_dict(network.state_dict())
    optimiser = make("adamw", network.parameters(), LEARNING_RATE)
    both = nn.ModuleDict({"network": network, "average": average})
    for step in resumed(bench, both, optimiser, steps=STEPS, every=CHECKPOINT):
        generator = torch_generator(derive_seed(bench.seed, f"step {step} of the denoiser"))
        batch = torch.randint(len(clean_SX), (BATCH,), generator=generator)
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / STEPS)
        error = loss(network, clean_SX[batch], condition_SC[batch], generator)
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        with torch.no_grad():
            for kept, new in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(new, 1 - AVERAGE)
        if (step + 1) % CHECKPOINT == 0:
            bench.say(f"step {step + 1} of {STEPS}: loss {float(error.detach()):.3f}")
    return average.eval(), {"training samples": len(clean_SX), "steps": STEPS}
