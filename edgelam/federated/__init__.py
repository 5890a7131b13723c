# SPDX-License-Identifier: GPL-2.0-only
"""Federated fine-tuning of transformers, split between devices and server or not split, over a simulated network.

setup = prepare(SplitFedFTSettings(), seed=1)
outcome = cosim.simulate(lambda sim: METHODS["split-fedft"](sim, setup, report), scenario="wired-star", ...)
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.federated.evaluation import Outcome
    from edgelam.federated.methods import METHODS
    from edgelam.federated.records import (
        AirRecord,
        AllocationRecord,
        CutRecord,
        DecisionRecord,
        DeviceRecord,
        DeviceRoundRecord,
        EvaluationRecord,
        LabelLeakRecord,
        LeakRecord,
        PrivacyRecord,
        Record,
        Report,
        RoundRecord,
        StalenessRecord,
        UpdateRecord,
        UserPrivacyRecord,
    )
    from edgelam.federated.settings import SplitFedFTSettings
    from edgelam.federated.setup import Setup, prepare

_HOME = {
    "METHODS": "methods",
    "Outcome": "evaluation",
    **dict.fromkeys(
        (
            "AirRecord",
            "AllocationRecord",
            "CutRecord",
            "DecisionRecord",
            "DeviceRecord",
            "DeviceRoundRecord",
            "EvaluationRecord",
            "LabelLeakRecord",
            "LeakRecord",
            "PrivacyRecord",
            "Record",
            "Report",
            "RoundRecord",
            "StalenessRecord",
            "UpdateRecord",
            "UserPrivacyRecord",
        ),
        "records",
    ),
    "SplitFedFTSettings": "settings",
    **dict.fromkeys(("Setup", "prepare"), "setup"),
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "METHODS",
    "AirRecord",
    "AllocationRecord",
    "CutRecord",
    "DecisionRecord",
    "DeviceRecord",
    "DeviceRoundRecord",
    "EvaluationRecord",
    "LabelLeakRecord",
    "LeakRecord",
    "Outcome",
    "PrivacyRecord",
    "Record",
    "Report",
    "RoundRecord",
    "Setup",
    "SplitFedFTSettings",
    "StalenessRecord",
    "UpdateRecord",
    "UserPrivacyRecord",
    "prepare",
]
