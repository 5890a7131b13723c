# SPDX-License-Identifier: GPL-2.0-only
"""A module: a computation with weights that turns named tensors into named tensors, always the same way.

Values between modules are tensors, so that their bytes on a network are known: text is its UTF-8 bytes (uint8), speech
is 16-bit samples (int16), images are bytes (uint8), everything else is float32 or int64.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.inference.module import weight_bytes, weights_hash


class Module(ABC):
    """A module as `edgelam.inference` serves it. One request is one call; there is no batch dimension.

    name: its name in tables; takes, gives: names of its inputs and outputs; network: what holds its weights.
    """

    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    network: nn.Module

    @abstractmethod
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn the inputs of one request into its outputs. Raises ConfigurationError for inputs that are not legal."""

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the weights and of everything else on which the outputs depend, in hexadecimal digits."""
        return hashlib.sha256(f"{self.settings} {weights_hash(self.network)}".encode()).hexdigest()

    @property
    def settings(self) -> str:
        """What the outputs depend on beside the weights."""
        return type(self).__qualname__

    @property
    def weight_bytes(self) -> int:
        """Memory that the weights take, shared ones once."""
        return weight_bytes(self.network)


def result_of(steps: Any) -> dict[str, Tensor]:
    """Run a generator to its end; return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return dict(end.value)


def text_to_bytes(text: str) -> Tensor:
    """Turn text into its UTF-8 bytes: uint8 [bytes]."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def bytes_to_text(values: Tensor) -> str:
    """Turn UTF-8 bytes into text; what is not UTF-8 becomes U+FFFD."""
    if values.dtype != torch.uint8 or values.dim() != 1:
        raise ConfigurationError(f"a text is uint8 [bytes], not {values.dtype} {tuple(values.shape)}")
    return bytes(values.tolist()).decode(errors="replace")


def taken(module: Any, inputs: Mapping[str, Tensor], name: str, dtype: torch.dtype, *shape: int | None) -> Tensor:
    """Return an input after a check of its dtype and shape; None stands for any length from 1.

    Raises ConfigurationError, which names the module, the input and what is legal.
    """
    if name not in inputs:
        raise ConfigurationError(
            f"module {module.name!r} takes {', '.join(module.takes)}; {name!r} is missing, there are: "
            f"{', '.join(sorted(inputs)) or 'none'}"
        )
    value = inputs[name]
    right = value.dim() == len(shape) and all(
        length >= 1 if wanted is None else length == wanted for length, wanted in zip(value.shape, shape, strict=False)
    )
    if value.dtype != dtype or not right:
        legal = ", ".join("any" if length is None else str(length) for length in shape)
        raise ConfigurationError(
            f"module {module.name!r}: {name!r} is {value.dtype} {list(value.shape)}; legal is {dtype} [{legal}]"
        )
    if dtype.is_floating_point and not torch.isfinite(value).all():
        raise ConfigurationError(f"module {module.name!r}: {name!r} holds NaN or infinite values")
    return value
