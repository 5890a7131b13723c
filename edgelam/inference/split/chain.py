# SPDX-License-Identifier: GPL-2.0-only
"""What a model costs stage by stage, and what crosses each cut, measured on a sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch

from edgelam.cosim import encoding as codec
from edgelam.cosim.work import Work, WorkCounter
from edgelam.inference.split.wire import check_format, packed, unpacked
from edgelam.models.cuts import Cuttable, State

ANSWER_BYTES = 4
"""Of a class or a token that goes back to the device."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """What one stage costs."""

    name: str
    work: Work
    weight_bytes: int


@dataclasses.dataclass(frozen=True)
class EarlyExit:
    """A head at a cut, by which the device may answer itself."""

    work: Work
    leaving: Mapping[float, float] = dataclasses.field(default_factory=dict)
    """Confidence from which it answers -> the share of inputs that it then answers, on samples held out."""


@dataclasses.dataclass(frozen=True)
class Chain:
    """A model as planners see it."""

    name: str
    stages: tuple[Stage, ...]
    crossing: Mapping[str, tuple[int, ...]]
    """Number format -> bytes at each cut, [stages + 1]; none at the last, where the answer is already on the device."""
    packing: Mapping[str, tuple[Work, ...]]
    """Number format -> work of making what crosses each cut."""
    unpacking: Mapping[str, tuple[Work, ...]]
    """Number format -> work of reading it."""
    exits: Mapping[int, EarlyExit] = dataclasses.field(default_factory=dict)
    """Cut -> the exit there."""

    def work(self, first: int, last: int) -> Work:
        """Return the work of stages `first` to `last` - 1."""
        return sum((stage.work for stage in self.stages[first:last]), Work())


@torch.no_grad()
def measured(name: str, cuts: Cuttable, sample: State, formats: Sequence[str]) -> Chain:
    """Run a sample stage by stage. Raises ConfigurationError for a number format that there is not."""
    for form in formats:
        check_format(form)
    state, stages = dict(sample), []
    crossing: dict[str, list[int]] = {form: [] for form in formats}
    packing: dict[str, list[Work]] = {form: [] for form in formats}
    unpacking: dict[str, list[Work]] = {form: [] for form in formats}
    exits: dict[int, EarlyExit] = {}
    for i, stage in enumerate(cuts.stages):
        if i in cuts.exits:
            with WorkCounter() as counter:
                cuts.leave(state, i)
            exits[i] = EarlyExit(counter.work)
        for form in formats:
            with WorkCounter() as counter:
                message = packed(state, form)
            crossing[form].append(codec.wire_size(message, "exact"))
            packing[form].append(counter.work)
            with WorkCounter() as counter:
                unpacked(message, form, {key: tuple(value.shape) for key, value in state.items()})
            unpacking[form].append(counter.work)
        with WorkCounter() as counter:
            state = cuts.run(state, i, i + 1)
        stages.append(Stage(stage, counter.work, cuts.weight_bytes(i, i + 1)))
    return Chain(
        name, tuple(stages), {form: (*sizes, 0) for form, sizes in crossing.items()},
        {form: (*works, Work()) for form, works in packing.items()},
        {form: (*works, Work()) for form, works in unpacking.items()}, exits,
    )  # fmt: skip
