# SPDX-License-Identifier: GPL-2.0-only
"""Message passing among users: any number of them, and the same for all (after ENGNN and MPGNN, arXiv 2212.03645,
2007.07632, on the graph of users alone).

In each round, every user gets from every other one a message that depends on both and on their pair, and takes the
mean and the largest of the messages.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.learned.policy import EDGE_FEATURES, NODE_FEATURES, Policy
from edgelam.air.beamforming.learned.settings import PolicySettings
from edgelam.random_streams import torch_seeded


class Round(nn.Module):
    """One round of messages."""

    def __init__(self, width: int) -> None:
        """width: of what is known of a user."""
        super().__init__()
        self.message = nn.Sequential(nn.Linear(2 * width + EDGE_FEATURES, width), nn.GELU(), nn.Linear(width, width))
        self.update = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """[B, K, width], [B, K, K, 4] -> [B, K, width]."""
        users = x.shape[1]
        pairs = torch.cat([x[:, :, None].expand(-1, -1, users, -1), x[:, None].expand(-1, users, -1, -1), edges], -1)
        messages = self.message(pairs)
        self_pair = torch.eye(users, dtype=torch.bool, device=x.device)[:, :, None]
        mean = messages.masked_fill(self_pair, 0).sum(2) / max(users - 1, 1)
        largest = messages.masked_fill(self_pair, float("-inf")).amax(2) if users > 1 else torch.zeros_like(x)
        return self.norm(x + self.update(torch.cat([x, mean, largest], -1)))


class PreEncoder(nn.Module):
    """From features to what is known of each user, [B, K, width]."""

    def __init__(self, width: int, depth: int) -> None:
        """depth: rounds of messages."""
        super().__init__()
        self.begin = nn.Linear(NODE_FEATURES, width)
        self.rounds = nn.ModuleList(Round(width) for _ in range(depth))

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Features [B, K, 6], [B, K, K, 4] -> [B, K, width]."""
        x = self.begin(nodes)
        for each in self.rounds:
            x = each(x, edges)
        return x


def output(width: int) -> nn.Linear:
    """Return the last layer, changes of the logits of l and p for each user; it begins at zero: RZF."""
    layer = nn.Linear(width, 2)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Gnn(Policy):
    """Message passing, and a linear layer for each user."""

    def __init__(self, settings: PolicySettings, *, width: int | None = None, seed: int = 0) -> None:
        """width: if it is not that of the settings; seed: of all weights."""
        super().__init__()
        self.looks = settings.looks
        wide = settings.width if width is None else width
        with torch_seeded(seed):
            self.encoder = PreEncoder(wide, settings.depth)
            self.last = output(wide)

    def change(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Return by how much the logits of l and p change, [B, K, 2]."""
        changed: Tensor = self.last(self.encoder(nodes, edges))
        return changed


def of_size(settings: PolicySettings, trained: int, *, seed: int = 0) -> Gnn:
    """Return message passing with the width that brings its number of trained parameters closest to `trained`."""
    width = 1
    while Gnn(settings, width=2 * width).trained() < trained:
        width *= 2
    sizes = {wide: abs(Gnn(settings, width=wide).trained() - trained) for wide in range(width, 2 * width + 1)}
    return Gnn(settings, width=min(sizes, key=sizes.__getitem__), seed=seed)
