# SPDX-License-Identifier: GPL-2.0-only
"""Which drafted tokens are kept: Y. Leviathan, M. Kalman, Y. Matias, ICML 2023 (arXiv 2211.17192), algorithm 1.

Token i is kept with probability min(1, p_i / q_i). At the first that is not, a token is drawn from max(p - q, 0),
normalised; if all are kept, one more is drawn from the target. What comes out has exactly the target's distribution.
With temperature 0, a token is kept if it is the target's likeliest, and the next is the likeliest.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of a draft."""

    kept: int
    """How many drafted tokens are kept."""
    token: int
    """The token that follows them."""


def distribution(logits: Tensor, temperature: float) -> Tensor:
    """Return probabilities, float64 [..., V]; with temperature 0, 1 for the likeliest token.

    Raises ConfigurationError for a negative or infinite temperature.
    """
    if not 0 <= temperature < float("inf"):
        raise ConfigurationError(f"temperature is {temperature}; legal is 0 (greedy) or more, finite")
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).double()
    return torch.softmax(logits.double() / temperature, -1)


def drawn(probabilities: Tensor, draw: np.random.Generator) -> int:
    """Draw a token from float64 [V], with one number of `draw`."""
    cumulative = probabilities.cumsum(0)
    place = torch.searchsorted(cumulative, draw.random() * float(cumulative[-1]), right=True)
    return min(int(place), int(probabilities.nonzero()[-1]))


def verify(draft: list[int], q_GV: Tensor, p_GV: Tensor, draw: np.random.Generator) -> Verdict:
    """Judge a draft of G tokens.

    q_GV: the distributions from which they were drawn, float64 [G, V]; p_GV: the target's, float64 [G + 1, V].
    """
    for i, token in enumerate(draft):
        p, q = float(p_GV[i, token]), float(q_GV[i, token])
        if draw.random() * q < p:
            continue
        rest = (p_GV[i] - q_GV[i]).clamp(min=0)
        return Verdict(i, drawn(rest if float(rest.sum()) > 0 else p_GV[i], draw))
    return Verdict(len(draft), drawn(p_GV[len(draft)], draw))
