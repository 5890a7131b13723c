# SPDX-License-Identifier: GPL-2.0-only
"""The tables of rates, training curves and policies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from edgelam.runs import RunFolder

T = TypeVar("T")

RATES = {"method": str, "test": str, "seed": int, "rate": float, "least": float, "decision_ms": float}
"""One row for each method, test set and seed: means over channels of the sum rate and of the least rate of a user, in
bit/s/Hz; processor time per channel, in a batch."""
CURVES = {"method": str, "seed": int, "step": int, "rate": float}
"""One row a part of a training: the mean rate of its batches."""
POLICIES = {"method": str, "seed": int, "trained": int, "train_s": float}
"""One row a policy: how many parameters are trained, of four bytes each, and processor time of their training."""
ENERGY = {"method": str, "test": str, "seed": int, "efficiency": float, "rate": float, "radiated_w": float}
"""One row for each method: mean bit/J per Hz, bit/s/Hz and radiated W."""
SENSING = {"method": str, "seed": int, "share": float, "rate": float, "error": float, "least_error": float,
           "value": float}  # fmt: skip
"""One row for each method and share of sensing: sum rate in bit/s/Hz, error of the beam pattern, the least error of any
covariance, and what was made large (the rate as a share of WMMSE's)."""


class Rates:
    """Rows of table `rates` for one seed."""

    def __init__(self, folder: RunFolder, seed: int, samples: int) -> None:
        """samples: channels of a test."""
        self._table = folder.table("rates", RATES)
        self._seed, self._samples = seed, samples

    def add(self, test: str, method: str, decide: Callable[[], T], rates: Callable[[T], Tensor]) -> None:
        """Judge a method. decide: what takes time; rates: of the decision, real [sample, user]."""
        begin = time.process_time()
        decision = decide()
        spent = time.process_time() - begin
        found = rates(decision).double()
        row = {"method": method, "test": test, "seed": self._seed, "rate": float(found.sum(-1).mean())}
        row["least"] = float(found.amin(-1).mean())
        self._table.append(row | {"decision_ms": 1e3 * spent / self._samples})
