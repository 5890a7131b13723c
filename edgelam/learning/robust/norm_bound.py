# SPDX-License-Identifier: GPL-2.0-only
"""The mean of updates, of which larger ones are scaled down to a norm (Sun et al., arXiv 1911.07963).

No device has more weight than the bound over the number of devices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgelam.learning.robust.settings import RobustSettings
from edgelam.learning.robust.updates import Update, mean, vector


def combine(updates: Sequence[Update], settings: RobustSettings) -> tuple[dict[str, Tensor], list[int]]:
    """Return the mean and all indices."""
    norms = torch.stack([vector(update).norm() for update in updates])
    bound = float(norms.quantile(0.5)) if settings.norm_bound is None else settings.norm_bound
    scales = [min(1.0, bound / norm) if norm > 0 else 1.0 for norm in norms.tolist()]
    return mean(updates, scales), list(range(len(updates)))
