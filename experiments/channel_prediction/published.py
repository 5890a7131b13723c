# SPDX-License-Identifier: GPL-2.0-only
"""LLM4CP's errors over speed beside those of a run: the orders of the models, and where they are the other way round.

Read off the figure of arXiv 2406.14440 (TDD), within 3 %. Their channel is that of QuaDRiGa, with 9,000 samples of 32
antennas.
"""

from __future__ import annotations

import itertools

import pandas as pd

SPEEDS_KMH = (10, 30, 50, 70, 100)
NMSE = {
    "lam": (0.021, 0.025, 0.029, 0.039, 0.058),
    "cnn": (0.029, 0.032, 0.038, 0.051, 0.082),
    "transformer": (0.032, 0.035, 0.043, 0.057, 0.089),
    "gru": (0.060, 0.056, 0.061, 0.082, 0.099),
    "lstm": (0.081, 0.067, 0.071, 0.090, 0.117),
    "rnn": (0.175, 0.108, 0.109, 0.120, 0.213),
    "prony": (0.082, 0.145, 0.172, 0.234, 0.182),
    "hold-last": (0.066, 0.259, 0.593, 1.02, 1.67),
}
READ_WITHIN = 0.03


def beside(ours: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each published speed that `ours` has: both orders, best first, and pairs that are inverted.

    ours: columns model, speed_kmh, nmse (a mean). A pair that the figure does not tell apart is not inverted.
    """
    found = []
    for place, speed in enumerate(SPEEDS_KMH):
        here = ours[ours["speed_kmh"] == speed].set_index("model")["nmse"]
        both = [model for model in NMSE if model in here]
        if len(both) < 2:
            continue
        there = {model: NMSE[model][place] for model in both}
        inverted = [
            f"{better} / {worse}"
            for better, worse in itertools.permutations(both, 2)
            if there[better] * (1 + 2 * READ_WITHIN) < there[worse] and here[better] > here[worse]
        ]
        found.append(
            {"speed_kmh": speed, "published": ", ".join(sorted(both, key=lambda model: there[model])),
             "here": ", ".join(sorted(both, key=lambda model: here[model])), "inverted": ", ".join(inverted)}
        )  # fmt: skip
    return pd.DataFrame(found, columns=["speed_kmh", "published", "here", "inverted"])
