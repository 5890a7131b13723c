# SPDX-License-Identifier: GPL-2.0-only
"""Tensors of any shape and strides as the flat tensors that collectives work on.

A tensor that was made in PyTorch's inference mode can only be changed in it, and a collective goes on when the program
has left it: it works on a copy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import torch
from torch import Tensor


def write(into: Tensor, values: Tensor) -> None:
    """Copy values to a tensor of the program."""
    with torch.inference_mode(into.is_inference()):
        into.copy_(values)


@asynccontextmanager
async def flats(tensors: Sequence[Tensor]) -> AsyncIterator[list[Tensor]]:
    """Within the block contiguous one-dimensional views of tensors; or copies, which the tensors become after it."""
    plain = [tensor.detach() for tensor in tensors]
    own = [tensor.clone() if tensor.is_inference() else tensor for tensor in plain]
    contiguous = [tensor.contiguous().resolve_conj().resolve_neg().reshape(-1) for tensor in own]
    yield contiguous
    for tensor, values in zip(plain, contiguous, strict=True):
        if values.data_ptr() != tensor.data_ptr():
            write(tensor, values.reshape(tensor.shape))


@asynccontextmanager
async def flat(tensor: Tensor) -> AsyncIterator[Tensor]:
    """The same of one."""
    async with flats([tensor]) as (only,):
        yield only
