# SPDX-License-Identifier: GPL-2.0-only
"""What crosses a cut as bytes: real values in a number format, token ids in as few bytes as they need.

A number format is ``fp32``, ``fp16``, or one of `quantisation.Format` (``int8``, ``int4/32+8``). Pixels (uint8),
samples of speech (int16) and masks (bool) cross as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.models.cuts import State
from edgelam.models.quantisation import MOST_HALF, Format, Quantised, quantise

FLOATS = ("fp32", "fp16")


def check_format(name: str) -> None:
    """Raise ConfigurationError for a number format that there is not."""
    if name not in FLOATS:
        try:
            Format.parse(name)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}; and {', '.join(FLOATS)}") from None


def packed(state: State, form: str) -> dict[str, Any]:
    """Return the state as it crosses a wire, to be sent with encoding "exact"."""
    return {name: _pack(value, form) for name, value in state.items()}


def unpacked(message: dict[str, Any], form: str, shapes: dict[str, tuple[int, ...]]) -> State:
    """Return the state on the other side. shapes: of the tensors, which both sides know from the input's."""
    return {name: _unpack(value, form, shapes[name]) for name, value in message.items()}


def _pack(value: Tensor, form: str) -> Any:
    if value.is_floating_point():
        if form == "fp32":
            return value.float()
        if form == "fp16":
            return value.clamp(-MOST_HALF, MOST_HALF).half()
        return quantise(value, Format.parse(form)).parts
    if value.dtype == torch.int64:
        most = int(value.abs().max()) if value.numel() else 0
        return value.to(torch.uint16 if most < 2**16 and int(value.min()) >= 0 else torch.int32)
    return value


def _unpack(value: Any, form: str, shape: tuple[int, ...]) -> Tensor:
    if isinstance(value, (tuple, list)):
        codes, scales, outliers, places = value
        return Quantised(codes, scales, outliers, places, shape, Format.parse(form)).restored()
    if value.dtype in (torch.uint16, torch.int32):
        return value.long()
    return value.float() if value.is_floating_point() else value
