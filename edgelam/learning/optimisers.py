# SPDX-License-Identifier: GPL-2.0-only
"""The optimisers, and how many tensors of state each keeps for each weight (for counting memory)."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

STATE_PER_WEIGHT = {"adamw": 2, "adam": 2, "sgd": 0}


def make(
    kind: str, parameters: Iterable[Parameter], learning_rate: float, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Make AdamW (arXiv 1711.05101; no weight decay) or Adam (arXiv 1412.6980), with betas 0.9 and 0.999, or plain SGD.

    fused: one kernel updates all parameters, which is faster and rounds differently.
    """
    fuse = True if fused else None
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, fused=fuse)
    if kind == "adam":
        return torch.optim.Adam(parameters, lr=learning_rate, fused=fuse)
    return torch.optim.SGD(parameters, lr=learning_rate, fused=fuse)


def divide_gradients(parameters: Iterable[Parameter], divisor: float) -> None:
    """Divide accumulated gradients in place; a weight without a gradient is not changed."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad /= divisor
