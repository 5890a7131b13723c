# SPDX-License-Identifier: GPL-2.0-only
"""Gradients of a small transformer's adapters give its inputs back, and noisy gradients do not."""

import pytest
import torch

from edgelam.errors import ConfigurationError
from edgelam.privacy.gradient_matching import match, relative_error

SHAPE, CLASSES = (1, 3, 4), 3


@pytest.fixture
def gradient():
    """Of a mixing of tokens, two layers with adapters of rank 4, and a head."""
    torch.manual_seed(3)
    weights = [torch.randn(n, m, dtype=torch.float64) / m**0.5 for n, m in ((16, 4), (16, 16), (CLASSES, 16))]
    a = torch.randn(4, 4, dtype=torch.float64).requires_grad_(True)
    b = (torch.randn(16, 4, dtype=torch.float64) / 4).requires_grad_(True)
    place = torch.randn(3, 4, dtype=torch.float64)

    def of(inputs, labels):
        hidden = (inputs + place) @ (weights[0] + b @ a).T
        hidden = torch.tanh(hidden) @ weights[1].T
        logits = torch.tanh(hidden).mean(dim=1) @ weights[2].T
        loss = -(labels * logits.log_softmax(dim=1)).sum(dim=1).mean()
        return torch.autograd.grad(loss, [a, b], create_graph=True)

    return of


def test_inputs_are_found_and_noise_hides_them(gradient):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    labels = torch.eye(CLASSES, dtype=torch.float64)[[1]]
    seen = [part.detach() for part in gradient(inputs, labels)]
    found, classes = match(seen, gradient, SHAPE, CLASSES, steps=500, rate=0.05, seed=2)
    again, _ = match(seen, gradient, SHAPE, CLASSES, steps=500, rate=0.05, seed=2)
    assert torch.equal(found, again)
    assert relative_error(found, inputs) < 0.1
    assert classes.argmax() == 1
    size = sum(part.square().sum() for part in seen).sqrt() / sum(part.numel() for part in seen) ** 0.5
    noisy = [part + 3 * size * torch.randn(part.shape, generator=generator, dtype=part.dtype) for part in seen]
    hidden, _ = match(noisy, gradient, SHAPE, CLASSES, steps=500, rate=0.05, seed=2)
    assert relative_error(hidden, inputs) > 0.5


def test_error_takes_the_best_order():
    true = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert relative_error(true.flip(0), true) == 0.0
    assert relative_error(torch.zeros(2, 2), true) == pytest.approx(1.0)


def test_a_zero_gradient_is_refused(gradient):
    with pytest.raises(ConfigurationError, match="gradient is zero"):
        match([torch.zeros(4, 4)], gradient, SHAPE, CLASSES, steps=1, rate=0.1, seed=1)
