# SPDX-License-Identifier: GPL-2.0-only
"""The optimisers offered, and how many tensors of state each keeps per weight (for the memory count)."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

STATE_PER_WEIGHT = {"adamw": 2, "sgd": 0}


def make(kind: str, parameters: Iterable[Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """AdamW (arXiv 1711.05101; betas 0.9 and 0.999, no weight decay) or plain SGD."""
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    return torch.optim.SGD(parameters, lr=learning_rate)


def divide_gradients(parameters: Iterable[Parameter], divisor: float) -> None:
    """Divide accumulated gradients in place; a weight that got none is left alone."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad /= divisor
