# SPDX-License-Identifier: GPL-2.0-only
"""An output projector: the backbone's state after "Draw the digit seven." to the share of each digit in a picture."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from edgelam.modalities.bench import Bench
from edgelam.modalities.language import WIDTH
from edgelam.modalities.module import text_to_bytes
from edgelam.modalities.projectors import OutputProjector, fit_output_projector
from edgelam.modalities.recipes.image_projector import DIGITS

TRAINED_REQUESTS = (
    "Draw the digit {}.",
    "Please paint a {}.",
    "I want a picture of {}.",
    "Show me how to write the number {}.",
    "Make an image of the number {}",
    "{}, please.",
    "Can you sketch a {} for me?",
)
TEST_REQUESTS = ("Please draw a {}.", "Paint the number {} for my son.", "Write a {} by hand.")


def requests(templates: tuple[str, ...]) -> tuple[list[str], list[int]]:
    """Return each request for each digit, in words and in figures, and the digits."""
    texts = [(form.format(name), digit) for form in templates for digit, word in enumerate(DIGITS)
             for name in (word, str(digit))]  # fmt: skip
    return [text for text, _ in texts], [digit for _, digit in texts]


def empty() -> OutputProjector:
    """Return a projector of the right shape."""
    return OutputProjector(WIDTH, len(DIGITS))


def fit(bench: Bench) -> tuple[OutputProjector, dict[str, float]]:
    """Read the backbone's states after the training requests, and fit the projector."""
    texts, labels = requests(TRAINED_REQUESTS)
    per_form, parts = 2 * len(DIGITS), []
    for at in range(0, len(texts), per_form):
        some = texts[at : at + per_form]
        parts.append(bench.keep(f"states-{at}", partial(_states, bench, some))["states"])
        bench.say(f"{at + len(some)} of {len(texts)} requests")
    projector = fit_output_projector(torch.cat(parts).numpy(), np.array(labels), len(DIGITS))
    return projector, {"training samples": len(texts)}


def _states(bench: Bench, texts: list[str]) -> dict[str, Tensor]:
    """Return ``states`` [requests, 576] of the backbone after requests."""
    prompt, backbone = bench.module("prompt-picture"), bench.module("smollm2-135m")
    found = [backbone.forward(prompt.forward({"request": text_to_bytes(text)}))["state"] for text in texts]
    return {"states": torch.stack(found)}
