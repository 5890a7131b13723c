# SPDX-License-Identifier: GPL-2.0-only
"""Federated fine-tuning of transformers, split between devices and server or not, over a simulated network.

setup = prepare(SplitFedFTSettings(), seed=1)
outcome = cosim.simulate(lambda sim: METHODS["split-fedft"](sim, setup, report), scenario="wired-star", ...)
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from edgelam.federated import centralised, fed_lora, local, split_fedft
from edgelam.federated.evaluation import Outcome
from edgelam.federated.records import (
    DeviceRecord,
    DeviceRoundRecord,
    EvaluationRecord,
    Record,
    Report,
    RoundRecord,
)
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.federated.setup import Setup, prepare

if TYPE_CHECKING:
    from edgelam import cosim

METHODS: "dict[str, Callable[[cosim.Simulation, Setup, Report], Awaitable[Outcome]]]" = {
    module.METHOD: module.run for module in (split_fedft, fed_lora, local, centralised)
}

__all__ = [
    "METHODS",
    "DeviceRecord",
    "DeviceRoundRecord",
    "EvaluationRecord",
    "Outcome",
    "Record",
    "Report",
    "RoundRecord",
    "Setup",
    "SplitFedFTSettings",
    "prepare",
]
