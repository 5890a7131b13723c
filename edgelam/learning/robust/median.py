# SPDX-License-Identifier: GPL-2.0-only
"""The median of each number over devices (Yin et al., ICML 2018); of an even number of devices, the two in the middle
are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgelam.learning.robust.settings import RobustSettings
from edgelam.learning.robust.updates import Update


def combine(updates: Sequence[Update], settings: RobustSettings) -> tuple[dict[str, Tensor], list[int]]:
    """Return the median and all indices."""
    half = len(updates) // 2
    found = {}
    for name in updates[0]:
        ordered = torch.stack([update[name] for update in updates]).sort(dim=0).values
        found[name] = ordered[half] if len(updates) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return found, list(range(len(updates)))
