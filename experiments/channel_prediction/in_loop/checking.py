# SPDX-License-Identifier: GPL-2.0-only
"""What a cell must be like for a loop with predictors; also its options for one set of pilots."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edgelam.errors import ConfigurationError
from edgelam.runs.network import Network

from .settings import OWN_OPTIONS, PERFECT, LoopSettings, loop_needs

if TYPE_CHECKING:
    from ..config import Config

PATTERN = "DDDSU"


def pattern_slots(config: Config) -> int:
    """Slots of the cell's TDD pattern; 1 with FDD."""
    pattern = config.network.scenario_options(loop_needs(config.loop)).get("pattern", PATTERN)
    return 1 if pattern == "FDD" else len(pattern.partition(":")[0])


def check_loop(config: Config) -> None:
    """Refuse options of the scenario with which the loop could not run, or what it says would be wrong."""
    loop = config.loop
    if config.network.is_ideal:
        raise ConfigurationError("loop.predictors: a loop needs a cell (--scenario nr-urban-micro, nr-urban-grid, ...)")
    options = config.network.scenario_options(loop_needs(loop))
    for name, legal in (("beams", "external"), ("selection", "external"), ("maxLayers", "1"), ("ueAntennas", "1")):
        if options.get(name) != legal:
            raise ConfigurationError(
                f"--options {name}={options.get(name)}: a loop with predictors needs {name}={legal}"
            )
    for name in OWN_OPTIONS:
        if name in options:
            raise ConfigurationError(
                f"--options {name}: a loop with predictors sets it itself (loop.speeds_kmh, periods, delays, pilots)"
            )
    for name in ("gnbPower", "ueNoiseFigure"):
        try:
            float(options.get(name, ""))
        except ValueError:
            raise ConfigurationError(f"--options {name}={options.get(name, '')}: a number is needed, in dB") from None
    slots = pattern_slots(config)
    for period in loop.periods:
        if period % slots:
            raise ConfigurationError(
                f"loop.periods have {period}; legal are multiples of {slots}, the slots of the TDD pattern: other "
                "pilots are not evenly apart"
            )


def network_for(
    network: Network, loop: LoopSettings, predictor: str, *, speed_kmh: float, period: int, delay: int
) -> Network:
    """The cell with UEs of this speed and these pilots; the predictor `perfect` sees the channel as it is."""
    source = "perfect" if predictor == PERFECT else loop.pilots
    own = (f"{speed_kmh / 3.6:.6g}", source, str(period), str(delay))
    return dataclasses.replace(
        network, options=(*network.options, *(f"{name}={value}" for name, value in zip(OWN_OPTIONS, own, strict=True)))
    )
