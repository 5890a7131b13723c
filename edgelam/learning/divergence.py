# SPDX-License-Identifier: GPL-2.0-only
"""Ends a run that has diverged: the accuracy of a model with NaN means nothing, since argmax over NaN is class 0."""

import math

import torch
from torch import Tensor

from edgelam.errors import Diverged


def refuse_divergence(value: float | Tensor, what: str, advice: str) -> None:
    """Raise Diverged if a value, or any element of a tensor, is NaN or infinite.

    what: named in the error; advice: its last sentence, which says what may help (for example smaller rates).
    """
    if math.isfinite(value) if isinstance(value, float) else bool(torch.isfinite(value).all()):
        return
    shown = f"is {value}" if isinstance(value, float) else "holds NaN or infinite values"
    raise Diverged(f"the learning diverged: {what} {shown}. {advice}")
