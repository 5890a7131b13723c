# SPDX-License-Identifier: GPL-2.0-only
"""How far a training in rounds is: when it is put aside as a checkpoint (checkpoints.py), and how it goes on from one.

A network simulator cannot be stopped and gone on with, so a training that goes on has a new simulation, whose clock
begins at 0. The checkpoint has the seconds that were simulated before (`Course.clock_s`): they are the offset of the
new clock.

A device learns that a round has ended from the invitation to its next one, and the server may be ahead of it by some
milliseconds. So a checkpoint "after n rounds" is made of what every part was when it *began* round n (0-based), and is
written when round n has ended, by which time all that take part in it have begun it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from edgelam.files.storage import make_folder
from edgelam.learning.checkpoints import read_checkpoint, save_checkpoint

FORMAT = "edgelam rounds 1"
_STATE = "course"
"""The entry of the file's metadata that has all else, as JSON."""


class Part(Protocol):
    """Something that a training changes: a server, a device."""

    def state(self) -> dict[str, Tensor]:
        """Return all that it needs to go on, by name; not copies."""

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""


def optimiser_state(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the tensors of an optimiser as name/NUMBER/KEY."""
    return {
        f"{name}/{number}/{key}": torch.as_tensor(value)
        for number, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_optimiser(name: str, optimiser: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_state` returned."""
    found: dict[int, dict[str, Tensor]] = {}
    for place, tensor in state.items():
        if place.startswith(f"{name}/"):
            number, key = place.removeprefix(f"{name}/").split("/")
            found.setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": found})


def named(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as name/KEY."""
    return {f"{name}/{key}": tensor for key, tensor in tensors.items()}


def of(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that `named` put under a name."""
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in state.items() if key.startswith(f"{name}/")}


class Weights:
    """A part that is nothing but tensors, which keep their places in memory."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """tensors: by name; they are written to when a state is loaded."""
        self._tensors = tensors

    def state(self) -> dict[str, Tensor]:
        """Return them."""
        return dict(self._tensors)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Overwrite them."""
        with torch.no_grad():
            for name, tensor in self._tensors.items():
                tensor.copy_(state[name])


class Together:
    """Several parts as one."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        """parts: by name."""
        self._parts = parts

    def state(self) -> dict[str, Tensor]:
        """Return all states, each under its name."""
        return {k: v for name, part in self._parts.items() for k, v in named(name, part.state()).items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take them back."""
        for name, part in self._parts.items():
            part.load(of(name, state))


@dataclass
class Course:
    """How far a training is. Without a path it begins at round 0, and nothing is written."""

    path: Path | None = None
    every: int = 10
    """Rounds between two checkpoints."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What the training is; a checkpoint of another one is refused."""
    mark: Callable[[], dict[str, Any]] = dict
    """Called when the server begins a round after which a checkpoint is due: what the caller wants back, as JSON."""
    rows: Callable[[int | None], list[Any]] = lambda rounds: []
    """Called when a checkpoint is written: what was reported of so many first rounds (None: of all), as JSON."""
    first: int = 0
    """The round with which it goes on."""
    clock_s: float = 0.0
    """Simulated seconds before that round, in all simulations."""
    complete: bool = False
    """Whether there is nothing left to do."""
    marked: dict[str, Any] = field(default_factory=dict)
    """What `mark` returned for the checkpoint that was read."""
    kept: list[Any] = field(default_factory=list)
    """What `rows` returned for it."""

    def __post_init__(self) -> None:
        """Read the checkpoint, if there is one. Raises ConfigurationError if it is damaged, or of something else."""
        self._parts: dict[str, Part] = {}
        self._begun: dict[str, dict[str, Tensor]] = {}
        self._at: tuple[int, float, dict[str, Any]] | None = None
        self._tensors: dict[str, Tensor] = {}
        if self.path is None or not self.path.exists():
            return
        metadata, self._tensors = read_checkpoint(self.path, {"format": FORMAT, **self.about})
        facts = json.loads(metadata[_STATE])
        self.first, self.clock_s, self.complete = facts["rounds"], facts["clock_s"], facts["complete"]
        self.marked, self.kept = facts["marked"], facts["kept"]

    def restore(self, parts: Mapping[str, Part]) -> None:
        """Say what the parts of this training are; they get what the checkpoint has of them."""
        self._parts = dict(parts)
        if not self._tensors:
            return
        for name, part in parts.items():
            part.load(of(name, self._tensors))
        self._tensors = {}

    def begins(self, name: str, round_number: int, now_s: float | None = None) -> None:
        """Note that a part begins a round. now_s: of the server alone, whose clock counts."""
        if not self._due(round_number):
            return
        self._begun[name] = _copies(self._parts[name].state())
        if now_s is not None:
            self._at = (round_number, self.clock_s + now_s, self.mark())

    def finished(self, round_number: int) -> None:
        """Write the checkpoint of the rounds before this one, if one is due. Raises StorageError."""
        if not self._due(round_number) or self._at is None:
            return
        rounds, clock_s, marked = self._at
        assert rounds == round_number
        self._write(rounds, clock_s, marked, complete=False)

    def end(self, rounds: int, now_s: float) -> None:
        """Write that all rounds are done. Raises StorageError."""
        if self.path is not None:
            self._begun = {}
            self._write(rounds, self.clock_s + now_s, self.mark(), complete=True)

    def _due(self, round_number: int) -> bool:
        return self.path is not None and round_number > self.first and round_number % self.every == 0

    def _write(self, rounds: int, clock_s: float, marked: dict[str, Any], *, complete: bool) -> None:
        assert self.path is not None
        tensors: dict[str, Tensor] = {}
        for name, part in self._parts.items():  # a part that did not take part is as it was before the round
            tensors |= named(name, self._begun.get(name) or _copies(part.state()))
        self._begun, self._at = {}, None
        state = {
            "rounds": rounds, "clock_s": clock_s, "complete": complete, "marked": marked,
            "kept": self.rows(None if complete else rounds),
        }  # fmt: skip
        make_folder(self.path.parent)
        facts = {"format": FORMAT, **self.about, _STATE: json.dumps(state, default=_plain)}
        save_checkpoint(self.path, tensors, [], facts)


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python."""
    return value.item()


def _copies(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
