# SPDX-License-Identifier: GPL-2.0-only
"""The methods by name. Each is a coroutine (simulation, setup, report) -> Outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from edgelam.federated import (
    air_fed_lora,
    centralised,
    contrastive,
    decomposed,
    dp_fed_lora,
    fed_lora,
    fedbuff,
    local,
    split_fedft,
)
from edgelam.federated.records import ignore

if TYPE_CHECKING:
    from edgelam import cosim
    from edgelam.federated.evaluation import Outcome
    from edgelam.federated.records import Report
    from edgelam.federated.setup import Setup


async def split(sim: cosim.Simulation, setup: Setup, report: Report = ignore) -> Outcome:
    """Run split fine-tuning with the objective of the settings."""
    chosen = contrastive if setup.settings.objective == "contrastive" else split_fedft
    return await chosen.run(sim, setup, report)


METHODS: dict[str, Callable[[cosim.Simulation, Setup, Report], Awaitable[Outcome]]] = {
    split_fedft.METHOD: split,
    decomposed.METHOD: decomposed.run,
    fed_lora.METHOD: fed_lora.run,
    fedbuff.METHOD: fedbuff.run,
    dp_fed_lora.METHOD: dp_fed_lora.run,
    air_fed_lora.METHOD: air_fed_lora.run,
    local.METHOD: local.run,
    centralised.METHOD: centralised.run,
}
