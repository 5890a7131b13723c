# SPDX-License-Identifier: GPL-2.0-only
"""One request of split inference over the simulated network: every stage runs, and what crosses is a transfer."""

from __future__ import annotations

import asyncio
import dataclasses
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from edgelam.cosim.node import Node
from edgelam.cosim.transport import Transport
from edgelam.errors import ConfigurationError
from edgelam.inference.split.exits import CalibratedExits
from edgelam.inference.split.planner import Choice
from edgelam.inference.split.wire import packed, unpacked
from edgelam.models.cuts import Cuttable, State


@dataclasses.dataclass(frozen=True)
class Answered:
    """A request and how its time was spent."""

    answer: Tensor
    """The likeliest class or token, int64 [batch]."""
    e2e_s: float
    near_s: float
    """On the device, waiting for its processor included."""
    up_s: float
    far_s: float
    """On the server, waiting for its processor included."""
    down_s: float
    up_bytes: int


async def answer(  # noqa: PLR0917
    near: Node, far: Node, cuts: Cuttable, inputs: State, choice: Choice, transport: Transport, *, name: str,
    exits: CalibratedExits | None = None,
) -> Answered:  # fmt: skip
    """Run a request: `inputs` are at `near`, and the answer is there at the end.

    name: of the model, for records. exits: needed for a choice with a confidence; an input then leaves at the exit if
    the exit is so confident, of all samples of a batch. Raises TransferError if something does not arrive, and
    ConfigurationError for a confidence without exits.
    """
    if choice.confidence is not None and exits is None:
        raise ConfigurationError(f"{choice} needs calibrated exits")
    stages = len(cuts.stages)
    shape = tuple((key, tuple(value.shape)) for key, value in sorted(inputs.items()))
    moments = [_now()]
    state: State = inputs
    message: dict[str, Any] = {}
    async with near.compute(f"{name} near", key=(choice, shape)):
        with torch.no_grad():
            state = cuts.run(inputs, 0, choice.cut)
            here = choice.cut == stages
            if here:
                found = _likeliest(state)
            elif choice.confidence is None:
                message = packed(state, choice.format)
            else:
                assert exits is not None
                found, confidence = exits.answer(state, choice.cut)
                here = bool((confidence >= choice.confidence).all())
    if choice.confidence is not None and not here:
        async with near.compute(f"{name} packing", key=(choice, shape)):
            message = packed(state, choice.format)
    moments.append(_now())
    if here:
        return Answered(found, moments[1] - moments[0], moments[1] - moments[0], 0.0, 0.0, 0.0, 0)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    there = await transport.message(near, far, message, f"{name} up")
    moments.append(_now())
    async with far.compute(f"{name} far", key=(choice, shape)):
        with torch.no_grad():
            found = _likeliest(cuts.run(unpacked(there.data, choice.format, shapes), choice.cut, stages))
    moments.append(_now())
    back = await transport.message(far, near, found.to(torch.int32), f"{name} down")
    moments.append(_now())
    near_s, up_s, far_s, down_s = (b - a for a, b in pairwise(moments))
    return Answered(back.data.long(), moments[-1] - moments[0], near_s, up_s, far_s, down_s, there.size_bytes)


def _likeliest(state: State) -> Tensor:
    """Return the likeliest class, or the likeliest token after the last one: int64 [batch]."""
    logits = state["logits"]
    return (logits[:, -1] if logits.dim() == 3 else logits).argmax(-1)


def _now() -> float:
    return asyncio.get_running_loop().time()
