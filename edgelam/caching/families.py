# SPDX-License-Identifier: GPL-2.0-only
"""Declared families of CNNs with frozen bottoms: sizes of their layers, no weights.

As in TrimCaching (arXiv 2405.03990), each task has a model that was fine-tuned from one of a few roots with its first
layers frozen, so that these are the same in all models of the root. Here whole residual blocks (ResNet) or stages
(EfficientNet-Lite) are frozen, and the classifier is always the task's own. Most parameters are in the last layers, so
that a model with half of its layers frozen shares only a small part of its bytes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgelam.caching import resnets
from edgelam.caching.blocks import by_layer
from edgelam.caching.library import Library
from edgelam.errors import ConfigurationError

Root = Literal["resnet18", "resnet34", "resnet50", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
ROOTS: tuple[Root, ...] = Root.__args__  # type: ignore[attr-defined]


def layer_parameters(root: Root, classes: int = 1000) -> list[int]:
    """Return the number of parameters of each layer, from the stem to the classifier. Raises ConfigurationError."""
    if root not in ROOTS:
        raise ConfigurationError(f"root = {root!r}; legal are {', '.join(ROOTS)}")
    if root.startswith("resnet"):
        return resnets.layer_parameters(root, classes)
    import torch

    from edgelam.models.efficientnet_lite import EfficientNetLite

    with torch.device("meta"):  # shapes without numbers
        model = EfficientNetLite(root.removeprefix("efficientnet-"))
        model.classifier = torch.nn.Linear(model.classifier.in_features, classes)
    sizes: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        sizes[by_layer(name)] = sizes.get(by_layer(name), 0) + parameter.numel()
    return list(sizes.values())


def frozen_bottoms(
    tasks: int, rng: np.random.Generator, *, roots: tuple[Root, ...] = ("resnet18", "resnet34", "resnet50"),
    classes: int = 100, bytes_per_parameter: float = 4, least_frozen: float = 0.7, share: bool = True,
) -> Library:  # fmt: skip
    """Draw a library of `tasks` models, whose roots follow in turn.

    bytes_per_parameter: 4 for float32; 1 if the roots were quantised to int8 once, before they were fine-tuned
    (quantising each fine-tuned model by itself makes its frozen layers another block). least_frozen: share of stem,
    residual blocks and classifier that is frozen at least, 0 to 1; how many are is uniform from there to all but the
    classifier. share=False: the same models without any sharing. Raises ConfigurationError.
    """
    if tasks < 1 or not roots or not bytes_per_parameter > 0 or not 0 <= least_frozen <= 1:
        raise ConfigurationError(
            f"a family of {tasks} tasks, roots {roots!r}, {bytes_per_parameter!r} bytes per parameter, least_frozen = "
            f"{least_frozen!r}; there must be a task and a root, bytes above 0, and a share from 0 to 1"
        )
    models = []
    for task in range(tasks):
        root = roots[task % len(roots)]
        sizes = [max(1, round(count * bytes_per_parameter)) for count in layer_parameters(root, classes)]
        frozen = int(rng.integers(min(round(least_frozen * len(sizes)), len(sizes) - 1), len(sizes)))
        names = [
            f"{root}/{layer}" if share and layer < frozen else f"{root}/{layer} of task {task}"
            for layer in range(len(sizes))
        ]
        models.append((f"{root}-task{task}", list(zip(names, sizes, strict=True))))
    return Library.of_lists(models, declared=True)
