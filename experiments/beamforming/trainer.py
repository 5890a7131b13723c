# SPDX-License-Identifier: GPL-2.0-only
"""Something is trained, with its curve, its size and what it cost, and kept."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from torch import nn

from edgelam.air.beamforming.learned.training import save
from edgelam.files.storage import make_folder
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder

from .config import Config
from .keeping import PARTS, Kept, Store
from .tables import CURVES, POLICIES


class Train(Protocol):
    """What trains: `told` is called after each step with its number, from 1, and its value."""

    def __call__(self, *, told: object, keeper: object) -> None:
        """Train in place."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What is done for one seed, and where it goes."""

    config: Config
    seed: int
    folder: RunFolder
    progress: Progress
    store: Store

    def begin(self, what: str, steps: int, unit: str) -> None:
        """Say what begins."""
        self.progress.begin(f"{what}, seed {self.seed}", steps, unit)

    def seed_of(self, name: str) -> int:
        """Return the seed of a random stream."""
        return derive_seed(self.seed, name)


def trained(name: str, model: nn.Module, steps: int, train: Train, work: Work) -> None:
    """Train, from a checkpoint on if there is one; rows of `curves` and `policies`, and a file in folder `policies`.

    Raises OutOfTimeError when the limit of time has come.
    """
    folder, seed = work.folder, work.seed
    work.begin(name, steps, "steps")
    kept = Kept(work.store, f"{name}-seed{seed}", steps)
    part: list[float] = []
    written = 0

    def write() -> None:
        nonlocal written
        for at, mean in kept.state.rows[written:]:
            folder.table("curves", CURVES).append({"method": name, "seed": seed, "step": at, "rate": mean})
        written = len(kept.state.rows)

    def told(step: int, value: float) -> None:
        part.append(value)
        work.progress.step(step)
        if step * PARTS // steps > (step - 1) * PARTS // steps:
            kept.state.rows.append((step, sum(part) / len(part)))
            part.clear()
            write()

    train(told=told, keeper=kept)
    write()
    size = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    row = {"method": name, "seed": seed, "trained": size, "train_s": kept.state.train_s}
    folder.table("policies", POLICIES).append(row)
    place = folder.path / "policies"
    make_folder(place)
    save(model, place / file_name(name, seed))


def file_name(name: str, seed: int) -> str:
    """Return the name of the file with what is trained of a policy."""
    return f"{name}-{seed}.safetensors"
