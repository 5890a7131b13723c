# SPDX-License-Identifier: GPL-2.0-only
"""Loads fetched models of transformers: with their weights, or, as a control, with random ones of the same shapes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch

from edgelam.errors import ConfigurationError
from edgelam.models.fetch import model_folder
from edgelam.models.offline import offline_and_quiet
from edgelam.random_streams import derive_seed, torch_seeded


def load(name: str, kind: Any, *, random_seed: int | None = None) -> Any:
    """Return a fetched model in float32 and evaluation mode, its weights frozen. It is one object in a process.

    kind: the class of transformers. random_seed: draw the weights as the class initialises them, instead of reading
    them. Raises ConfigurationError if the model was not fetched or is damaged.
    """
    return _loaded(name, model_folder(name), kind, random_seed)


@functools.cache
def _loaded(name: str, folder: Path, kind: Any, random_seed: int | None) -> Any:
    with offline_and_quiet():
        if random_seed is None:
            try:
                model = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
            except Exception as error:  # a foreign file may raise anything
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
                raise ConfigurationError(f"{folder}: {kind.__name__} cannot be loaded ({reason})") from None
        else:
            config = kind.config_class.from_pretrained(folder, local_files_only=True)
            with torch_seeded(derive_seed(random_seed, f"random weights of {name}") % 2**63):
                model = kind._from_config(config).float()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()
