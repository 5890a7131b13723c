# SPDX-License-Identifier: GPL-2.0-only
"""Saving training and resuming it: weights and optimiser states as safetensors, which hold no code.

A file has the trainer's tensors by the names it gives, the tensors of optimiser K as `optimiser/K/NUMBER/KEY`, and the
caller's facts (all strings) as metadata.
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

from edgelam.errors import ConfigurationError
from edgelam.files import digests
from edgelam.files.storage import StorageError, write_atomically


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], optimisers: Sequence[torch.optim.Optimizer], facts: Mapping[str, str]
) -> None:
    """Write everything in one step; whatever happens, `path` is complete. Raises StorageError.

    facts: what the file says about itself, `format` among it; the file's digest (edgelam.files.digests) is added.
    """
    held = dict(tensors)
    for index, optimiser in enumerate(optimisers):
        for number, state in optimiser.state_dict()["state"].items():
            held |= {f"optimiser/{index}/{number}/{key}": torch.as_tensor(value) for key, value in state.items()}
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in held.items()}
    content = save(held, {digests.KEY: digests.BLANK, **facts})
    write_atomically(path, digests.sealed(content))


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a checkpoint says about itself. Raises ConfigurationError if it cannot be read."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def read_checkpoint(path: Path, facts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata of a checkpoint and its tensors, for a caller who knows where these belong.

    facts: what the file must say about itself. Raises ConfigurationError if it cannot be read, or is of something else.
    """
    with _opened(path) as file:
        metadata = dict(file.metadata() or {})
        metadata.pop(digests.KEY, None)
        # copies: tensors in a file are not aligned as PyTorch makes them, and results could differ in their last bits
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # it is no dictionary
    for key, wanted in facts.items():
        if metadata.get(key) != wanted:
            raise ConfigurationError(
                f"checkpoint {path} is of another run: its {key} is {metadata.get(key)!r}, not {wanted!r}"
            )
    return metadata, tensors


def load_checkpoint(
    path: Path, own: Mapping[str, Tensor], optimisers: Sequence[torch.optim.Optimizer], facts: Mapping[str, str], *,
    what: str,
) -> dict[str, str]:  # fmt: skip
    """Load what `path` holds into the tensors `own` and the optimisers, and return its metadata.

    facts: what the file must say about itself (format, experiment, seed, ...); what: the model, in errors. Raises
    ConfigurationError, and changes nothing, if the file cannot be read, is of something else, or does not fit.
    """
    metadata, tensors = read_checkpoint(path, facts)
    held = {name: tensor for name, tensor in tensors.items() if not name.startswith("optimiser/")}
    strange = sorted(held.keys() ^ own.keys()) or [name for name in own if held[name].shape != own[name].shape]
    if strange:
        raise ConfigurationError(f"checkpoint {path} does not fit this {what}: {', '.join(strange[:3])}")
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
