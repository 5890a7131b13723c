# SPDX-License-Identifier: GPL-2.0-only
"""Saving training and resuming it: weights and optimiser states as safetensors, which hold no code.

A file has the trained weights as `weight/NAME`, the weights that a rule for adapters changes as `frozen/NAME`, the
tensors of optimiser K as `optimiser/K/NUMBER/KEY`, and the caller's facts (all strings) as metadata.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edgelam.air.prediction.predictor import Predictor
from edgelam.errors import ConfigurationError
from edgelam.files import digests
from edgelam.files.storage import StorageError, write_atomically
from edgelam.models.lora import lora_layers

FORMAT = "edgelam channel prediction 1"


def save_checkpoint(
    path: Path, predictor: Predictor, optimisers: Sequence[torch.optim.Optimizer], facts: Mapping[str, str]
) -> None:
    """Write everything in one step; whatever happens, `path` is complete. Raises StorageError.

    facts: what the file says about itself; `format` and the file's digest (edgelam.files.digests) are added.
    """
    tensors = everything(predictor)
    for index, optimiser in enumerate(optimisers):
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{number}/{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(tensors, {"format": FORMAT, digests.KEY: digests.BLANK, **facts})
    write_atomically(path, digests.sealed(content))


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a checkpoint says about itself. Raises ConfigurationError if it cannot be read."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def load_checkpoint(
    path: Path, predictor: Predictor, optimisers: Sequence[torch.optim.Optimizer], facts: Mapping[str, str]
) -> dict[str, str]:
    """Load what `path` holds, and return its metadata.

    facts: what the file must say about itself (experiment, method, seed, ...). Raises ConfigurationError, and changes
    nothing, if the file cannot be read, is of something else, or does not fit the predictor or the optimisers.
    """
    with _opened(path) as file:
        metadata = dict(file.metadata() or {})
        metadata.pop(digests.KEY, None)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dictionary
    for key, wanted in {"format": FORMAT, **facts}.items():
        if metadata.get(key) != wanted:
            raise ConfigurationError(
                f"checkpoint {path} is of another run: its {key} is {metadata.get(key)!r}, not {wanted!r}"
            )
    own = everything(predictor)
    held = {name: tensor for name, tensor in tensors.items() if not name.startswith("optimiser/")}
    strange = sorted(held.keys() ^ own.keys()) or [name for name in own if held[name].shape != own[name].shape]
    if strange:
        raise ConfigurationError(f"checkpoint {path} does not fit this predictor: {', '.join(strange[:3])}")
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimisers]
    for name in tensors.keys() - held.keys():
        _, index, number, key = name.split("/")
        if int(index) >= len(states):
            raise ConfigurationError(f"checkpoint {path} has more than the {len(states)} optimisers of this run")
        states[int(index)].setdefault(int(number), {})[key] = tensors[name]
    with torch.no_grad():
        for name, tensor in held.items():
            own[name].copy_(tensor)
    for optimiser, state in zip(optimisers, states, strict=True):
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return metadata


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        if not digests.check_file(path):
            digests.say_unverified(path)
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, StorageError) as error:
        raise ConfigurationError(f"checkpoint {path} cannot be read: {error}") from error


def everything(predictor: Predictor) -> dict[str, Tensor]:
    """Return all that training changes, by name, not as copies."""
    weights: dict[str, Tensor] = {f"weight/{name}": p for name, p in predictor.trained().items()}
    for name, layer in lora_layers(predictor).items():
        weights[f"frozen/{name}"] = layer.base.weight  # type: ignore[assignment]
    return weights
