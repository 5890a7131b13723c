# SPDX-License-Identifier: GPL-2.0-only
"""What is compressed of a batch, sample by sample: activations in int8 or int4, and the largest values of Jacobians.

The compressors are those of `edgelam.learning`. What they leave out of a sample is kept by the sender and added when
the sample comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from edgelam.federated.samples import Batch
from edgelam.federated.setup import Setup
from edgelam.learning import compressors
from edgelam.learning.compressors.settings import CompressionSettings

SMALL: tuple[Literal["int8", "int4"], ...] = ("int8", "int4")


class Packing:
    """What a sender compresses for each sample of a batch, with the errors that it owes; and the receiver's side."""

    def __init__(self, setup: Setup) -> None:
        """Owe nothing yet."""
        settings = setup.settings
        self._by_kind: dict[str, compressors.Compressor] = {}
        for kind in SMALL:
            if kind in settings.decomposition.activations:
                self._by_kind[kind] = compressors.make(CompressionSettings(kind=kind), seed=setup.seed)
        share = settings.decomposition.jacobian_share
        self.jacobian = (
            None if share == 1.0 else compressors.make(CompressionSettings("top-k", share=share), seed=setup.seed)
        )
        self.state = compressors.State()

    def activation(self, kind: str) -> compressors.Compressor | None:
        """The compressor of an encoding of activations; None: one of cosim's."""
        return self._by_kind.get(kind)

    def pack(self, compressor: compressors.Compressor, what: str, rows: Tensor, batch: Batch,
             counts: Sequence[int]) -> dict[str, Any]:  # fmt: skip
        """Return payloads by place in the batch. rows: of all samples, one after the other; counts: of each."""
        parts = rows.split(list(counts))
        return {
            str(place): compressor.encode(f"{what} of {sample}", part, self.state)
            for place, (sample, part) in enumerate(zip(batch.samples.tolist(), parts, strict=True))
        }


def unpack(compressor: compressors.Compressor, payloads: dict[str, Any], counts: Sequence[int], width: int,
           dtype: torch.dtype) -> Tensor:  # fmt: skip
    """Return the rows of all samples, [sum of counts, width]."""
    return torch.cat(
        [compressor.decode(payloads[str(place)], (count, width), dtype) for place, count in enumerate(counts)]
    )
