# SPDX-License-Identifier: GPL-2.0-only
"""A language model that computes each answer once, for studies in which the same texts are decoded again and again.

Greedy decoding over ten networks reads the same tokens ten times. Here, what the model says after each prefix is kept
and looked up; the work that a device is charged is counted on the model itself: with keys and values of t tokens, the
operations and the memory traffic of reading n more are linear in t, so two counts for each n give all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from edgelam.cosim.work import Work, WorkCounter
from edgelam.inference.speculative.cached_model import CachedModel

_PLACES = (1, 65)
"""Tokens that have been read where work is counted."""


Counts = dict[tuple[int, int], Work]
"""(Tokens that have been read, tokens that are read) -> the work of the latter."""


@dataclasses.dataclass
class Memory:
    """The model itself, and the logits [V] that it has given after each prefix."""

    model: CachedModel
    logits: dict[tuple[int, ...], Tensor] = dataclasses.field(default_factory=dict)


class RecordedModel(CachedModel):
    """The same as `CachedModel` but for the order of sums; choosing a token, beside the model, is not charged.

    All that `fresh` gives share what is known.
    """

    def __init__(
        self, model: Any, head: Callable[[Tensor], Tensor], *, memory: Memory | None = None, work: Counts | None = None
    ) -> None:
        """See `CachedModel`. memory, work: what is shared with others, by default nothing."""
        super().__init__(model, head)
        self._memory = memory or Memory(CachedModel(model, head))
        self._counted: Counts = {} if work is None else work

    def fresh(self) -> RecordedModel:
        """See `CachedModel`."""
        return RecordedModel(self.model, self.head, memory=self._memory, work=self._counted)

    def empty(self) -> RecordedModel:
        """Return one that shares the counted work alone: for other texts, so that those before need no memory."""
        return RecordedModel(self.model, self.head, work=self._counted)

    def read(self, tokens: Sequence[int]) -> Tensor:
        """See `CachedModel`."""
        if not tokens:
            return super().read(tokens)  # refuses it
        whole = [*self.tokens, *tokens]
        prefixes = [tuple(whole[: i + 1]) for i in range(len(self.tokens), len(whole))]
        model, known = self._memory.model, self._memory.logits
        if any(prefix not in known for prefix in prefixes):
            unread = model.unread(whole)  # what it does not read again is known
            first = len(whole) - len(unread)
            for i, logits_V in enumerate(model.read(unread)):
                known.setdefault(tuple(whole[: first + i + 1]), logits_V)
        self.tokens = whole
        return torch.stack([known[prefix] for prefix in prefixes])

    def forget(self, length: int) -> None:
        """See `CachedModel`."""
        self._check_length(length)
        del self.tokens[length:]

    def work(self, tokens: int) -> Work:
        """See `CachedModel`."""
        if not self.tokens:
            return self._count(0, tokens)
        first, second = (self._count(place, tokens) for place in _PLACES)
        share = (len(self.tokens) - _PLACES[0]) / (_PLACES[1] - _PLACES[0])
        return Work(
            round(first.flops + share * (second.flops - first.flops)),
            round(first.bytes + share * (second.bytes - first.bytes)),
        )

    def _count(self, before: int, tokens: int) -> Work:
        """Count the work of reading so many tokens behind others."""
        if (before, tokens) not in self._counted:
            model = self._memory.model.fresh()
            if before:
                model.read([0] * before)
            with WorkCounter() as counter:
                model.read([0] * tokens)
            self._counted[before, tokens] = counter.work
        return self._counted[before, tokens]
