# SPDX-License-Identifier: GPL-2.0-only
"""DINOv2 (M. Oquab et al., arXiv 2304.07193), cut between any two of its layers.

Shape suffixes: B batch, N tokens (the class token, then those of patches), D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from edgelam.models.cuts.cuttable import Cuttable, State, wanted


class ImageCuts(Cuttable):
    """Stages: ``embedding``, ``layer 0`` and so on, ``head``.

    The input is ``image``, whatever `prepare` takes. Between layers, ``tokens`` float32 [B, N, D] cross; after the last
    one, they are normalised. ``logits`` are what `head` makes of them.
    """

    def __init__(self, model: Any, prepare: Callable[[Tensor], Tensor], head: Callable[[Tensor], Tensor]) -> None:
        """model: a transformers.Dinov2Model; prepare: images -> pixels [B, 3, height, width], normalised; head: tokens
        [B, N, D] -> logits [B, C]."""
        self.model, self.prepare, self.head = model, prepare, head
        self.stages = ("embedding", *(f"layer {i}" for i in range(len(model.encoder.layer))), "head")

    def advance(self, state: State, first: int, last: int, memory: None = None) -> State:
        """See `Cuttable`."""
        layers = self.model.encoder.layer
        if first == 0:
            (image,) = wanted(state, "image", at="embedding")
            tokens_BND = self.model.embeddings(self.prepare(image))
        else:
            (tokens_BND,) = wanted(state, "tokens", at=self.stages[first])
        for layer in layers[max(first - 1, 0) : last - 1]:
            tokens_BND = layer(tokens_BND, None)
        if first <= len(layers) < last:  # the last layer is among these stages
            tokens_BND = self.model.layernorm(tokens_BND)
        return {"logits": self.head(tokens_BND)} if last == len(self.stages) else {"tokens": tokens_BND}

    def modules(self, stage: int) -> Iterable[nn.Module | nn.Parameter]:
        """See `Cuttable`."""
        layers = self.model.encoder.layer
        if stage == 0:
            return [self.model.embeddings]
        if stage == len(self.stages) - 1:
            return [self.head] if isinstance(self.head, nn.Module) else []
        return [layers[stage - 1], *([self.model.layernorm] if stage == len(layers) else [])]
