# SPDX-License-Identifier: GPL-2.0-only
"""Attacks that a run of split fine-tuning makes on what its devices have sent, with the functions of edgelam.privacy.

Tokens: an embedding is a row of a public table, so the nearest row is the token. Labels: Jacobians of samples with the
same label point the same way, so they form groups. Both work with what the server has got, and with nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from edgelam.federated.inputs import InputNoise, embed
from edgelam.federated.records import LabelLeakRecord, LeakRecord
from edgelam.federated.samples import Batch, Samples
from edgelam.models.padding import pack
from edgelam.models.parts import TokenEmbedding
from edgelam.privacy.token_lookup import nearest, share_identified

ATTACKED_TOKENS = 256
"""Tokens of each device that the attack tries to name."""
ATTACKED_SAMPLES = 256
"""Samples of each device whose labels the attack groups, those of which it has sent Jacobians first."""


class SentJacobians:
    """The first Jacobians that a device has sent, one row for each sample, and the labels that they were to hide.

    Rows of zeros are left out: heads begin at zero, so the first ones tell nothing.
    """

    def __init__(self) -> None:
        """Nothing sent yet."""
        self.rows: list[Tensor] = []
        self.labels: list[Tensor] = []
        self._samples = 0

    def note(self, jacobian: Tensor, batch: Batch) -> None:
        """Note a batch's Jacobian, [B, D], or [T, D] for tokens, which are added up for each sample."""
        if self._samples >= ATTACKED_SAMPLES:
            return
        if len(jacobian) != len(batch):
            sample_T = torch.arange(len(batch)).repeat_interleave(batch.mask.sum(dim=1))
            jacobian = jacobian.new_zeros(len(batch), jacobian.shape[1]).index_add_(0, sample_T, jacobian)
        told = jacobian.any(dim=1).nonzero()[: ATTACKED_SAMPLES - self._samples, 0]
        self.rows.append(jacobian[told].detach())
        self.labels.append(batch.labels[told])
        self._samples += len(told)


@torch.no_grad()
def attack_tokens(
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


def attack_labels(method: str, sent: Iterable[SentJacobians], *, seed: int) -> LabelLeakRecord | None:
    """Group the Jacobians of all devices by direction, as many groups as there are labels; None if none was sent.

    Groups count as named as well as can be, so that even noise gives a little more than the largest label's share.
    """
    from edgelam.privacy.label_clusters import clusters, share_recovered  # here: scikit-learn takes a second

    kept = list(sent)
    if not any(len(row) for each in kept for row in each.rows):
        return None
    rows = torch.cat([row for each in kept for row in each.rows]).double().numpy()
    labels = torch.cat([part for each in kept for part in each.labels]).numpy()
    counts = np.bincount(labels)
    groups = clusters(rows, int((counts > 0).sum()), seed=seed % 2**31)
    return LabelLeakRecord(
        method, len(labels), int((counts > 0).sum()), float(counts.max() / len(labels)), share_recovered(groups, labels)
    )


def _rows(embedding: TokenEmbedding) -> int:
    return int(next(embedding.parameters()).shape[0])
