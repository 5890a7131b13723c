# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of agents: weights, optimisers and steps that were taken, as safetensors, which hold no code.

A file has `MODULE/NAME` for each weight, `optimiser/NAME/NUMBER/KEY`, `experience/NAME`, and facts (strings).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edgelam.agents.agent import Agent
from edgelam.errors import ConfigurationError
from edgelam.files import digests
from edgelam.files.storage import StorageError, write_atomically

FORMAT = "edgelam agent 1"
ABOUT = "about"
"""The entry of the file's metadata that has the facts, as JSON."""


def write(path: Path, agent: Agent, facts: Mapping[str, str], experience: Mapping[str, Tensor]) -> None:
    """Write everything in one step; whatever happens, `path` is complete. Raises StorageError."""
    tensors = dict(_weights(agent))
    for name, optimiser in agent.optimisers.items():
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{name}/{number}/{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors |= {f"experience/{name}": tensor for name, tensor in experience.items()}
    held = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    about = {"format": FORMAT, digests.KEY: digests.BLANK, **facts}
    content = save(held, {ABOUT: json.dumps(about)})  # one entry: the order of several is not always the same
    write_atomically(path, digests.sealed(content))


def read(path: Path, agent: Agent, about: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Load weights and optimisers into `agent`; return the facts, and what was kept of the steps.

    about: facts that the file must have. Raises ConfigurationError, and changes nothing, if the file cannot be read, is
    of something else, or does not fit the agent.
    """
    try:
        if not digests.check_file(path):
            raise ConfigurationError(f"{path} is no checkpoint of an agent: it has no digest")
        with safe_open(path, framework="pt") as file:
            facts = dict(json.loads((file.metadata() or {}).get(ABOUT, "{}")))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dictionary
    except (SafetensorError, OSError, StorageError, json.JSONDecodeError) as error:
        raise ConfigurationError(f"checkpoint {path} cannot be read: {error}") from error
    for key, wanted in {"format": FORMAT, **about}.items():
        if facts.get(key) != wanted:
            raise ConfigurationError(f"checkpoint {path} has {key} {facts.get(key)!r}, not {wanted!r}: it is of "
                                     "another training; remove it, or name another folder")  # fmt: skip
    own = _weights(agent)
    strange = [name for name in own if name not in tensors or tensors[name].shape != own[name].shape]
    if strange:
        raise ConfigurationError(f"checkpoint {path} does not fit this agent: {', '.join(strange[:3])}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    for name, optimiser in agent.optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for place, tensor in tensors.items():
            if place.startswith(f"optimiser/{name}/"):
                _, _, number, key = place.split("/")
                state.setdefault(int(number), {})[key] = tensor
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    kept = {name.removeprefix("experience/"): t for name, t in tensors.items() if name.startswith("experience/")}
    return facts, kept


def _weights(agent: Agent) -> dict[str, Tensor]:
    return {
        f"{module}/{name}": weight
        for module, network in agent.modules.items()
        for name, weight in network.state_dict().items()
    }
