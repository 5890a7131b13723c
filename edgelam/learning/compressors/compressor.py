# SPDX-License-Identifier: GPL-2.0-only
"""The base class of compressors, with error feedback (Seide et al. 2014; Karimireddy et al., arXiv 1901.09847).

With the remaining error e of the sender, an update u becomes

    w = u + e,    payload = C(w),    e <- w - decoded(payload)

so that the sum of everything decoded plus e is the sum of all updates, up to the rounding of the sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.learning.divergence import refuse_divergence

Payload = dict[str, "np.ndarray[Any, Any]"]
"""What crosses the network: arrays of bytes and whole numbers, which no encoding of a message changes."""


@dataclass
class State:
    """What one sender keeps between updates, by the name of the tensor."""

    residuals: dict[str, Tensor] = field(default_factory=dict)
    """The remaining error: float32, or float64 if the updates are."""
    bases: dict[str, Tensor] = field(default_factory=dict)
    """PowerSGD: the right factor of the last update, [columns, rank]."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything as one flat dictionary, for a checkpoint: residuals/NAME, bases/NAME; not copies."""
        return {f"{kind}/{name}": tensor for kind, kept in vars(self).items() for name, tensor in kept.items()}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Load what `state_dict` returned. Raises ConfigurationError for another name, and then changes nothing."""
        fresh = State()
        for name, tensor in saved.items():
            kind, _, key = name.partition("/")
            if kind not in ("residuals", "bases") or not key:
                raise ConfigurationError(f"{name!r} is no state of a compressor; legal are residuals/NAME, bases/NAME")
            vars(fresh)[kind][key] = tensor.detach().clone()
        self.residuals, self.bases = fresh.residuals, fresh.bases

    def copy(self) -> State:
        """Return another state with the same tensors, which are never written to in place."""
        return State(dict(self.residuals), dict(self.bases))

    @property
    def num_bytes(self) -> int:
        """Return the number of bytes of all elements."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.state_dict().values())


class Compressor(ABC):
    """One way to compress. It has no state of its own: that of a sender is a `State`."""

    name: ClassVar[str]
    feeds_back: ClassVar[bool] = True
    """Whether what is left out is added to the next update."""

    def encode(self, name: str, update: Tensor, state: State) -> Payload:
        """Compress an update of the tensor `name`: floating-point, any shape.

        Raises Diverged if the update is not finite, since it would stay in the residual for ever, and
        ConfigurationError for whole numbers.
        """
        if not update.is_floating_point():
            raise ConfigurationError(f"{name} to compress is {update.dtype}; floating-point tensors are legal")
        refuse_divergence(update, f"the update of {name} to compress", "Smaller learning rates may help")
        wanted = update.detach().to(torch.float64 if update.dtype == torch.float64 else torch.float32)
        if self.feeds_back and (owed := state.residuals.get(name)) is not None:
            wanted = wanted + owed
        payload = self.compress(name, wanted, state)
        if self.feeds_back:
            state.residuals[name] = wanted - self.decode(payload, update.shape, update.dtype).to(wanted)
        return payload

    def decode(self, payload: Payload, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return the update as the receiver sees it; shape and dtype: of the update, as both sides have agreed."""
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return self.decompress(payload, tuple(shape), wide).to(dtype)

    @abstractmethod
    def compress(self, name: str, values: Tensor, state: State) -> Payload:
        """Return what is sent for `values`, which are float32 or float64 and finite."""

    @abstractmethod
    def decompress(self, payload: Payload, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return what is received, in `dtype` (float32 or float64)."""


def wire_bytes(payload: Payload) -> int:
    """Return the number of bytes that a payload takes on the wire."""
    return sum(array.nbytes for array in payload.values())


def pack(values: Tensor, encoding: str) -> np.ndarray[Any, Any]:
    """Return values in an encoding of edgelam.cosim, uint8 [bytes]."""
    return np.frombuffer(cosim.encode(values, encoding).tobytes(), np.uint8)


def unpack(wire: np.ndarray[Any, Any], shape: Sequence[int], dtype: torch.dtype, encoding: str) -> Tensor:
    """Return the argument of `pack`, as the receiver sees it. Raises ConfigurationError for another number of bytes."""
    agreed = cosim.encode(torch.zeros(tuple(shape), dtype=dtype), encoding)
    if wire.nbytes != agreed.nbytes:
        raise ConfigurationError(
            f"{wire.nbytes} bytes came for a tensor {tuple(shape)} in {encoding}; legal are {agreed.nbytes}"
        )
    decoded: Tensor = cosim.decode(agreed, wire=np.ascontiguousarray(wire))
    return decoded


def plain(dtype: torch.dtype) -> str:
    """Return the encoding that changes no value of float32 or float64."""
    return "fp64" if dtype == torch.float64 else "fp32"
