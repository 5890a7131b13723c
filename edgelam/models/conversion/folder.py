# SPDX-License-Identifier: GPL-2.0-only
"""Writes a model folder for transformers from named tensors, and reads it back before anybody uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.models.offline import offline_and_quiet

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def write_model(kind: type[PreTrainedModel], config: PreTrainedConfig, state: dict[str, Tensor], folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``.

    state: names of the published checkpoint (not of the module, which change between versions of transformers) ->
    tensors. Raises ConfigurationError if a weight is missing, unknown or of another shape for `kind`.
    """
    config.architectures = [kind.__name__]
    config.save_pretrained(folder)
    save_file(
        {name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    check_weights(kind, folder)


def check_weights(kind: type[PreTrainedModel], folder: Path) -> None:
    """Raise ConfigurationError if a weight in a folder is missing, unknown or of another shape for `kind`."""
    with offline_and_quiet():
        try:
            loaded: Any = kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
            )
        except Exception as error:  # a foreign file may raise anything
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise ConfigurationError(f"{folder}: {kind.__name__} cannot be loaded ({reason})") from None
    report = loaded[1]
    faults = [*report["missing_keys"], *report["unexpected_keys"], *report.get("mismatched_keys", [])]
    if faults:
        raise ConfigurationError(
            f"the model file is not the one that was expected: {len(faults)} weights are missing, unknown or of "
            f"another shape, the first is {sorted(map(str, faults))[0]}"
        )
