# SPDX-License-Identifier: GPL-2.0-only
"""Something is trained, with its curve, its size and what it cost, and kept."""

from __future__ import annotations

import time
from typing import Protocol

from torch import nn

from edgelam.air.beamforming.learned.training import save
from edgelam.files.storage import make_folder
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from .tables import CURVES, POLICIES

PARTS = 40


class Train(Protocol):
    """What trains: `told` is called after each step with its number, from 1, and its value."""

    def __call__(self, *, told: object) -> None:
        """Train in place."""


def trained(
    name: str, model: nn.Module, steps: int, train: Train, *, seed: int, folder: RunFolder, progress: Progress
) -> None:
    """Train; rows of tables `curves` and `policies`, and a file in folder `policies`."""
    progress.begin(f"{name}, seed {seed}", steps, "steps")
    part: list[float] = []

    def told(step: int, value: float) -> None:
        part.append(value)
        progress.step(step)
        if step * PARTS // steps > (step - 1) * PARTS // steps:
            row = {"method": name, "seed": seed, "step": step, "rate": sum(part) / len(part)}
            folder.table("curves", CURVES).append(row)
            part.clear()

    begin = time.process_time()
    train(told=told)
    size = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    row = {"method": name, "seed": seed, "trained": size, "train_s": time.process_time() - begin}
    folder.table("policies", POLICIES).append(row)
    place = folder.path / "policies"
    make_folder(place)
    save(model, place / file_name(name, seed))


def file_name(name: str, seed: int) -> str:
    """Return the name of the file with what is trained of a policy."""
    return f"{name}-{seed}.safetensors"
