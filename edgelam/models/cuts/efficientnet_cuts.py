# SPDX-License-Identifier: GPL-2.0-only
"""EfficientNet-Lite, cut between any two of its stages, where maps differ in size: an inner optimum exists."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from edgelam.models.cuts.cuttable import Cuttable, State, wanted
from edgelam.models.efficientnet_lite import EfficientNetLite, preprocess


class EfficientNetCuts(Cuttable):
    """Stages: ``stem``, ``stage 1`` to ``stage 7``, ``classifier``.

    The input is ``image`` uint8 [B, 3, height, width]; maps ``map`` float32 [B, channels, height, width] cross; logits
    are [B, 1000].
    """

    def __init__(self, model: EfficientNetLite) -> None:
        """model: in evaluation mode."""
        self.model = model
        self.stages = ("stem", *(f"stage {i + 1}" for i in range(len(model.stages))), "classifier")

    def advance(self, state: State, first: int, last: int, memory: None = None) -> State:
        """See `Cuttable`."""
        if first == 0:
            (image,) = wanted(state, "image", at="stem")
            x_BCHW = self.model.stem(preprocess(image.to(torch.float32), self.model.size))
        else:
            (x_BCHW,) = wanted(state, "map", at=self.stages[first])
        for stage in self.model.stages[max(first - 1, 0) : last - 1]:
            x_BCHW = stage(x_BCHW)
        return {"logits": self.model.classify(x_BCHW)} if last == len(self.stages) else {"map": x_BCHW}

    def modules(self, stage: int) -> Iterable[nn.Module | nn.Parameter]:
        """See `Cuttable`."""
        if stage == 0:
            return [self.model.stem]
        if stage == len(self.stages) - 1:
            return [self.model.head, self.model.classifier]
        return [self.model.stages[stage - 1]]
