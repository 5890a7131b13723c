# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of predictors (edgelam.learning.checkpoints): `weight/NAME` is what is trained, and `frozen/NAME` what a
rule for adapters changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from edgelam.air.prediction.predictor import Predictor
from edgelam.learning import checkpoints
from edgelam.learning.checkpoints import read_metadata
from edgelam.models.lora import lora_layers

__all__ = ["everything", "load_checkpoint", "read_metadata", "save_checkpoint"]

FORMAT = "edgelam channel prediction 1"


def save_checkpoint(
    path: Path, predictor: Predictor, optimisers: Sequence[torch.optim.Optimizer], facts: Mapping[str, str]
) -> None:
    """Write everything in one step; whatever happens, `path` is complete. Raises StorageError.

    facts: what the file says about itself; `format` and the file's digest (edgelam.files.digests) are added.
    """
    checkpoints.save_checkpoint(path, everything(predictor), optimisers, {"format": FORMAT, **facts})


def load_checkpoint(
    path: Path, predictor: Predictor, optimisers: Sequence[torch.optim.Optimizer], facts: Mapping[str, str]
) -> dict[str, str]:
    """Load what `path` holds, and return its metadata.

    facts: what the file must say about itself (experiment, method, seed, ...). Raises ConfigurationError, and changes
    nothing, if the file cannot be read, is of something else, or does not fit the predictor or the optimisers.
    """
    wanted = {"format": FORMAT, **facts}
    return checkpoints.load_checkpoint(path, everything(predictor), optimisers, wanted, what="predictor")


def everything(predictor: Predictor) -> dict[str, Tensor]:
    """Return all that training changes, by name, not as copies."""
    weights: dict[str, Tensor] = {f"weight/{name}": p for name, p in predictor.trained().items()}
    for name, layer in lora_layers(predictor).items():
        weights[f"frozen/{name}"] = layer.base.weight  # type: ignore[assignment]
    return weights
