# SPDX-License-Identifier: GPL-2.0-only
"""What split fine-tuning tells about inputs: noise on the embeddings that leave a device, and an attack on them.

A token's embedding is a row of a public table, so the nearest row is the token. With `privacy.embedding_eta`, every row
gets noise (edgelam/learning/privacy/metric.py). A sample has the same noise each time it is sent: a server that saw it
with new noise in every epoch could average. Test samples get noise, too, as a user who asks the trained model sends
embeddings as well.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgelam.federated.records import LeakRecord
from edgelam.federated.samples import Batch, Samples
from edgelam.learning.privacy.metric import metric_noise
from edgelam.models.padding import pack
from edgelam.models.parts import TokenEmbedding
from edgelam.privacy.token_lookup import nearest, share_identified
from edgelam.random_streams import derive_seed, torch_generator

ATTACKED_TOKENS = 256
"""Tokens of each device that the attack tries to name."""


class InputNoise:
    """The noise of the samples of one device, or of the test set."""

    def __init__(self, eta: float, seed: int) -> None:
        """eta: per unit of distance between embeddings; seed: of the noise of all samples."""
        self.eta, self._seed = eta, seed

    def of(self, samples: NDArray[np.int64], lengths: Tensor, width: int) -> Tensor:
        """Return the noise of these samples' tokens, [T, width], the first sample's first. lengths: [B]."""
        parts = []
        for sample, length in zip(samples.tolist(), lengths.tolist(), strict=True):
            generator = torch_generator(derive_seed(self._seed, f"sample {sample}"))
            parts.append(metric_noise(length, width, self.eta, generator))
        return torch.cat(parts)

    def on(self, embedded_BLD: Tensor, batch: Batch) -> Tensor:
        """Return the embeddings of a batch with the noise of its samples at the tokens; differentiable."""
        noise_TD = self.of(batch.samples, batch.mask.sum(dim=1), embedded_BLD.shape[-1]).to(embedded_BLD.dtype)
        return embedded_BLD + embedded_BLD.new_zeros(embedded_BLD.shape).index_put((batch.mask,), noise_TD)


def embed(embedding: nn.Module, batch: Batch, noise: InputNoise | None) -> Tensor:
    """Return what leaves a device for a batch, [B, L, D]."""
    embedded = embedding(batch.inputs)
    return embedded if noise is None else noise.on(embedded, batch)


@torch.no_grad()
def attack(
    method: str, node: str, embedding: nn.Module, samples: Samples, noise: InputNoise | None
) -> LeakRecord | None:
    """Name tokens of a device's first samples by the nearest row of the table; None for inputs that are no tokens."""
    if not isinstance(embedding, TokenEmbedding):
        return None
    batches = [samples.batch(np.array([number])) for number in range(min(len(samples), ATTACKED_TOKENS))]
    seen = torch.cat([pack(embed(embedding, batch, noise), batch.mask) for batch in batches])[:ATTACKED_TOKENS]
    true = torch.cat([pack(batch.inputs, batch.mask) for batch in batches])[:ATTACKED_TOKENS]
    table = embedding(torch.arange(_rows(embedding))[None])[0]
    apart = torch.cdist(table[true.unique()].double(), table.double()).topk(2, dim=1, largest=False).values[:, 1]
    return LeakRecord(
        method, node, None if noise is None else noise.eta, 0.0 if noise is None else table.shape[1] / noise.eta,
        float(apart.mean()), len(true), share_identified(nearest(seen, table), true),
    )  # fmt: skip


def _rows(embedding: TokenEmbedding) -> int:
    return int(next(embedding.parameters()).shape[0])
