# SPDX-License-Identifier: GPL-2.0-only
"""What the voice says: sentences, questions and words, for training and for measuring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgelam.modalities.speech import RATE
from edgelam.modalities.voicing import SpeechSynthesis, resampled, to_int16
from edgelam.random_streams import derive_seed, from_numbers

SENTENCES = (
    "Please open the window in the kitchen.",
    "The ambulance arrives in ten minutes.",
    "Two robots carry the long table.",
    "Drive slowly, the road is wet.",
    "The old bridge is closed today.",
    "Her blood pressure is too low.",
    "Move the box to the left side.",
    "There are many people on the square.",
    "The next train leaves at noon.",
    "Stop the machine and call for help.",
    "A truck is blocking the right lane.",
    "We need more light in this room.",
)

QUESTIONS = (
    ("What is the capital of France?", ("paris",)),
    ("How many days are in a week?", ("seven", "7")),
    ("What color is the sky on a clear day?", ("blue",)),
    ("What is the largest ocean on Earth?", ("pacific",)),
    ("What do bees make?", ("honey",)),
    ("What is the opposite of hot?", ("cold",)),
    ("Which planet is closest to the sun?", ("mercury",)),
    ("What is two plus two?", ("four", "4")),
    ("What language do people speak in Spain?", ("spanish",)),
    ("Which animal barks?", ("dog",)),
    ("What do we breathe?", ("air", "oxygen")),
    ("How many legs does a spider have?", ("eight", "8")),
)
"""Questions, and words of which a right answer has one."""

WORDS = (
    "left", "right", "stop", "go", "up", "down", "open", "close", "light", "door", "water", "help", "start", "back",
    "yes", "no",
)  # fmt: skip
"""Words that an assistant is told. Each is one token of the backbone, with the space before it."""

TRAINED_SPEEDS = (0.8, 0.9, 1.0, 1.12, 1.25)
TEST_SPEEDS = (0.85, 1.06, 1.18)
NOISE = 0.01
"""Standard deviation of the white noise that is added to a word, full scale being 1."""


def spoken_words(
    voice: SpeechSynthesis, speeds: tuple[float, ...], seed: int
) -> tuple[list[NDArray[np.int16]], list[int]]:
    """Return each word at each speed (of the whole voice: it also becomes higher or lower), with noise; and its number.

    speeds: 1 is the voice's own.
    """
    spoken, numbers = [], []
    for number, word in enumerate(WORDS):
        samples = voice.say(word + ".").astype(np.float32) / 32767.0
        for speed in speeds:
            rng = from_numbers(derive_seed(seed, f"noise of {word} at speed {speed}"))
            faster = resampled(samples, speed * RATE, RATE)
            spoken.append(to_int16(faster + (NOISE * rng.standard_normal(len(faster))).astype(np.float32)))
            numbers.append(number)
    return spoken, numbers


def word_error_rate(said: str, written: str) -> float:
    """Return substitutions, insertions and deletions for each word that was said; only letters and digits count."""
    right, found = _words(said), _words(written)
    row = list(range(len(found) + 1))
    for i, word in enumerate(right, start=1):
        above, row = row, [i]
        for j, other in enumerate(found, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
    return row[-1] / max(len(right), 1)


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c.isspace() else "" if c in "'’" else " " for c in text.lower()).split()
