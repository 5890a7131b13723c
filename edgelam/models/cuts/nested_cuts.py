# SPDX-License-Identifier: GPL-2.0-only
"""A nested model of some depth and width, cut between any two of its layers; smaller depths are early exits.

Shape suffixes: B batch, L tokens, D width of the hidden states, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from edgelam.models.cuts.cuttable import Cuttable, State, wanted
from edgelam.models.nested.network import Nested, layer, leave, part_names, stem


class NestedCuts(Cuttable):
    """Stages: ``stem``, ``layer 0`` and so on, ``exit`` and its depth.

    The input is ``ids`` int64 [B, L] or ``pixels`` float32 [B, 3, height, width], and ``mask`` bool [B, L] if some
    tokens are padding. Between stages, ``hidden`` float32 [B, L, D] crosses, and the mask if there is one. ``logits``
    are [B, C].
    """

    def __init__(self, nested: Nested, depth: int | None = None, width: int = -1) -> None:
        """depth: of an exit, by default the last one; width: number of the width, -1: the whole.

        Raises ConfigurationError for a depth without an exit.
        """
        self.nested, self.width = nested, width % nested.shape.widths
        self.stages = tuple(part_names(nested.shape, depth))
        self._depths = {1 + d: d for d in nested.shape.exits if 1 + d < len(self.stages) - 1}
        self.exits = tuple(self._depths)

    def advance(self, state: State, first: int, last: int, memory: None = None) -> State:
        """See `Cuttable`."""
        shape, mask_BL = self.nested.shape, state.get("mask")
        name = ("ids" if shape.kind == "text" else "pixels") if first == 0 else "hidden"
        (x,) = wanted(state, name, at=self.stages[first])
        for stage in range(first, last):
            w = self.nested.weights(self.stages[stage], self.width)
            if stage == 0:
                x = stem(shape, w, x)
            elif stage < len(self.stages) - 1:
                x = layer(shape, w, x, mask_BL)
            else:
                return {"logits": leave(shape, w, x, mask_BL)}
        return {"hidden": x} | ({} if mask_BL is None else {"mask": mask_BL})

    def leave(self, state: State, cut: int) -> Tensor:
        """See `Cuttable`."""
        if cut not in self._depths:
            return super().leave(state, cut)
        (hidden,) = wanted(state, "hidden", at=f"exit {self._depths[cut]}")
        w = self.nested.weights(f"exit {self._depths[cut]}", self.width)
        return leave(self.nested.shape, w, hidden, state.get("mask"))

    def modules(self, stage: int) -> Iterable[nn.Module | nn.Parameter]:
        """See `Cuttable`. Of a layer, the weights of this width."""
        weights = self.nested.weights(self.stages[stage], self.width)
        return [nn.Parameter(weight, requires_grad=False) for weight in weights.values()]
