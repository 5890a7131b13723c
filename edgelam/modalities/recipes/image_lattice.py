# SPDX-License-Identifier: GPL-2.0-only
"""DINOv2-small as a nested model on MNIST: 3 depths and 3 widths, trained from its pre-trained weights."""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.data.fetched import mnist
from edgelam.modalities import pretrained
from edgelam.modalities.bench import Bench
from edgelam.modalities.sandwich import Batch, Training
from edgelam.modalities.sandwich import fit as train
from edgelam.models.images import prepared
from edgelam.models.nested import Nested, of_dinov2

TRAINING = Training(steps=480, checkpoint=20, rate=1e-4, frozen=())
BATCH, PIXELS, CLASSES = 16, 56, 10
IMAGES = 4000
EXITS, SHARES = (4, 8, 12), ((2, 512), (4, 1024), (6, 1536))


def empty() -> Nested:
    """Return a network of the right shape."""
    from transformers import Dinov2Model

    return of_dinov2(pretrained.load("dinov2-small", Dinov2Model), CLASSES, EXITS, SHARES, PIXELS)


def held_out(count: int, seed: int = 0) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return inputs, no mask, and the digits of so many images of the test part."""
    images, labels = mnist("test", count, seed=seed)
    return prepared(torch.from_numpy(images), PIXELS), None, torch.from_numpy(labels)


def fit(bench: Bench) -> tuple[Nested, dict[str, float]]:
    """Train on the training part."""
    drawn, digits = mnist("train", IMAGES, seed=bench.seed)
    images, labels = torch.from_numpy(drawn), torch.from_numpy(digits)

    def batch_of(generator: torch.Generator) -> Batch:
        chosen = torch.randint(len(images), (BATCH,), generator=generator)
        return prepared(images[chosen], PIXELS), None, labels[chosen]

    return train(empty(), batch_of, TRAINING, bench), {"training samples": IMAGES, "steps": TRAINING.steps}
