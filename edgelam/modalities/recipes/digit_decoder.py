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
from torch import Tensor

from edgelam.data import digits
from edgelam.data.task import split_train_test
from edgelam.learning.optimisers import make
from edgelam.modalities.bench import Bench
from edgelam.modalities.denoising import CLASSES, Denoiser, loss
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
    training, begin = _Training(bench.seed), 0
    for done in range(STEPS // CHECKPOINT * CHECKPOINT, 0, -CHECKPOINT):
        if (state := bench.kept(f"step-{done}")) is not None:
            training.load(state)
            begin = done
            break
    for step in range(begin, STEPS):
        generator = torch_generator(derive_seed(bench.seed, f"step {step} of the denoiser"))
        batch = torch.randint(len(clean_SX), (BATCH,), generator=generator)
        training.optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / STEPS)
        error = loss(training.network, clean_SX[batch], condition_SC[batch], generator)
        training.optimiser.zero_grad()
        error.backward()
        training.optimiser.step()
        with torch.no_grad():
            for kept, new in zip(training.average.parameters(), training.network.parameters(), strict=True):
                kept.lerp_(new, 1 - AVERAGE)
        if (step + 1) % CHECKPOINT == 0:
            bench.say(f"step {step + 1} of {STEPS}: loss {float(error.detach()):.3f}")
            bench.keep(f"step-{step + 1}", training.state)
    return training.average.eval(), {"training samples": len(clean_SX), "steps": STEPS}


class _Training:
    """What the next step needs: weights, their average, and the optimiser's state."""

    def __init__(self, seed: int) -> None:
        with torch_seeded(derive_seed(seed, "first weights of the denoiser") % 2**63):
            self.network, self.average = Denoiser(), Denoiser()
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = make("adamw", self.network.parameters(), LEARNING_RATE)

    def state(self) -> dict[str, Tensor]:
        """Return copies of all of it, by name."""
        state = {f"network {name}": value.clone() for name, value in self.network.state_dict().items()}
        state |= {f"average {name}": value.clone() for name, value in self.average.state_dict().items()}
        for number, values in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser {number} {name}": value.clone() for name, value in values.items()}
        return state

    def load(self, state: dict[str, Tensor]) -> None:
        """Take what `state` has returned."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimiser": {}}
        for name, value in state.items():
            part, rest = name.split(" ", 1)
            parts[part][rest] = value
        self.network.load_state_dict(parts["network"])
        self.average.load_state_dict(parts["average"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimiser"].items():
            number, field = name.split(" ")
            moments.setdefault(int(number), {})[field] = value
        self.optimiser.load_state_dict({"state": moments, "param_groups": self.optimiser.state_dict()["param_groups"]})
