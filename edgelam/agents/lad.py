# SPDX-License-Identifier: GPL-2.0-only
"""LAD-TS (arXiv 2412.18212): like D2SAC, but the chain begins at the probabilities of the step before, not at noise."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from edgelam.agents.agent import State
from edgelam.agents.d2sac import D2SAC


class LAD(D2SAC):
    """The agent."""

    def start(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return where the chain begins, [B, N]."""
        return state.before
