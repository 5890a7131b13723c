# SPDX-License-Identifier: GPL-2.0-only
"""Sizes of ResNet-18, -34 and -50, layer by layer, from the architecture (He et al., arXiv 1512.03385).

Counted are weights, and scale and shift of each batch normalisation.
"""

from __future__ import annotations

_STAGES: dict[str, tuple[tuple[int, ...], bool]] = {
    "resnet18": ((2, 2, 2, 2), False), "resnet34": ((3, 4, 6, 3), False), "resnet50": ((3, 4, 6, 3), True),
}  # fmt: skip
"""Root -> residual blocks of each stage, and whether they are bottlenecks."""


def layer_parameters(root: str, classes: int = 1000) -> list[int]:
    """Return the number of parameters of the stem, of each residual block, and of the classifier, in order."""
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
