# SPDX-License-Identifier: GPL-2.0-only
"""DINOv2's features of handwritten digits to two soft tokens, near the words "seven" and "odd", for example."""

from __future__ import annotations

from functools import partial

import torch

from edgelam.data.fetched import mnist
from edgelam.modalities.bench import Bench
from edgelam.modalities.image import FEATURES
from edgelam.modalities.language import WIDTH
from edgelam.modalities.projectors import InputProjector, fit_input_projector, word_embeddings

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARITY = ("even", "odd")
TRAINING, CHUNK = 400, 50
"""Images that are trained on, and how many are encoded before the results are kept."""


def empty() -> InputProjector:
    """Return a projector of the right shape."""
    return InputProjector(FEATURES, len(DIGITS), 2, WIDTH)


def fit(bench: Bench) -> tuple[InputProjector, dict[str, float]]:
    """Encode the training images, and fit the projector."""
    images, labels = mnist(part="train", count=TRAINING, seed=bench.seed)
    parts = []
    for at in range(0, TRAINING, CHUNK):
        chunk = torch.from_numpy(images[at : at + CHUNK])
        parts.append(bench.keep(f"features-{at}", partial(bench.image_features, chunk))["features"])
        bench.say(f"{at + len(chunk)} of {TRAINING} images")
    table, number = bench.word_table()
    words = word_embeddings(
        table, [(number[" " + word], number[" " + PARITY[digit % 2]]) for digit, word in enumerate(DIGITS)]
    )
    projector, accuracy = fit_input_projector(torch.cat(parts).numpy(), labels, words)
    return projector, {"training samples": TRAINING, "accuracy, each left out": accuracy}
