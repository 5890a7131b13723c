# SPDX-License-Identifier: GPL-2.0-only
"""A flat tensor in as many chunks as there are ranks."""

from __future__ import annotations

from torch import Tensor


def chunks(flat: Tensor, count: int) -> list[Tensor]:
    """`count` views of `flat`, one after another, whose lengths differ by at most one; the last ones may be empty."""
    short, more = divmod(flat.numel(), count)
    return list(flat.split([short + (place < more) for place in range(count)]))
