# SPDX-License-Identifier: GPL-2.0-only
"""Split inference: a model's first stages run on a device and the others on a server, and the cut is planned."""

from edgelam.inference.split.chain import Chain, EarlyExit, Stage, measured
from edgelam.inference.split.edge_shard import edge_shard
from edgelam.inference.split.exits import CalibratedExits, calibrated, with_leaving
from edgelam.inference.split.experience import Experience
from edgelam.inference.split.neurosurgeon import Neurosurgeon
from edgelam.inference.split.planner import Choice, Planner, Route, Side, best, choices_of, predicted_s
from edgelam.inference.split.request import Answered, answer

__all__ = [
    "Answered",
    "CalibratedExits",
    "Chain",
    "Choice",
    "EarlyExit",
    "Experience",
    "Neurosurgeon",
    "Planner",
    "Route",
    "Side",
    "Stage",
    "answer",
    "best",
    "calibrated",
    "choices_of",
    "edge_shard",
    "measured",
    "predicted_s",
    "with_leaving",
]
