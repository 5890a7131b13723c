# SPDX-License-Identifier: GPL-2.0-only
"""Policies of migration, one in each file: ``decide(problem, queues) -> Choice``, once for each slot."""

from typing import Protocol

from edgelam.inference.migration.one_shot import Choice
from edgelam.inference.migration.policies.always import Always
from edgelam.inference.migration.policies.drift_plus_penalty import DriftPlusPenalty
from edgelam.inference.migration.policies.full_knowledge import FullKnowledge, Path, best_path
from edgelam.inference.migration.policies.nearest import Nearest
from edgelam.inference.migration.policies.never import Never
from edgelam.inference.migration.policies.threshold_mdp import ThresholdMdp
from edgelam.inference.migration.problem import SlotProblem
from edgelam.inference.migration.queues import VirtualQueues

__all__ = [
    "Always", "DriftPlusPenalty", "FullKnowledge", "Nearest", "Never", "Path", "Policy", "ThresholdMdp", "best_path",
]  # fmt: skip


class Policy(Protocol):
    """A policy; it may keep a state, so each simulation needs one of its own."""

    def decide(self, problem: SlotProblem, queues: VirtualQueues) -> Choice:
        """Return where each session is from now on. queues: as the slots before have left them."""
