# SPDX-License-Identifier: GPL-2.0-only
"""What gradient matching finds behind one sample's gradient of a real transformer: labels, unless there is noise.

A clip alone leaves the direction, and with it the label; tokens are not found in either case.
"""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from edgelam.federated import SplitFedFTSettings, prepare
from edgelam.models import LoraSettings
from edgelam.privacy.gradient_matching import match
from edgelam.privacy.token_lookup import nearest, share_identified
from edgelam.random_streams import torch_generator

SAMPLES, CLIP = 8, 0.5


@pytest.fixture(scope="module")
def setup(tiny_text_bert):
    settings = SplitFedFTSettings(
        backbone=str(tiny_text_bert), num_devices=3, partition="iid", lora=LoraSettings(rank=2), test_samples=20,
        max_tokens=12,
    )  # fmt: skip
    return prepare(settings, 1)


def attacked(setup, clip=None, noise_multiplier=0.0):
    """Return how many labels are named, and the share of tokens; clip: to this share of a gradient's length."""
    model = setup.unsplit().double().eval()
    generator = torch_generator(2)
    with torch.no_grad():
        for weight in model.encoder.lora.values():  # as if it were trained: fresh adapters have B = 0
            weight.normal_(std=0.3, generator=generator)
    trained = [*model.encoder.lora.values(), *model.head.parameters()]
    table = model.embedding(torch.arange(len(setup.backbone.token_table))[None])[0].detach()
    scale, num_classes = float(table.std()), setup.task.num_classes
    labels, tokens = 0, []
    for number in range(SAMPLES):
        batch = setup.shards[0].samples.batch(np.array([number]))

        def gradient(inputs, classes, mask=batch.mask):
            pooled = model.encoder.pool(model.encoder.hidden(inputs * scale, mask), mask)
            told = model.head.classify(pooled).log_softmax(dim=1)
            return torch.autograd.grad(-(classes * told).sum(), trained, create_graph=True)

        with sdpa_kernel(SDPBackend.MATH):  # the only one whose gradients have gradients
            embedded = model.embedding(batch.inputs) / scale
            seen = [part.detach() for part in gradient(embedded, torch.eye(num_classes).double()[batch.labels])]
            norm = float(sum(part.square().sum() for part in seen)) ** 0.5
            if clip is not None:
                noises = [torch.randn(part.shape, generator=generator, dtype=part.dtype) for part in seen]
                std = 2 * clip * norm * noise_multiplier
                seen = [clip * part + std * noise for part, noise in zip(seen, noises, strict=True)]
            found, classes = match(seen, gradient, embedded.shape, num_classes, steps=30, rate=0.1, seed=3)
        labels += int(classes.argmax() == batch.labels[0])
        tokens.append(share_identified(nearest(found[0] * scale, table), batch.inputs[0]))
    return labels, float(np.mean(tokens))


def test_labels_are_found_without_noise_even_behind_a_clip(setup):
    assert attacked(setup) == (SAMPLES, 0.0)
    assert attacked(setup, CLIP) == (SAMPLES, 0.0)


def test_little_noise_hides_them(setup):
    labels, _ = attacked(setup, CLIP, 0.1)
    assert labels <= SAMPLES // 3  # of 12 classes
