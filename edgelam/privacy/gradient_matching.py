# SPDX-License-Identifier: GPL-2.0-only
"""The inputs behind a gradient: dummy inputs are moved until they make the gradient that was seen.

Zhu et al. (NeurIPS 2019) match gradients by their squared distance, Geiping et al. (NeurIPS 2020) by their direction,
which holds up better when gradients are small. Whoever sees the gradient of an un-split model, as the server of FedIT
does with one local step, can do that; labels are searched for with the inputs.

Shape suffixes: B samples, L tokens, F features, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.random_streams import torch_generator

Gradient = Callable[[Tensor, Tensor], Sequence[Tensor]]
"""(inputs [B, L, F], class probabilities [B, C]) -> gradients, differentiable by both."""


def match(
    seen: Sequence[Tensor], gradient: Gradient, shape: tuple[int, int, int], num_classes: int, *,
    steps: int, rate: float, seed: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return inputs [B, L, F] and class probabilities [B, C] whose gradient points where the seen one does.

    seen: the gradient, in the order in which `gradient` returns it; shape: (B, L, F); steps, rate: of Adam; seed: of
    the first guess. Raises ConfigurationError if the seen gradient is zero: nothing can be found from it.
    """
    if not any(bool(part.any()) for part in seen):
        raise ConfigurationError("the gradient is zero: no inputs can be found from it")
    generator = torch_generator(seed)
    inputs = torch.randn(shape, generator=generator, dtype=seen[0].dtype).requires_grad_(True)
    logits = torch.zeros(shape[0], num_classes, dtype=seen[0].dtype, requires_grad=True)
    optimiser = torch.optim.Adam([inputs, logits], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        _distance(seen, gradient(inputs, logits.softmax(dim=1))).backward()
        optimiser.step()
        schedule.step()
    return inputs.detach(), logits.detach().softmax(dim=1)


def _distance(seen: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """One minus the cosine of the angle between two gradients, each taken as one vector."""
    together = sum((one * other).sum() for one, other in zip(seen, made, strict=True))
    size = [sum(part.square().sum() for part in each) for each in (seen, made)]
    product = torch.as_tensor(size[0]) * torch.as_tensor(size[1])
    return 1 - torch.as_tensor(together) / product.clamp(min=torch.finfo(seen[0].dtype).tiny).sqrt()


def relative_error(found: Tensor, true: Tensor) -> float:
    """Return ||found - true|| / ||true|| of inputs [B, ...], with the samples in the order that fits best."""
    from scipy.optimize import linear_sum_assignment

    distances = torch.cdist(found.flatten(1).double(), true.flatten(1).double()).square()
    rows, columns = linear_sum_assignment(distances.numpy())
    return float((distances[rows, columns].sum() / true.double().square().sum()).sqrt())
