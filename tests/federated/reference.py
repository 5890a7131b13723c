# SPDX-License-Identifier: GPL-2.0-only
"""The reference that split training must equal: the same model in one piece, plain autograd, a device at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.federated import RoundRecord, Setup, SplitFedFTSettings, prepare
from edgelam.federated.samples import Shard
from edgelam.models.parts import Encoder

STEPS = 20


@dataclass
class History:
    losses: list[float]
    lora: dict[str, Tensor]
    heads: list[dict[str, Tensor]]
    embeddings: list[dict[str, Tensor]]


def history(records: Sequence[object], encoder: Encoder, devices: Iterable[Any]) -> History:
    """What a run has learnt, from what it reported, the server's encoder and the devices."""
    devices = list(devices)
    return History(
        [record.loss for record in records if isinstance(record, RoundRecord)],
        dict(encoder.lora),
        [dict(device.head.state_dict()) for device in devices],
        [dict(device.embedding.state_dict()) for device in devices],
    )


def float64_setup(settings: SplitFedFTSettings) -> Setup:
    """A setup whose backbone computes in float64, and whose shards give 5, 3 and 2 samples a batch."""
    setup = prepare(settings, seed=3)
    setup.backbone.model.double()
    shards = tuple(
        Shard(shard.samples, batch_size=size, accumulation=settings.accumulation, seed=(9, device))
        for device, (shard, size) in enumerate(zip(setup.shards, (5, 3, 2), strict=True))
    )
    return replace(setup, shards=shards)


def unsplit(setup: Setup) -> History:
    """The same model in one piece: a device at a time, its mean gradient weighted by samples; plain autograd only."""
    settings = setup.settings
    encoder = setup.encoder()
    heads = [setup.head() for _ in setup.shards]
    embeddings = [setup.embedding() for _ in setup.shards]
    make = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.SGD
    lora_optimiser = make(encoder.lora.values(), lr=settings.learning_rate, weight_decay=0.0)
    head_optimisers = [make(head.parameters(), lr=settings.head_learning_rate, weight_decay=0.0) for head in heads]
    embedding_optimisers = [
        make(embedding.parameters(), lr=settings.embedding_learning_rate, weight_decay=0.0) for embedding in embeddings
    ]
    losses = []
    for step in range(STEPS):
        average = {name: torch.zeros_like(parameter) for name, parameter in encoder.lora.items()}
        batches = [[s.batch(step, part) for part in range(settings.accumulation)] for s in setup.shards]
        sizes = [sum(len(batch) for batch in parts) for parts in batches]
        loss_mean = 0.0
        for k, parts in enumerate(batches):
            # the device's mean loss over all its samples of this step
            loss = torch.zeros((), dtype=torch.float64)
            for batch in parts:
                logits = heads[k](encoder(embeddings[k](batch.inputs), batch.mask), batch.mask)
                loss = loss + F.cross_entropy(logits, batch.labels, reduction="sum") / sizes[k]
            trained = [*encoder.lora.values(), *heads[k].parameters()]
            if settings.train_embedding:
                trained += embeddings[k].parameters()
            gradients = torch.autograd.grad(loss, trained)
            weight = sizes[k] / sum(sizes)
            loss_mean += float(loss.detach()) * weight
            for name, gradient in zip(encoder.lora, gradients, strict=False):
                average[name] += weight * gradient
            for parameter, gradient in zip(trained[len(encoder.lora) :], gradients[len(encoder.lora) :], strict=True):
                parameter.grad = gradient
        for name, parameter in encoder.lora.items():
            parameter.grad = average[name]
        for optimiser in (lora_optimiser, *head_optimisers, *embedding_optimisers):
            optimiser.step()
            optimiser.zero_grad()
        if settings.head_averaging == "server":
            average_modules(heads, sizes)
        losses.append(loss_mean)
    return History(
        losses,
        dict(encoder.lora),
        [dict(head.state_dict()) for head in heads],
        [dict(embedding.state_dict()) for embedding in embeddings],
    )


def average_modules(modules: Sequence[nn.Module], sizes: list[int]) -> None:
    """Replace all modules' weights (and the heads' running means) by their average, weighted by `sizes`."""
    with torch.no_grad():
        for weights in zip(*(module.state_dict().values() for module in modules), strict=True):
            mean = sum((size * weight for size, weight in zip(sizes, weights, strict=True)), start=torch.zeros(()))
            for weight in weights:
                weight.copy_(mean / sum(sizes))


def assert_same(one: History, other: History) -> None:
    np.testing.assert_allclose(one.losses, other.losses, rtol=0, atol=1e-10)
    pairs = [(one.lora, other.lora), *zip(one.heads, other.heads, strict=True)]
    pairs += zip(one.embeddings, other.embeddings, strict=True)
    for mine, theirs in pairs:
        assert list(mine) == list(theirs)
        for name in mine:
            torch.testing.assert_close(mine[name], theirs[name], rtol=0, atol=1e-10)
