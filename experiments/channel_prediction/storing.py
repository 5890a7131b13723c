# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of a job: its model, its optimisers, what it has reported, and the simulated time it has used; and the
learning rates that were found.

ns-3 begins anew when a job is gone on with, at simulated time 0 and from the same seed; what it says later is added to
the time used before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from edgelam.air.prediction import Predictor, load_checkpoint, read_metadata, save_checkpoint
from edgelam.errors import ConfigurationError
from edgelam.files import digests
from edgelam.files.storage import StorageError, make_folder, write_atomically
from edgelam.runs.configuration import to_plain

from .config import Config
from .records import NAMES, Job, Row

_NOT_PART = (
    "methods",
    "seed",
    "repeats",
    "network_repeats",
    "traces",
    "checkpoints",
    "time_limit_s",
    "evaluations",
    "loop",
    "across",
    "tasks",
)  # of what a checkpoint is for


@dataclass
class State:
    """How far a job is."""

    epochs: int = 0
    clock_s: float = 0.0
    up_bytes: int = 0
    down_bytes: int = 0
    rows: list[Row] = field(default_factory=list)


class Store:
    """The folder of checkpoints, or none."""

    def __init__(self, config: Config) -> None:
        """Make the folder."""
        self._folder = Path(config.checkpoints) if config.checkpoints else None
        if self._folder is not None:
            make_folder(self._folder)
        plain = {name: value for name, value in to_plain(config).items() if name not in _NOT_PART}
        self._settings = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]

    def load(self, job: Job, predictor: Predictor, optimisers: Sequence[torch.optim.Optimizer]) -> State:
        """What is there of a job, put into its predictor and optimisers. Raises ConfigurationError if it is foreign."""
        path = self._path(job)
        if path is None or not path.exists():
            return State()
        metadata = load_checkpoint(path, predictor, optimisers, self._facts(job))
        plain = json.loads(metadata["state"])
        kinds = {name: kind for kind, name in NAMES.items()}
        plain["rows"] = [kinds[name](**row) for name, row in plain["rows"]]
        return State(**plain)

    def save(self, job: Job, predictor: Predictor, optimisers: Sequence[torch.optim.Optimizer], state: State) -> None:
        """Put it aside, if checkpoints are wanted."""
        path = self._path(job)
        if path is not None:
            plain: dict[str, Any] = {**vars(state)}
            plain["rows"] = [(NAMES[type(row)], dataclasses.asdict(row)) for row in state.rows]
            save_checkpoint(path, predictor, optimisers, {**self._facts(job), "state": json.dumps(plain)})

    def epochs(self, job: Job) -> int:
        """How many epochs of a job are done; 0 if its checkpoint cannot be read or is foreign (`load` says so)."""
        path = self._path(job)
        if path is None or not path.exists():
            return 0
        try:
            metadata = read_metadata(path)
            ours = self._facts(job).items() <= metadata.items()
            return int(json.loads(metadata["state"])["epochs"]) if ours else 0
        except (ConfigurationError, ValueError, KeyError, TypeError):
            return 0

    def load_rate(self, model: str, seed: int) -> tuple[float, int] | None:
        """The learning rate found for a model, and how many were tried; None if it was not searched yet.

        Raises ConfigurationError if the file is foreign.
        """
        path = self._rate_path(model, seed)
        if path is None or not path.exists():
            return None
        try:
            if not digests.check_file(path):
                digests.say_unverified(path)
            found = json.loads(path.read_bytes())
            rate, tries, settings = float(found["rate"]), int(found["tries"]), str(found["settings"])
        except (OSError, StorageError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"checkpoint {path} cannot be read: {error!r}") from error
        if settings != self._settings:
            raise ConfigurationError(
                f"checkpoint {path} is of another run: its settings are {settings!r}, not {self._settings!r}"
            )
        return rate, tries

    def save_rate(self, model: str, seed: int, rate: float, tries: int) -> None:
        """Put a learning rate aside, if checkpoints are wanted."""
        path = self._rate_path(model, seed)
        if path is not None:
            plain = {"rate": rate, "tries": tries, "settings": self._settings, digests.KEY: digests.BLANK}
            write_atomically(path, digests.sealed(json.dumps(plain).encode()))

    def _rate_path(self, model: str, seed: int) -> Path | None:
        return None if self._folder is None else self._folder / f"rate-{model}-seed{seed}.json"

    def _path(self, job: Job) -> Path | None:
        return None if self._folder is None else self._folder / f"{job.key}.safetensors"

    def _facts(self, job: Job) -> dict[str, str]:
        return {"job": job.key, "settings": self._settings}
