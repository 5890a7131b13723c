# SPDX-License-Identifier: GPL-2.0-only
"""What a service runs: a module, which turns named tensors into named tensors.

A module is any object with the attributes of `Module`; `edgelam.models` has functions that make them. `TorchModule`
makes one of a `torch.nn.Module`, and `Declared` stands for a module of which only sizes and work are known.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Values = Mapping[str, "Tensor"]


class Module(Protocol):
    """A computation with weights. The same inputs always give the same outputs.

    It may also have

    - ``generate(inputs)``: an iterator that yields a dict of tensors for each step (a token) and returns the outputs. A
      service then runs the module step by step, and can stream what the steps yield;
    - ``work(inputs) -> Work``: its work, if PyTorch does not see it (onnxruntime) or it is declared;
    - ``file_bytes``: bytes of its weights as they cross the network, if they differ from `weight_bytes`;
    - ``network``: the `torch.nn.Module` that holds its weights, whose traffic is counted once for a batch;
    - ``declared = True``: it computes nothing, so every table marks it.
    """

    @property
    def name(self) -> str:
        """Its name in texts."""

    @property
    def weights_hash(self) -> str:
        """SHA-256 of its weights, and of everything else on which its outputs depend, in hexadecimal digits."""

    @property
    def weight_bytes(self) -> int:
        """Memory that its weights take."""

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of its inputs."""

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of its outputs."""

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn the inputs of one request into its outputs."""


class TorchModule:
    """A module made of a `torch.nn.Module` in evaluation mode."""

    def __init__(
        self,
        name: str,
        network: torch.nn.Module,
        takes: Iterable[str],
        gives: Iterable[str],
        call: Callable[[torch.nn.Module, dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ) -> None:
        """call: turns the network and the inputs into the outputs; by default, the network gets the inputs in the order
        of `takes`, and what it returns is the one output."""
        self.name = name
        self.network = network.eval()
        self.takes, self.gives = tuple(takes), tuple(gives)
        self.weights_hash = weights_hash(network)
        self.weight_bytes = weight_bytes(network)
        if call is None and len(self.gives) != 1:
            raise ConfigurationError(f"module {name!r} gives {', '.join(self.gives)}: several outputs need `call`")
        self._call = call

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Run the network."""
        if self._call is not None:
            return self._call(self.network, inputs)
        return {self.gives[0]: self.network(*(inputs[name] for name in self.takes))}


@dataclasses.dataclass(frozen=True)
class Declared:
    """A module without weights: only its work and sizes are known. Its output is `output_bytes` zeros."""

    name: str
    work_of_request: Work
    """What one request costs."""
    output_bytes: int
    weight_bytes: int
    """Memory that an instance holds."""
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    request_bytes: int = 0
    """Memory that a request holds while it is computed, beside its inputs and outputs."""
    declared = True

    def __post_init__(self) -> None:
        """Refuse sizes that are not legal."""
        if len(self.gives) != 1:
            raise ConfigurationError(f"declared module {self.name!r} gives {self.gives!r}; it has exactly one output")
        if self.output_bytes < 1 or min(self.weight_bytes, self.request_bytes) < 0:
            raise ConfigurationError(
                f"declared module {self.name!r}: output_bytes is {self.output_bytes}, weight_bytes "
                f"{self.weight_bytes}, request_bytes {self.request_bytes}; an output has at least one byte, and none "
                "is negative"
            )

    @property
    def weights_hash(self) -> str:
        """A hash of the declaration."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def work(self, inputs: dict[str, Tensor]) -> Work:
        """Return the declared work."""
        return self.work_of_request

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return zeros."""
        import torch

        return {self.gives[0]: torch.zeros(self.output_bytes, dtype=torch.uint8)}


def weights_hash(network: torch.nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers: names, dtypes, shapes and values; and of the classes."""
    digest = hashlib.sha256()
    for name, part in network.named_modules():
        digest.update(f"{name} {type(part).__qualname__} {part.extra_repr()}".encode())
    for name, tensor in network.state_dict().items():
        hash_tensor(digest, name, tensor)
    return digest.hexdigest()


def weight_bytes(network: torch.nn.Module) -> int:
    """Return the bytes of all parameters and buffers, shared ones once."""
    storages = {}
    for tensor in (*network.parameters(), *network.buffers()):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(storages.values())


def values_hash(values: Values) -> str:
    """Return the SHA-256 of named tensors: names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(values):
        hash_tensor(digest, name, values[name])
    return digest.hexdigest()


def hash_tensor(digest: Any, name: str, tensor: Tensor) -> None:
    """Add a tensor to a digest of hashlib."""
    import torch

    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
