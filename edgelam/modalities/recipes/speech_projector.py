# SPDX-License-Identifier: GPL-2.0-only
"""Whisper's states of a spoken word, averaged, to one soft token near the embedding of that word.

The words are said by the voice, at several speeds and with noise.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from edgelam.modalities.bench import Bench
from edgelam.modalities.language import WIDTH
from edgelam.modalities.projectors import InputProjector, fit_input_projector, word_embeddings
from edgelam.modalities.speech import WIDTH as SPEECH_WIDTH
from edgelam.modalities.spoken import TRAINED_SPEEDS, WORDS, spoken_words


def empty() -> InputProjector:
    """Return a projector of the right shape."""
    return InputProjector(SPEECH_WIDTH, len(WORDS), 1, WIDTH)


def fit(bench: Bench) -> tuple[InputProjector, dict[str, float]]:
    """Say the words, encode them, and fit the projector."""
    spoken, labels = spoken_words(bench.module("piper-joe"), TRAINED_SPEEDS, bench.seed)  # type: ignore[arg-type]
    per_word = len(TRAINED_SPEEDS)
    parts = []
    for at in range(0, len(spoken), per_word):
        some = spoken[at : at + per_word]
        parts.append(bench.keep(f"features-{at}", partial(bench.speech_features, some))["features"])
        bench.say(f"{at // per_word + 1} of {len(WORDS)} words")
    table, number = bench.word_table()
    words = word_embeddings(table, [(number[" " + word],) for word in WORDS])
    projector, accuracy = fit_input_projector(torch.cat(parts).numpy(), np.array(labels), words)
    return projector, {"training samples": len(spoken), "accuracy, each left out": accuracy}
