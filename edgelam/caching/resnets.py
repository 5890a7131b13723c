# SPDX-License-Identifier: GPL-2.0-only
"""Declared families of CNNs with frozen bottoms: sizes of ResNet-18, -34 and -50, no weights.

As in TrimCaching (arXiv 2405.03990), each task has a model that was fine-tuned from one of a few roots with its first
layers frozen, so that these are the same in all models of the root. Here whole residual blocks are frozen, and the
classifier is always the task's own. Sizes follow from the architecture (He et al., arXiv 1512.03385): weights, and
scale and shift of each batch normalisation. Most of them are in the last blocks, so that a model with half of its
blocks frozen shares only a small part of its bytes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgelam.caching.library import Library
from edgelam.errors import ConfigurationError

Root = Literal["resnet18", "resnet34", "resnet50"]
_STAGES: dict[str, tuple[tuple[int, ...], bool]] = {
    "resnet18": ((2, 2, 2, 2), False), "resnet34": ((3, 4, 6, 3), False), "resnet50": ((3, 4, 6, 3), True),
}  # fmt: skip
"""Root -> residual blocks of each stage, and whether they are bottlenecks."""


def layer_parameters(root: Root, classes: int = 1000) -> list[int]:
    """Return the number of parameters of the stem, of each residual block, and of the classifier, in order."""
    if root not in _STAGES:
        raise ConfigurationError(f"root = {root!r}; legal are {', '.join(_STAGES)}")
    stages, bottleneck = _STAGES[root]
    found, channels = [7 * 7 * 3 * 64 + 2 * 64], 64
    for stage, repeats in enumerate(stages):
        inner = 64 * 2**stage
        outer = 4 * inner if bottleneck else inner
        for _ in range(repeats):
            shapes = [(channels, inner, 1), (inner, inner, 3), (inner, outer, 1)] if bottleneck else [
                (channels, inner, 3), (inner, inner, 3)
            ]  # fmt: skip
            if channels != outer:
                shapes.append((channels, outer, 1))  # the projection beside the block
            found.append(sum(a * b * kernel**2 + 2 * b for a, b, kernel in shapes))
            channels = outer
    return [*found, channels * classes + classes]


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
