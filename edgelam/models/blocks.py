# SPDX-License-Identifier: GPL-2.0-only
"""The transformer blocks of an encoder, cut between any two of them: the lower ones run here, the upper ones there.

    embeddings --lower(cut)--> what enters block `cut` --upper(cut)--> representation

Positions, masks and whatever else a model works out around its blocks are worked out on both sides, by the model's own
code (edgelam/models/cuts/window.py). With cut 0, everything is above; with cut `count`, everything is below.

Shape suffixes: B batch, L padded length, D width of the embeddings, H width of the hidden states.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.models.cuts.window import Window, find_stack
from edgelam.models.entry import TOLERANCE, TRIAL_SEED
from edgelam.models.padding import mask_of
from edgelam.models.parts import Encoder
from edgelam.random_streams import torch_generator

_LENGTHS = (3, 5)


class Blocks:
    """The blocks of one encoder, in order."""

    def __init__(self, encoder: Encoder, width: int) -> None:
        """width: D. Raises ConfigurationError if blocks are not found, or a cut between them changes the results."""
        self.encoder, self.width = encoder, width
        config: Any = encoder.model.config
        try:
            self.name = find_stack(encoder.model, config.num_hidden_layers)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error}, so it is cut nowhere but after the token embedding (blocks 0)"
            ) from None
        self._windows: dict[tuple[int, int], Window] = {}
        self._try()

    @property
    def count(self) -> int:
        """Number of blocks."""
        config: Any = self.encoder.model.config
        return int(config.num_hidden_layers)

    def check(self, cut: int) -> int:
        """Return the cut. Raises ConfigurationError if it is outside the model."""
        if not 0 <= cut <= self.count:
            raise ConfigurationError(f"blocks on the device are {cut}; legal are 0 to {self.count}, all of the model")
        return cut

    def block_of(self, name: str) -> int | None:
        """Return the number of the block to which a weight of `encoder.lora` or `encoder.base()` belongs."""
        head, _, rest = name.partition(f"{self.name}.")
        number = rest.partition(".")[0]
        return int(number) if not head and number.isdigit() else None

    def weights(self, named: dict[str, Any], first: int, stop: int) -> dict[str, Any]:
        """Return those of `named` that belong to blocks `first` to `stop` - 1, in their order."""
        return {name: w for name, w in named.items() if (at := self.block_of(name)) is not None and first <= at < stop}

    def lower(self, x_BLD: Tensor, mask_BL: Tensor, cut: int) -> Tensor:
        """Embeddings [B, L, D] -> what enters block `cut`, [B, L, H]; with all blocks, the representation."""
        if self.check(cut) == 0:
            return x_BLD
        if cut == self.count:
            out: Tensor = self.encoder(x_BLD, mask_BL)
            return out
        return self._window(0, cut)(None, **self.encoder.entry.arguments(x_BLD, mask_BL))

    def upper(self, hidden_BLH: Tensor, mask_BL: Tensor, cut: int) -> Tensor:
        """What enters block `cut` [B, L, H] -> the representation; with all blocks below, it is that already."""
        if self.check(cut) == self.count:
            return hidden_BLH
        if cut == 0:
            whole: Tensor = self.encoder(hidden_BLH, mask_BL)
            return whole
        # the model makes its masks and positions for embeddings of this shape; the block gets `hidden_BLH`
        nothing = hidden_BLH.new_zeros(*mask_BL.shape, self.width)
        out = self._window(cut, self.count)(hidden_BLH, **self.encoder.entry.arguments(nothing, mask_BL))
        return out if self.encoder.cut == "tokens" else self.encoder.pool(out, mask_BL)

    def _window(self, first: int, stop: int) -> Window:
        if (first, stop) not in self._windows:
            self._windows[first, stop] = Window(self.encoder.model, self.name, first, stop)
        return self._windows[first, stop]

    @torch.no_grad()
    def _try(self) -> None:
        """Compare cuts with the whole, with padding."""
        generator = torch_generator(TRIAL_SEED)
        dtype = next(self.encoder.model.parameters()).dtype
        x = torch.randn(2, max(_LENGTHS), self.width, generator=generator).to(dtype)
        mask = mask_of(torch.tensor(_LENGTHS))
        model, entry = self.encoder.model, self.encoder.entry
        was_training = self.encoder.training
        self.encoder.eval()
        whole = entry.hidden(model, x, mask)[mask]
        for cut in sorted({1, self.count // 2, self.count - 1} & set(range(1, self.count))):
            middle = self.lower(x, mask, cut)
            parts = self._window(cut, self.count)(middle, **entry.arguments(torch.zeros_like(x), mask))[mask]
            error = float((parts - whole).abs().max() / whole.square().mean().sqrt())
            if not error <= TOLERANCE:
                raise ConfigurationError(
                    f"model {type(model).__name__} cut before block {cut} differs by {error:.2g} of the RMS of its "
                    "hidden states: its blocks pass on more than hidden states; legal is blocks 0"
                )
        self._windows.clear()  # they were made without dropout
        self.encoder.train(was_training)
