# SPDX-License-Identifier: GPL-2.0-only
"""Multi-Krum (Blanchard et al., NeurIPS 2017): the mean of the n - f updates with the best scores.

The score of an update is the sum of its squared distances to its n - f - 2 nearest others; f may be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.learning.robust.settings import RobustSettings
from edgelam.learning.robust.updates import Update, mean, vector


def combine(updates: Sequence[Update], settings: RobustSettings) -> tuple[dict[str, Tensor], list[int]]:
    """Return the mean of the updates that were kept, and their indices. Raises ConfigurationError for too few."""
    count, wrong = len(updates), settings.byzantine
    if count < wrong + 3:
        raise ConfigurationError(
            f"{count} updates with krum and byzantine {wrong}: a score needs byzantine + 3 of them; devices that drop "
            "out or send what is not finite count as missing; legal is a smaller byzantine"
        )
    vectors = torch.stack([vector(update) for update in updates])
    squared = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist").square()
    squared.fill_diagonal_(torch.inf)
    scores = squared.sort(dim=1).values[:, : count - wrong - 2].sum(dim=1)
    kept = sorted(torch.argsort(scores, stable=True)[: count - wrong].tolist())
    chosen = [updates[k] for k in kept]
    return mean(chosen, [1.0] * len(chosen)), kept
