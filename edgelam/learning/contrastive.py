# SPDX-License-Identifier: GPL-2.0-only
"""Losses that align vectors of two modalities, and vectors with anchors of classes.

Shape suffixes: B samples, D width of the shared space, C classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(one_BD: Tensor, other_BD: Tensor, same_BB: Tensor, temperature: float) -> Tensor:
    """Return the symmetric InfoNCE loss (nats) of paired vectors, by the cosine of their angles.

    same_BB: bool, whether sample i of the one and j of the other are a match; true on the diagonal. With nothing else
    true, this is the loss of CLIP (A. Radford et al., arXiv 2103.00020). With several matches, it is the mean over them
    (P. Khosla et al., arXiv 2004.11362, equation 2).
    """
    cosine_BB = F.normalize(one_BD, dim=1) @ F.normalize(other_BD, dim=1).T / temperature
    return (_to_matches(cosine_BB, same_BB) + _to_matches(cosine_BB.T, same_BB.T)) / 2


def to_anchors(vectors_BD: Tensor, anchors_CD: Tensor, labels_B: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy (nats) of each vector's class, which anchors stand for, by cosine."""
    return F.cross_entropy(scores(vectors_BD, anchors_CD) / temperature, labels_B)


def scores(vectors_BD: Tensor, anchors_CD: Tensor) -> Tensor:
    """Return the cosine of each vector with each anchor, [B, C]."""
    return F.normalize(vectors_BD, dim=1) @ F.normalize(anchors_CD, dim=1).T


@torch.no_grad()
def retrieved(one_BD: Tensor, other_BD: Tensor, labels_B: Tensor) -> float:
    """Return the share of samples whose nearest vector of the other modality, by cosine, is of a sample of the same
    class."""
    nearest_B = scores(one_BD, other_BD).argmax(dim=1)
    return float((labels_B[nearest_B] == labels_B).double().mean())


def _to_matches(logits_BB: Tensor, same_BB: Tensor) -> Tensor:
    told_BB = F.log_softmax(logits_BB, dim=1).masked_fill(~same_BB, 0.0)
    return -(told_BB.sum(dim=1) / same_BB.sum(dim=1)).mean()
