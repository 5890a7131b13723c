# SPDX-License-Identifier: GPL-2.0-only
"""The head's running mean: what all samples share does not matter, and evaluation leaves it alone."""

import torch

from edgelam.models import Head, load_backbone

CLASSES, SAMPLES, STEPS = 3, 12, 30
MASK = torch.ones(SAMPLES, 1, dtype=torch.bool)


def trained(samples: torch.Tensor, labels: torch.Tensor) -> tuple[Head, float]:
    """A head trained for some steps on pooled representations [N, D], and its last loss (nats)."""
    head = Head(load_backbone(), CLASSES)
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=0.0)
    loss = torch.zeros(())
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(head(samples, MASK), labels)
        loss.backward()
        optimiser.step()
    return head, float(loss.detach())


def test_a_large_common_part_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(SAMPLES) % CLASSES
    samples = 0.1 * torch.randn(SAMPLES, 384, generator=generator)
    common = 3.0 * torch.randn(384, generator=generator)
    plain, plain_loss = trained(samples, labels)
    shifted, shifted_loss = trained(samples + common, labels)
    torch.testing.assert_close(shifted.classify(samples + common), plain.classify(samples), atol=1e-2, rtol=0)
    assert abs(plain_loss - shifted_loss) < 1e-3
    assert plain_loss < 0.1


def test_only_training_moves_the_mean() -> None:
    head = Head(load_backbone(), CLASSES)
    samples = torch.randn(SAMPLES, 384, generator=torch.Generator().manual_seed(2))
    head(samples, MASK)
    torch.testing.assert_close(head.centre, samples.mean(dim=0))
    before = head.centre.clone()
    head.classify(samples + 1.0)
    head.eval()(samples + 1.0, MASK)
    torch.testing.assert_close(head.centre, before, atol=0, rtol=0)
    assert head.centre.requires_grad is False
