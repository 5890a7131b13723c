# SPDX-License-Identifier: GPL-2.0-only
"""A device's data as tensors: tokenised samples, and batches in an order fixed by the seed.

The batch of (step, part) depends only on the shard and the seed. So every method trains on the same samples, in
whatever order it asks for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgelam.data import Examples
from edgelam.errors import ConfigurationError
from edgelam.models import Backbone
from edgelam.models.images import ImageBackbone
from edgelam.models.padding import mask_of
from edgelam.models.parts import no_tokenizer
from edgelam.random_streams import from_numbers


@dataclass(frozen=True)
class Batch:
    """Samples of one device, padded on the right to the longest.

    inputs: token ids [B, L] int64 or continuous tokens [B, L, F] float32; mask: [B, L] bool; labels: [B] int64;
    samples: [B] int64, their numbers.
    """

    inputs: Tensor
    mask: Tensor
    labels: Tensor
    samples: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of samples, B."""
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (B, L)."""
        return int(self.mask.shape[0]), int(self.mask.shape[1])


class Samples:
    """Samples that are tokenised when they are first asked for; `batch(indices)` collates some of them."""

    def __init__(self, examples: Examples, backbone: Backbone, max_tokens: int) -> None:
        """Texts are cut off after `max_tokens`, including special tokens; images are scaled to as many patches."""
        self.labels = torch.from_numpy(np.ascontiguousarray(examples.labels))
        self._backbone = backbone
        self._limit = min(max_tokens, backbone.max_length or max_tokens)
        self._images: Tensor | None = None
        self._ids: dict[int, list[int]] = {}
        self._texts: list[str] = []
        self._tokens: Tensor | None = None
        if isinstance(backbone, ImageBackbone):
            self._images = torch.from_numpy(np.ascontiguousarray(examples.inputs, dtype=np.uint8))
        elif isinstance(examples.inputs, np.ndarray):
            if examples.inputs.shape[1] > self._limit:
                raise ConfigurationError(
                    f"a sample has {examples.inputs.shape[1]} tokens but max_tokens allows {self._limit}; "
                    "raise it or shorten the data"
                )
            self._tokens = torch.from_numpy(np.ascontiguousarray(examples.inputs))
        elif backbone.tokenizer is None:
            raise ConfigurationError(no_tokenizer(backbone))
        else:
            self._texts = [str(text) for text in examples.inputs]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def batch(self, indices: NDArray[np.int64]) -> Batch:
        """Return samples `indices` ([B] int64) as one right-padded batch."""
        chosen = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        labels = self.labels[chosen]
        if (inputs := self._rows(chosen)) is not None:
            return Batch(inputs, torch.ones(inputs.shape[:2], dtype=torch.bool), labels, indices)
        rows = [torch.tensor(self._token_ids(int(i))) for i in indices]
        mask = mask_of(torch.tensor([len(row) for row in rows]))
        return Batch(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask, labels, indices)

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Return all samples, `size` at a time, the short ones first (so that little is padded), with their indices."""
        lengths = [len(self._token_ids(i)) for i in range(len(self))] if self._texts else [0] * len(self)
        order = np.argsort(np.array(lengths), kind="stable")
        for start in range(0, len(self), size):
            yield order[start : start + size], self.batch(order[start : start + size])

    def _rows(self, chosen: Tensor) -> Tensor | None:
        """Return continuous tokens [B, L, F] of samples of one length; None for texts."""
        if isinstance(self._backbone, ImageBackbone) and self._images is not None:
            return self._backbone.tokens(self._images[chosen], self._backbone.side(self._limit))
        return None if self._tokens is None else self._tokens[chosen]

    def _token_ids(self, index: int) -> list[int]:
        if index not in self._ids:
            tokenizer = self._backbone.tokenizer
            assert tokenizer is not None
            ids = tokenizer(self._texts[index], truncation=True, max_length=self._limit)["input_ids"]
            # a text without a single token (possible without special tokens) still needs one to attend to
            self._ids[index] = ids or [tokenizer.pad_token_id or 0]
        return self._ids[index]


class Shard:
    """One device's training samples in epochs, each in a new random order.

    A batch has `batch_size` samples, or all of them if the shard is smaller.
    """

    def __init__(self, samples: Samples, *, batch_size: int, accumulation: int, seed: tuple[int, ...]) -> None:
        """seed: for the order, non-negative numbers, different for each device."""
        self.samples = samples
        self.batch_size = min(batch_size, len(samples))
        self.accumulation = accumulation
        self._seed = seed
        self._orders: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.samples)

    def indices(self, step: int, part: int) -> NDArray[np.int64]:
        """Return the samples of part `part` (0 .. accumulation - 1) of step `step`: [B] int64 within the shard."""
        start = (step * self.accumulation + part) * self.batch_size
        places = np.arange(start, start + self.batch_size)
        return np.array([self._order(int(place) // len(self))[int(place) % len(self)] for place in places])

    def batch(self, step: int, part: int) -> Batch:
        """Return the samples of (step, part)."""
        return self.samples.batch(self.indices(step, part))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            self._orders = {key: order for key, order in self._orders.items() if key == epoch - 1}
            self._orders[epoch] = from_numbers(*self._seed, epoch).permutation(len(self))
        return self._orders[epoch]
