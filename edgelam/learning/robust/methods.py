# SPDX-License-Identifier: GPL-2.0-only
"""The combinations by name."""

from __future__ import annotations

from edgelam.learning.robust import krum, median, norm_bound
from edgelam.learning.robust.updates import Combine

COMBINATIONS: dict[str, Combine] = {
    "median": median.combine, "krum": krum.combine, "norm-bound": norm_bound.combine,
}  # fmt: skip
