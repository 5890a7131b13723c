# SPDX-License-Identifier: GPL-2.0-only
"""What all models that can be cut have in common: a chain of stages, and a state that passes from stage to stage.

A state is a dict of tensors and holds everything that the remaining stages need, so it is what crosses the network if
the model is cut there. The state before the first stage is the input; after the last, it holds ``logits``.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from edgelam.errors import ConfigurationError

State = dict[str, Tensor]


class Cuttable(abc.ABC):
    """A model as a chain of stages. A cut c from 0 to the number of stages has c stages on its near side.

    Cut 0 sends the input as it is; with the last cut everything runs on the near side, and logits cross.
    """

    stages: tuple[str, ...]
    """Names of the stages, in order."""
    exits: tuple[int, ...] = ()
    """Cuts, ascending, at which there is an early exit: a head for what crosses there."""

    @abc.abstractmethod
    def advance(self, state: State, first: int, last: int, memory: Any) -> State:
        """Run stages `first` to `last` - 1, of which there is at least one. `run` has checked both numbers."""

    @abc.abstractmethod
    def modules(self, stage: int) -> Iterable[nn.Module | nn.Parameter]:
        """Return the modules (or single weights) that a stage needs, for the bytes that whoever runs it must hold."""

    def run(self, state: State, first: int, last: int, memory: Any = None) -> State:
        """Return the state after stages `first` to `last` - 1; with none, the state as it is.

        memory: what `memory` gave for the same stages, if a sequence is continued. Raises ConfigurationError for
        stages that there are not.
        """
        self._check(first, last)
        return dict(state) if first == last else self.advance(state, first, last, memory)

    def memory(self, first: int, last: int) -> Any:
        """Return an empty memory of stages `first` to `last` - 1: keys and values of the tokens that they have seen.

        It belongs to the side that runs these stages, and each `run` with it adds the new tokens. Raises
        ConfigurationError for stages that there are not, and for a model that does not continue sequences.
        """
        raise ConfigurationError(f"{type(self).__name__} has no memory: it does not continue sequences")

    def leave(self, state: State, cut: int) -> Tensor:
        """Return the logits [B, C] of the exit at a cut, for what crosses there.

        Raises ConfigurationError if there is none.
        """
        raise ConfigurationError(f"{type(self).__name__} has no exit at cut {cut}; legal are {list(self.exits)}")

    def weight_bytes(self, first: int, last: int) -> int:
        """Return the bytes of the weights that stages `first` to `last` - 1 need; what several share counts once."""
        self._check(first, last)
        weights: dict[int, int] = {}
        for stage in range(first, last):
            for part in self.modules(stage):
                for weight in [part] if isinstance(part, Tensor) else [*part.parameters(), *part.buffers()]:
                    weights[weight.data_ptr()] = weight.numel() * weight.element_size()
        return sum(weights.values())

    def _check(self, first: int, last: int) -> None:
        if not 0 <= first <= last <= len(self.stages):
            raise ConfigurationError(
                f"stages {first} to {last} of {type(self).__name__}; legal are 0 <= first <= last <= "
                f"{len(self.stages)}: {', '.join(self.stages)}"
            )


def wanted(state: State, *names: str, at: str) -> list[Tensor]:
    """Return tensors of a state by name. Raises ConfigurationError if one is missing. at: where, for the error."""
    absent = [name for name in names if name not in state]
    if absent:
        raise ConfigurationError(f"the state before {at} lacks {', '.join(absent)}; it has {', '.join(state) or '-'}")
    return [state[name] for name in names]
