# SPDX-License-Identifier: GPL-2.0-only
"""How much memory training takes: counted are the bytes that a device would have to hold.

Parameters and optimiser state are added up from the tensors. Activations are measured: they are the distinct storages
that autograd saves for the backward pass, without the parameters themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from edgelam.cosim.devices import MemoryPool


class Saved:
    """The bytes that autograd has saved while recording."""

    def __init__(self, not_counted: Iterable[Tensor]) -> None:
        """Count everything but `not_counted`."""
        # kept, so that what must be counted does not get one of their addresses (a head replaces its buffers)
        self._kept = [tensor.untyped_storage() for tensor in not_counted]
        self._known = {storage.data_ptr() for storage in self._kept}
        self.num_bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        """For `saved_tensors_hooks`: count `tensor`, whose storage counts once."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self.num_bytes += storage.nbytes()
        return tensor


@contextmanager
def saved_for_backward(*modules: nn.Module) -> Iterator[Saved]:
    """Measure the activations saved for backward in the block; the weights of `modules` do not count."""
    saved = Saved(tensor for module in modules for tensor in (*module.parameters(), *module.buffers()))
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        yield saved


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the number of bytes of all elements."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def training_bytes(modules: Iterable[nn.Module], state_per_weight: int) -> tuple[int, int]:
    """Return (parameters and buffers, gradients and optimiser state) in bytes.

    state_per_weight: tensors that the optimiser keeps for each weight (2 for AdamW, 0 for SGD); the gradient is added.
    """
    fixed = trained = 0
    for module in modules:
        fixed += tensor_bytes(module.parameters()) + tensor_bytes(module.buffers())
        trained += tensor_bytes(p for p in module.parameters() if p.requires_grad)
    return fixed, trained * (1 + state_per_weight)


@contextmanager
def borrowed(pool: MemoryPool) -> Iterator[Callable[[str, int], None]]:
    """Memory of a node for as long as the block lasts: ``with borrowed(node.memory) as take: take("activations", n)``.

    take(label, bytes): as in `MemoryPool.allocate`, a label that is used again replaces what it had. Everything is
    freed when the block is left, also by an error or a cancellation.
    """
    labels: dict[str, None] = {}

    def take(label: str, num_bytes: int) -> None:
        pool.allocate(label, num_bytes)
        labels[label] = None

    try:
        yield take
    finally:
        for label in labels:
            pool.free(label)
