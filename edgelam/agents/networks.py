# SPDX-License-Identifier: GPL-2.0-only
"""Networks that treat all nodes alike (Zaheer et al., Deep Sets, arXiv 1703.06114), so any number of nodes will do.

The same parameters serve every node, every call and every station. What a node gets to know of the others is the mean
and the maximum over those that may be chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

HIDDEN = 32


class Scores(nn.Module):
    """A number for each node: a value, or a logit."""

    def __init__(self, rows: int, context: int) -> None:
        """rows, context: columns of an observation."""
        super().__init__()
        self.encoder = Encoder(rows, context)
        self.last = nn.Linear(HIDDEN, 1)

    def forward(self, rows: Tensor, context: Tensor, legal: Tensor) -> Tensor:
        """Return float32 [B, N] for rows [B, N, columns], context [B, columns] and legal, bool [B, N]."""
        scores: Tensor = self.last(self.encoder(rows, context, legal)).squeeze(-1)
        return scores


class Encoder(nn.Module):
    """What is known of each node and of its place among the others."""

    def __init__(self, rows: int, context: int) -> None:
        """rows, context: columns of an observation."""
        super().__init__()
        self.own, self.all = nn.Linear(rows, HIDDEN), nn.Linear(context, HIDDEN, bias=False)
        self.mix = Mix()

    def forward(self, rows: Tensor, context: Tensor, legal: Tensor) -> Tensor:
        """Return float32 [B, N, HIDDEN]."""
        mixed: Tensor = self.mix(torch.relu(self.own(rows) + self.all(context).unsqueeze(1)), legal)
        return mixed


class Mix(nn.Module):
    """A layer in which each node also gets the mean and the maximum over the legal ones."""

    def __init__(self) -> None:
        """Make the weights."""
        super().__init__()
        self.own, self.others = nn.Linear(HIDDEN, HIDDEN), nn.Linear(2 * HIDDEN, HIDDEN, bias=False)

    def forward(self, each: Tensor, legal: Tensor) -> Tensor:
        """Return float32 [B, N, HIDDEN] for each, not negative, of the same shape."""
        kept = each * legal.unsqueeze(-1)
        mean = kept.sum(1) / legal.sum(1, keepdim=True)
        pooled = torch.cat([mean, kept.amax(1)], -1)
        return torch.relu(self.own(each) + self.others(pooled).unsqueeze(1))


class Denoiser(nn.Module):
    """Says from noisy placement logits what they were before: the network of a diffusion policy.

    What is known of the state is encoded once for all steps of the chain.
    """

    def __init__(self, rows: int, context: int, steps: int) -> None:
        """rows, context: columns of an observation; steps: of the chain."""
        super().__init__()
        self.encoder = Encoder(rows, context)
        self.noisy, self.when = nn.Linear(1, HIDDEN, bias=False), nn.Embedding(steps, HIDDEN)
        self.own, self.others = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.last = nn.Linear(HIDDEN, 1)

    def encode(self, rows: Tensor, context: Tensor, legal: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is known of the state, float32 [B, N, HIDDEN], and each node's share of a mean, [B, 1, N]."""
        share = (legal / legal.sum(1, keepdim=True)).unsqueeze(1)
        return self.encoder(rows, context, legal), share

    def forward(self, encoded: Tensor, share: Tensor, noisy: Tensor, step: Tensor) -> Tensor:
        """Return the logits without noise, -1 to 1, float32 [B, N, 1].

        encoded, share: of `encode`; noisy: [B, N, 1], after `step` (int64, from 0: one for all, or [B]).
        """
        known = encoded + self.when(step).unsqueeze(-2)
        each = torch.relu(torch.addcmul(known, noisy, self.noisy.weight.T))
        mixed = torch.relu(self.own(each) + self.others(torch.bmm(share, each)))
        return torch.tanh(self.last(mixed))


def log_probabilities(logits: Tensor, legal: Tensor) -> Tensor:
    """Return log softmax over the legal nodes; very small elsewhere. float32 [B, N]."""
    return torch.log_softmax(logits.masked_fill(~legal, -1e9), -1)
