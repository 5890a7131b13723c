# SPDX-License-Identifier: GPL-2.0-only
"""Compression of what crosses the network in a collective, with the compressors of edgelam.learning.

compression = Compression(CompressionSettings("int8"), seed=1)                     # one a rank
await group.all_reduce(gradient, "avg", compression=compression.of("layer 3"))

Every message of the collective is compressed by the rank that sends it, which adds what it left out to the next message
of the same tensor, place and step: at each hop of a reduction, and once more where the result is packed for all. All
ranks take the result from the same bytes, so that it is the same bit for bit. ``powersgd`` reduces two factors instead,
see collectives/low_rank.py.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.learning.compressors import CompressionSettings, State, make
from edgelam.learning.compressors.compressor import Payload
from edgelam.parallel.reduction import Reduction


class Compression:
    """A way to compress, and what one rank still owes."""

    def __init__(self, settings: CompressionSettings, *, seed: int = 1) -> None:
        """As the settings say; seed: the same on all ranks."""
        self.settings, self.seed = settings, seed
        self.compressor = make(settings, seed=seed)
        self.state = State()

    def of(self, name: str) -> Compressed:
        """The option of a collective of the tensor of that name: one that comes again and again, of the same shape."""
        return Compressed(self, name)


class Compressed:
    """How the messages of one tensor's collectives are compressed."""

    def __init__(self, compression: Compression, name: str) -> None:
        """Of the tensor called `name`."""
        self.compression, self.name = compression, name

    @property
    def is_low_rank(self) -> bool:
        """Whether an all-reduce is one of two factors (collectives/low_rank.py)."""
        return self.compression.settings.kind == "powersgd"

    def check(self, operation: str, tensor: Tensor, reduction: Reduction | None) -> None:
        """Refuse what cannot be compressed."""
        if not tensor.is_floating_point():
            raise ConfigurationError(
                f"{operation} of {tensor.dtype} with compression; legal are floating-point tensors"
            )
        if reduction is not None and not reduction.is_linear:
            raise ConfigurationError(
                f"{operation} with compression reduces by {reduction.name}; legal are sum, avg and premul_sum, to "
                "which what was left out can be added later"
            )

    def pack(self, tensor: Tensor, part: tuple[Any, ...]) -> Payload:
        """What crosses the network of a tensor; part: where in the collective."""
        name = f"{self.name}/{part!r}"
        state = self.compression.state
        kept = state.residuals.get(name)
        if kept is not None and kept.shape != tensor.shape:
            raise ConfigurationError(
                f"{tensor.numel():,} values of the tensor {self.name!r} are to be compressed, not {kept.numel():,} as "
                "before: give each tensor a name of its own"
            )
        return self.compression.compressor.encode(name, tensor, state)

    def unpack(self, payload: Payload, like: Tensor) -> Tensor:
        """The values that `payload` stands for."""
        return self.compression.compressor.decode(payload, like.shape, like.dtype)
