# SPDX-License-Identifier: GPL-2.0-only
"""Finds out how large a model would be without allocating it: a configuration may ask for anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules import module as hooks

from edgelam.errors import ConfigurationError
from edgelam.random_streams import torch_seeded

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

MOST_MODULES = 100_000


def check_size(name: str, config: PreTrainedConfig, kind: type[PreTrainedModel]) -> None:
    """Raise ConfigurationError if the model has too many parts, or more weights than this machine has memory.

    It is built on PyTorch's meta device, which holds only shapes, and building stops when a limit is passed.
    """
    what = f"backbone {name!r} ({config.model_type})"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    modules = num_bytes = 0

    def count_module(parent: nn.Module, name: str, child: nn.Module | None) -> None:
        nonlocal modules
        modules += 1
        if modules > MOST_MODULES:
            raise ConfigurationError(f"{what} has more than {MOST_MODULES} layers and parts of layers: it is not built")

    def count_weights(parent: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        nonlocal num_bytes
        num_bytes += 4 * weight.numel() if weight is not None else 0
        if num_bytes > memory:
            raise ConfigurationError(
                f"{what} has weights of more than {num_bytes} bytes in float32, "
                f"the last a {type(parent).__name__} of {tuple(weight.shape) if weight is not None else ()}; "
                f"this machine has {memory} bytes of memory"
            )

    handles = [
        hooks.register_module_module_registration_hook(count_module),
        hooks.register_module_parameter_registration_hook(count_weights),
    ]
    try:
        with torch_seeded(None), torch.device("meta"):
            kind(config)
    except ConfigurationError:
        raise
    except Exception as error:  # sizes that do not fit together, or other errors of this architecture
        reason = (str(error).strip().splitlines() or [""])[0][:160]
        raise ConfigurationError(f"{what} cannot be built: {type(error).__name__}: {reason}") from None
    finally:
        for handle in handles:
            handle.remove()
