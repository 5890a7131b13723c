# SPDX-License-Identifier: GPL-2.0-only
"""Noise on the embeddings that leave a device: what split fine-tuning otherwise tells about its inputs.

With `privacy.embedding_eta`, every row gets noise (edgelam/learning/privacy/metric.py). A sample has the same noise
each time it is sent: a server that saw it with new noise in every epoch could average. Test samples get noise, too, as
a user who asks the trained model sends embeddings as well. What the rows tell is measured in attacks.py.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgelam.federated.samples import Batch
from edgelam.learning.privacy.metric import metric_noise
from edgelam.random_streams import derive_seed, torch_generator


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
