# SPDX-License-Identifier: GPL-2.0-only
"""The devices of a run: which machine each is, and how much of its memory training may use."""

from __future__ import annotations

from edgelam.cosim.devices import profile
from edgelam.parallel.looped_costs import single_device_memory
from edgelam.parallel.looped_model import LoopedConfig
from edgelam.random_streams import derive_seed, from_numbers

from .config import Config


def devices_of(config: Config, looped: LoopedConfig, num_devices: int, seed: int) -> dict[str, str]:
    """Node name -> device profile with its memory, for ue0, ue1, ...; the same for all methods of a seed.

    A device keeps its draw when there are more devices.
    """
    model = config.model
    scale = 1.0
    if config.stands_for_gb:
        scale = single_device_memory(looped, model.batch, model.length).total / (config.stands_for_gb * 1e9)
    low, high = config.free_memory
    parts = from_numbers(derive_seed(seed, "free memory of the devices")).uniform(low, high, num_devices)
    found = {}
    for k, part in enumerate(parts):
        name = config.mix[k % len(config.mix)]
        found[f"ue{k}"] = f"{name},memory_bytes={int(profile(name).memory_bytes * scale * part)}"
    return found
