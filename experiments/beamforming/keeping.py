# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of training, and its limit of time: weights, the optimiser, and what was told so far."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from edgelam.air.beamforming.learned.ascent import trained
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.files.storage import make_folder
from edgelam.learning.checkpoints import load_checkpoint, save_checkpoint
from edgelam.runs.configuration import to_plain

from .config import Config

FORMAT = "edgelam beamforming 1"
PARTS = 40
"""Of a training: rows of table `curves`, and moments at which it is kept."""
_PART = ("policy", "training", "surface", "hybrid", "coordinated", "streams", "sensing", "several", "threads", "device")
"""Of a configuration: what decides what is trained, but for the seed."""


class OutOfTimeError(EdgelamError):
    """The limit of time has come; what was done is in a checkpoint."""


@dataclass
class State:
    """How far a training is."""

    steps: int = 0
    rows: list[tuple[int, float]] = field(default_factory=list)
    """Step and mean value of each part."""
    train_s: float = 0.0
    """Processor time."""
    learning_rates: list[float] = field(default_factory=list)


class Store:
    """The folder of checkpoints, or none, and the moment at which training stops."""

    def __init__(self, config: Config) -> None:
        """Make the folder."""
        self.folder = Path(config.checkpoints) if config.checkpoints else None
        if self.folder is not None:
            make_folder(self.folder)
        self._until = time.monotonic() + config.time_limit_s if config.time_limit_s else None
        parts = (*_PART, "federated", "network") if config.federated.sites else _PART
        plain = {name: value for name, value in to_plain(config).items() if name in parts}
        self._settings = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]

    def facts(self, job: str) -> dict[str, str]:
        """What a checkpoint of a training says about itself."""
        return {"format": FORMAT, "job": job, "settings": self._settings}

    @property
    def is_late(self) -> bool:
        """Whether the limit of time has come."""
        return self._until is not None and time.monotonic() > self._until


class Kept:
    """The training of one model, as `ascend` wants it kept."""

    def __init__(self, store: Store, job: str, steps: int) -> None:
        """job: name and seed, of which the file's name is made; steps: of the whole training."""
        self.state = State()
        self._store, self._job, self._steps = store, job, steps
        self._path = None if store.folder is None else store.folder / f"{job}.safetensors"

    def begin(self, model: nn.Module, optimiser: torch.optim.Optimizer, schedule: LRScheduler) -> int:
        """Put what is there into all three. Raises ConfigurationError if it is of something else."""
        self._began = time.process_time()
        if self._path is None or not self._path.exists():
            return 0
        metadata = load_checkpoint(
            self._path, _weights(model), [optimiser], self._store.facts(self._job), what="policy"
        )
        try:
            plain = json.loads(metadata["state"])
            self.state = State(**{**plain, "rows": [(int(step), float(value)) for step, value in plain["rows"]]})
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigurationError(f"checkpoint {self._path} cannot be read: {error!r}") from error
        at = {
            "last_epoch": self.state.steps,
            "_step_count": self.state.steps + 1,
            "_last_lr": self.state.learning_rates,
        }
        schedule.load_state_dict({**schedule.state_dict(), **at})
        for group, rate in zip(optimiser.param_groups, self.state.learning_rates, strict=True):
            group["lr"] = rate
        return self.state.steps

    def after(self, step: int, model: nn.Module, optimiser: torch.optim.Optimizer, schedule: LRScheduler) -> None:
        """At the end of a part, keep everything; raises OutOfTimeError if the time is up and there is more to do."""
        if step * PARTS // self._steps == (step - 1) * PARTS // self._steps:
            return
        now = time.process_time()
        self.state.steps, self.state.train_s = step, self.state.train_s + now - self._began
        self._began = now
        self.state.learning_rates = [float(group["lr"]) for group in optimiser.param_groups]
        if self._path is None:
            return
        facts = {**self._store.facts(self._job), "state": json.dumps(dataclasses.asdict(self.state))}
        save_checkpoint(self._path, _weights(model), [optimiser], facts)
        if self._store.is_late and step < self._steps:
            raise OutOfTimeError(f"training of {self._job} stopped after {step} of {self._steps} steps")


class Whole:
    """A training that is kept when it has ended, and only then."""

    def __init__(self, store: Store, job: str) -> None:
        """job: name and seed, of which the file's name is made."""
        self._store, self._job = store, job
        self._path = None if store.folder is None else store.folder / f"{job}.safetensors"

    def load(self, model: nn.Module) -> list[dict[str, Any]] | None:
        """Put all weights into the model and return the rows of tables kept with them; None if there are none.

        Raises ConfigurationError if they are of something else.
        """
        if self._path is None or not self._path.exists():
            return None
        facts = self._store.facts(self._job)
        rows: list[dict[str, Any]] = json.loads(
            load_checkpoint(self._path, model.state_dict(), [], facts, what="policy")["rows"]
        )
        return rows

    def save(self, model: nn.Module, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Keep all weights, also frozen ones, which a rule may have changed. Raises OutOfTimeError if time is up."""
        if self._path is None:
            return
        save_checkpoint(self._path, model.state_dict(), [], {**self._store.facts(self._job), "rows": json.dumps(rows)})
        if self._store.is_late:
            raise OutOfTimeError(f"training stopped after {self._job}")


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {f"weight/{names[id(parameter)]}": parameter for parameter in trained(model)}
