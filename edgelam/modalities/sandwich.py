# SPDX-License-Identifier: GPL-2.0-only
"""Training of nested models: in each step the whole model, the smallest one and one between, at all exits at once.

The whole model learns from labels, and everything else from labels and the whole model's answer (the sandwich rule of
"Universally Slimmable Networks", arXiv 1903.05134). Smaller widths compute with as many bits as are drawn, whose
rounding passes gradients on unchanged, so that few bits are trained for as well.

Shape suffixes: B batch, C classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.learning.optimisers import make
from edgelam.modalities.bench import Bench
from edgelam.modalities.resumed import resumed
from edgelam.models.nested.bit_planes import PLANES, rounded
from edgelam.models.nested.network import Change, Nested
from edgelam.models.nested.shape import PLANED
from edgelam.random_streams import derive_seed, torch_generator

Batch = tuple[Tensor, Tensor | None, Tensor]
"""Inputs, mask (or None) and labels int64 [B]."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How long and how fast."""

    steps: int
    checkpoint: int
    """Steps between two of what is kept, to go on from there."""
    rate: float = 2e-4
    """Learning rate of pre-trained weights at its highest; it rises for a twentieth of the steps, and falls to zero."""
    exit_rate: float = 2e-3
    """Of exits."""
    bits: tuple[int, ...] = (8, 4, 3, 2)
    """Bits that are drawn for smaller widths; 8: no rounding."""
    group: int = 64
    """Values that share a scale."""
    frozen: tuple[str, ...] = ("table",)
    """Tensors that are not trained."""


def fit(
    nested: Nested, batch_of: Callable[[torch.Generator], Batch], training: Training, bench: Bench
) -> Nested:  # fmt: skip
    """Train in place; goes on from what `bench` has kept, to the same weights."""
    exits = [p for name, part in nested.parts.items() if name.startswith("exit") for p in part.parameters()]
    known = {id(p) for p in exits}
    rest = []
    for name, parameter in nested.named_parameters():
        if name.rsplit(".", 1)[-1] in training.frozen:
            parameter.requires_grad_(False)
        elif id(parameter) not in known:
            rest.append(parameter)
    optimiser = make("adamw", [{"params": rest}, {"params": exits}], training.rate)  # type: ignore[list-item]
    for step in resumed(bench, nested, optimiser, steps=training.steps, every=training.checkpoint):
        generator = torch_generator(derive_seed(bench.seed, f"step {step} of a nested model"))
        rise = min(1.0, (step + 1) / max(1, training.steps // 20))
        fall = rise * (1 - step / training.steps)
        for group, rate in zip(optimiser.param_groups, (training.rate, training.exit_rate), strict=True):
            group["lr"] = rate * fall
        error = _step(nested, batch_of(generator), training, generator)
        nn.utils.clip_grad_norm_([*rest, *exits], 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if (step + 1) % training.checkpoint == 0:
            bench.say(f"step {step + 1} of {training.steps}: loss {error:.3f}")
    return nested.eval()


def rounding(bits: int, group: int) -> Change | None:
    """Return what computes with so many bits of each matrix, and passes gradients on unchanged."""
    if bits == PLANES:
        return None

    def change(part: str, name: str, tensor: Tensor) -> Tensor:
        return tensor + (rounded(tensor, bits, group) - tensor).detach() if name in PLANED else tensor

    return change


def _step(nested: Nested, batch: Batch, training: Training, generator: torch.Generator) -> float:
    """Add up gradients; return the loss of the whole model."""
    inputs, mask, labels = batch
    answers = nested(inputs, mask)
    *early, last = answers.values()
    loss = F.cross_entropy(last, labels)
    teacher = last.detach().softmax(dim=1)
    for logits in early:
        loss = loss + _both(logits, labels, teacher) / len(early)
    loss.backward()
    whole = nested.shape.widths - 1
    smaller = [0]
    if whole > 1:
        smaller.append(1 + int(torch.randint(whole - 1, (1,), generator=generator)))
    for width in smaller if whole else ():
        bits = training.bits[int(torch.randint(len(training.bits), (1,), generator=generator))]
        found = nested(inputs, mask, width=width, change=rounding(bits, training.group)).values()
        smaller_loss = sum((_both(logits, labels, teacher) for logits in found), start=torch.zeros(())) / len(found)
        smaller_loss.backward()
    return float(loss.detach())


def _both(logits_BC: Tensor, labels_B: Tensor, teacher_BC: Tensor) -> Tensor:
    """Return half the cross-entropy with the labels and half that with the whole model's answer."""
    return 0.5 * F.cross_entropy(logits_BC, labels_B) + 0.5 * F.cross_entropy(logits_BC, teacher_BC)
