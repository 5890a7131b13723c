# SPDX-License-Identifier: GPL-2.0-only
"""Texts and labels behind gradients: what a server of an un-split method could read from one local step on one sample.

The server of FedIT sees how adapters and head of a device have moved: after one step, their gradient. Embeddings are
moved until they make the same gradient (edgelam/privacy/gradient_matching.py), and the nearest rows of the public table
are the tokens. In split fine-tuning no such attack is needed: embeddings are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from edgelam.federated import Setup
from edgelam.models import TokenEmbedding, Unsplit
from edgelam.privacy.gradient_matching import match
from edgelam.privacy.token_lookup import nearest, share_identified
from edgelam.random_streams import derive_seed, torch_generator

MATCHED = {"method": str, "noise": float, "samples": int, "tokens": int, "recovered": float, "labels": float}
SAMPLES, RATE = 4, 0.1
NOISES = (0.0, 1.0)
"""Norm of the noise on a gradient, as a share of the gradient's own."""


def matched_of(setup: Setup, model: Unsplit, device: int, steps: int) -> list[dict[str, Any]]:
    """Attack the gradients of a device's first samples, one at a time, at a trained model, without and with noise.

    steps: of Adam. No rows for inputs that are no tokens.
    """
    if not isinstance(model.embedding, TokenEmbedding):
        return []
    model.encoder.eval()
    table = model.embedding(torch.arange(len(setup.backbone.token_table))[None])[0].detach()
    samples = setup.shards[device].samples
    scale = float(table.std())
    trained = [p for p in (*model.encoder.lora.values(), *model.head.parameters()) if p.requires_grad]
    rows = []
    for noise in NOISES:
        named, tokens, right, count = 0.0, 0, 0, min(SAMPLES, len(samples))
        for number in range(count):
            batch = samples.batch(np.array([number]))

            def gradient(inputs: Tensor, classes: Tensor, mask: Tensor = batch.mask) -> Sequence[Tensor]:
                pooled = model.encoder.pool(model.encoder.hidden(inputs * scale, mask), mask)
                told = model.head.classify(pooled).log_softmax(dim=1)  # type: ignore[operator]
                return torch.autograd.grad(-(classes * told).sum(dim=1).mean(), trained, create_graph=True)

            seed = derive_seed(setup.seed, f"matching of sample {number}")
            classes = torch.eye(setup.task.num_classes, dtype=table.dtype)[batch.labels]
            with sdpa_kernel(SDPBackend.MATH):  # the only one whose gradients have gradients
                true = [part.detach() for part in gradient(model.embedding(batch.inputs) / scale, classes)]
                seen = _noisy(true, noise, seed)
                shape = (1, batch.shape[1], table.shape[1])
                found, told = match(seen, gradient, shape, setup.task.num_classes, steps=steps, rate=RATE, seed=seed)
            named += len(batch.inputs[0]) * share_identified(nearest(found[0] * scale, table), batch.inputs[0])
            tokens += len(batch.inputs[0])
            right += int(told.argmax() == batch.labels[0])
        rows.append(
            {"noise": noise, "samples": count, "tokens": tokens, "recovered": named / tokens, "labels": right / count}
        )
    return rows


def _noisy(parts: Sequence[Tensor], share: float, seed: int) -> list[Tensor]:
    """Return a gradient with Gaussian noise whose norm is about a share of its own."""
    generator = torch_generator(derive_seed(seed, "noise"))
    count = sum(part.numel() for part in parts)
    size = float(sum(part.square().sum() for part in parts)) ** 0.5 / count**0.5
    return [part + share * size * torch.randn(part.shape, generator=generator, dtype=part.dtype) for part in parts]
