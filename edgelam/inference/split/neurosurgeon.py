# SPDX-License-Identifier: GPL-2.0-only
"""Neurosurgeon (Y. Kang et al., ASPLOS 2017): one cut, from regressions of layers' latencies and the present bandwidth.

A regression is fitted once for each machine to the layers of other models. Ours is linear in operations and memory
traffic, with coefficients of at least 0, where the paper has one form for each type of layer. As in the paper, values
cross as they are (fp32), and what is known of the network is its bandwidth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.split.chain import ANSWER_BYTES, Chain
from edgelam.inference.split.planner import Choice, Route, Side


class Neurosurgeon:
    """Regressions of two machines."""

    def __init__(self, known: Sequence[Chain], near: Side, far: Side) -> None:
        """known: models whose layers were measured. Raises ConfigurationError if there are no layers."""
        works = [stage.work for chain in known for stage in chain.stages if stage.work.flops or stage.work.bytes]
        if not works:
            raise ConfigurationError("Neurosurgeon has no layers to learn from; give chains of other models")
        self._near, self._far = (_fitted(works, side) for side in (near, far))

    def choose(self, chain: Chain, route: Route) -> Choice:
        """Return the cut of the least predicted latency."""
        features = np.array([[1.0, s.work.flops, s.work.bytes] for s in chain.stages])
        near, far = features @ self._near, features @ self._far
        bandwidth = 1 / max(route.up.byte_s, 1e-12)
        stages = len(chain.stages)
        seconds = [
            near[:cut].sum() + (0.0 if cut == stages else chain.crossing["fp32"][cut] / bandwidth + far[cut:].sum()
                                + ANSWER_BYTES / bandwidth)
            for cut in range(stages + 1)
        ]  # fmt: skip
        return Choice(int(np.argmin(seconds)), "fp32")


def _fitted(works: Sequence[object], side: Side) -> np.ndarray:
    from scipy.optimize import nnls

    seconds = np.array([side.seconds(work) for work in works])  # type: ignore[arg-type]
    rows = np.array([[1.0, work.flops, work.bytes] for work in works])  # type: ignore[attr-defined]
    scale = np.maximum(rows.max(axis=0), 1e-300)
    found, _ = nnls(rows / scale / seconds[:, None], np.ones(len(works)))  # relative errors
    return np.asarray(found / scale)
