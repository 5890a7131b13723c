# SPDX-License-Identifier: GPL-2.0-only
"""Settings of predictors in a cell; importing them imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.runs.needs import Needs

PERFECT = "perfect"
"""What a predictor is called that knows the channel as it is."""
OWN_OPTIONS = ("speed", "csiSource", "edgelam::nr::Cell::CsiPeriod", "edgelam::nr::Cell::CsiDelay")
"""Options of the scenario that the loop sets itself."""


@dataclass(frozen=True)
class LoopSettings:
    """Which predictors drive a cell, and how pilots come."""

    predictors: tuple[str, ...] = ()
    """perfect (the channel as it is), hold-last, prony, or a model as in MODEL of methods; empty: there is no loop."""
    ues: int = 6
    """UEs, all of which are sent to at once, a layer each; 1 to 12."""
    speeds_kmh: tuple[float, ...] = (10.0, 30.0, 60.0)
    """Speeds of all UEs; everything is measured for each, km/h."""
    periods: tuple[int, ...] = (5, 10, 20)
    """Slots from pilot to pilot: multiples of the TDD pattern, so that pilots are evenly apart."""
    delays: tuple[int, ...] = (4,)
    """Slots from a pilot to when the gNB knows it."""
    pilots: Literal["srs", "csi-rs"] = "srs"
    """Whose pilots: sounding by the UEs, or reference signals of the cell that UEs report (docs/antennas.md)."""
    decision_slots: int = 2
    """Slots from one precoder to the next, at least 1."""
    spare_slots: int = 8
    """Predictions reach this much beyond the next pilot, for the time that predicting takes; then the last holds."""
    precoder: Literal["mrt", "zf", "rzf", "wmmse"] = "rzf"
    """What is computed from the predicted channels."""
    prony_ridge: float = 0.003
    """Ridge of Prony's fit, 0 or more: less than in samples with the noise of LLM4CP, since pilots have less."""
    filling_ms: float = 30.0
    """Time with full buffers before goodput is measured, ms."""
    measured_ms: float = 200.0
    """Time over which goodput is measured, ms."""
    training_drops: int = 8
    """Other networks of the same kind, with other places and speeds, of whose channels the models learn."""
    training_ues: int = 20
    """UEs in each of them, and in those on which models are tested."""
    training_slots: int = 600
    """Slots for which each of them is watched."""
    training_steps: int = 300
    """Optimiser steps of each model and pilot period."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 1 <= self.ues <= 12:
            raise ConfigurationError(f"loop.ues is {self.ues}; legal are 1 to 12, a layer each (docs/antennas.md)")
        for name in ("predictors", "speeds_kmh", "periods", "delays"):
            values = getattr(self, name)
            if len(set(values)) < len(values) or (not values and name != "predictors"):
                raise ConfigurationError(f"loop.{name} are {values}; at least one, each once")
        for name, low, high in (("speeds_kmh", 0.1, 500), ("periods", 1, 1000), ("delays", 0, 100)):
            for value in getattr(self, name):
                if not low <= value <= high:
                    raise ConfigurationError(f"loop.{name} have {value:g}; legal are {low} to {high}")
        for name, least in (("decision_slots", 1), ("spare_slots", 0), ("training_drops", 1), ("training_ues", 1),
                            ("training_slots", 1), ("training_steps", 1)):  # fmt: skip
            if getattr(self, name) < least:
                raise ConfigurationError(f"loop.{name} is {getattr(self, name)}; it must be at least {least}")
        for name, low in (("filling_ms", 0), ("measured_ms", 1), ("prony_ridge", 0)):
            if not low <= getattr(self, name) <= 1e5 or math.isnan(getattr(self, name)):
                raise ConfigurationError(f"loop.{name} is {getattr(self, name):g}; legal are {low} to 100000")

    def horizon(self, period: int, pattern: int, multiple: int = 1) -> int:
        """How many times, `decision_slots` apart, are predicted after a pilot: a multiple of `multiple`.

        pattern: slots of the TDD pattern; the longest time that pilots may be late.
        """
        reach = max(self.delays) + period + pattern + self.spare_slots
        steps = -(-reach // self.decision_slots)
        return -(-steps // multiple) * multiple


def loop_needs(loop: LoopSettings, ues: int | None = None) -> Needs:
    """A cell whose precoders come from outside, with a layer for each UE, and a server that sends."""
    return Needs(
        {"ue": ues or loop.ues, "edge|cloud": 1},
        observables=("cell", "ue_channel", "ue_channel_slot", "ue_block_counts", "ue_backlog_bytes"),
        controls=("precoder",),
        options={"beams": "external", "selection": "external", "maxLayers": "1", "ueAntennas": "1",
                 "gnbPower": "20", "ueNoiseFigure": "9", "edgelam::nr::Cell::GnbDelay": "0"},
    )  # fmt: skip
