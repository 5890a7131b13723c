# SPDX-License-Identifier: GPL-2.0-only
"""One backbone for the models of several tasks: equal frozen weights become one tensor, and bytes are counted once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def share_frozen(modules: Sequence[nn.Module]) -> None:
    """Let all modules hold the same tensor wherever they hold equal weights that are not trained.

    What a module computes does not change, to the last bit. Weights are equal if all their bytes are.
    """
    known: dict[tuple[object, ...], Tensor] = {}
    for module in modules:
        for parameter in module.parameters():
            if not parameter.requires_grad:
                raw = parameter.detach().cpu().flatten().contiguous().view(torch.uint8).numpy()
                key = (parameter.device, parameter.dtype, parameter.shape, hashlib.sha256(raw.tobytes()).digest())
                parameter.data = known.setdefault(key, parameter.data)


def held_bytes(modules: Sequence[nn.Module]) -> int:
    """Return the bytes of all weights and buffers of these modules together; what is shared counts once."""
    held = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
    }
    return sum(held.values())


def trained_bytes(modules: Sequence[nn.Module]) -> int:
    """Return the bytes of the trained weights of these modules together; what is shared counts once."""
    trained = {id(p): p.numel() * p.element_size() for each in modules for p in each.parameters() if p.requires_grad}
    return sum(trained.values())


def tie_adapters(first: nn.Module, second: nn.Module) -> None:
    """Give `second` the adapters (LoRA) of `first`, which has layers of the same names: both train the same ones."""
    of_first = {name: module for name, module in first.named_modules() if "lora_" in name and hasattr(module, "weight")}
    for name, module in second.named_modules():
        if name in of_first:
            module.weight = of_first[name].weight
