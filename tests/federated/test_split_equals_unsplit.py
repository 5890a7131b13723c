# SPDX-License-Identifier: GPL-2.0-only
"""The proof that the learning is the learning: split training equals un-split training on the averaged gradients.

In float64 without dropout, over 20 steps, with unequal batches and gradient accumulation, to 1e-10.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from edgelam.federated import Setup, SplitFedFTSettings, prepare
from edgelam.federated.samples import Shard
from edgelam.federated.split_fedft import Device, Server
from edgelam.models import LoraSettings
from edgelam.models.padding import pack

STEPS = 20
TEXT = "text"


@dataclass
class History:
    losses: list[float]
    lora: dict[str, Tensor]
    heads: list[dict[str, Tensor]]
    embeddings: list[dict[str, Tensor]]


def float64_setup(settings: SplitFedFTSettings) -> Setup:
    """A setup whose backbone computes in float64, and whose shards give 5, 3 and 2 samples a batch."""
    setup = prepare(settings, seed=3)
    setup.backbone.model.double()
    shards = tuple(
        Shard(shard.samples, batch_size=size, accumulation=settings.accumulation, seed=(9, device))
        for device, (shard, size) in enumerate(zip(setup.shards, (5, 3, 2), strict=True))
    )
    object.__setattr__(setup, "shards", shards)
    return setup


def split(setup: Setup) -> History:
    """Devices and server by hand, no network."""
    settings = setup.settings
    devices = {
        f"ue{k}": Device(setup.embedding(), setup.head(), shard, settings) for k, shard in enumerate(setup.shards)
    }
    server = Server(setup.encoder(), settings)
    losses = []
    for step in range(STEPS):
        loss_sum, samples = 0.0, 0
        for part in range(settings.accumulation):
            batches = {name: device.shard.batch(step, part) for name, device in devices.items()}
            representations = server.represent({name: devices[name].embed(batches[name]) for name in devices})
            jacobians = {}
            for name, device in devices.items():
                loss, jacobians[name] = device.loss_and_jacobian(representations[name], batches[name])
                loss_sum += loss * len(batches[name])
                samples += len(batches[name])
            for name, gradient in server.backward(jacobians).items():
                devices[name].accept_embedding_gradient(gradient, batches[name])
        for device in devices.values():
            device.update()
        server.update()
        losses.append(loss_sum / samples)
    return History(
        losses,
        dict(server.encoder.lora),
        [dict(device.head.state_dict()) for device in devices.values()],
        [dict(device.embedding.state_dict()) for device in devices.values()],
    )


def unsplit(setup: Setup) -> History:
    """The same model in one piece: a device at a time, its mean gradient weighted by its samples; plain autograd only."""
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
        losses.append(loss_mean)
    return History(
        losses,
        dict(encoder.lora),
        [dict(head.state_dict()) for head in heads],
        [dict(embedding.state_dict()) for embedding in embeddings],
    )


def assert_same(one: History, other: History) -> None:
    np.testing.assert_allclose(one.losses, other.losses, rtol=0, atol=1e-10)
    pairs = [(one.lora, other.lora), *zip(one.heads, other.heads, strict=True)]
    pairs += zip(one.embeddings, other.embeddings, strict=True)
    for mine, theirs in pairs:
        assert list(mine) == list(theirs)
        for name in mine:
            torch.testing.assert_close(mine[name], theirs[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
@pytest.mark.parametrize("train_embedding", [False, True])
@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_gpt2"])
def test_split_equals_unsplit(
    model: str, accumulation: int, train_embedding: bool, cut: str, token_file: Path, request: pytest.FixtureRequest
) -> None:
    settings = SplitFedFTSettings(
        task=str(token_file), num_devices=3, partition="iid", backbone=str(request.getfixturevalue(model)),
        cut=cut, train_embedding=train_embedding, accumulation=accumulation, lora=LoraSettings(rank=2),
        optimiser="adamw", learning_rate=1e-2,
    )  # fmt: skip
    setup = float64_setup(settings)
    one = split(setup)
    assert_same(one, unsplit(setup))
    fresh = setup.encoder().lora
    assert all(not torch.equal(one.lora[name], fresh[name]) for name in fresh), "every adapter has moved"
    assert np.mean(one.losses[-5:]) < np.mean(one.losses[:5]), "the loss has fallen"


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
def test_split_equals_unsplit_on_text_of_uneven_length(cut: str) -> None:
    settings = SplitFedFTSettings(
        num_devices=3, partition="dirichlet", cut=cut, accumulation=2, max_tokens=12, optimiser="sgd", learning_rate=0.1
    )  # fmt: skip
    setup = float64_setup(settings)
    batch = setup.shards[0].batch(0, 0)
    assert not bool(batch.mask.all()), "the proof needs padding"
    assert pack(batch.inputs, batch.mask).ndim == 1
    assert_same(split(setup), unsplit(setup))
