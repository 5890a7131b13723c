# SPDX-License-Identifier: GPL-2.0-only
"""A causal language model with its keys and values, of which the last tokens can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError


class CachedModel:
    """Tokens in, logits out; `tokens` are what it has read."""

    def __init__(self, model: Any, head: Callable[[Tensor], Tensor]) -> None:
        """model: a decoder-only base model of transformers; head: hidden [tokens, width] -> logits [tokens, V]."""
        self.model, self.head = model, head
        self.tokens: list[int] = []
        self._cache: Any = None

    def fresh(self) -> CachedModel:
        """Return one with the same weights that has read nothing."""
        return CachedModel(self.model, self.head)

    @torch.no_grad()
    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read tokens, at least one; return the logits after each of them, float [tokens, V]."""
        if not tokens:
            raise ConfigurationError("a model reads at least one token")
        output = self.model(input_ids=torch.tensor([list(tokens)]), past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        self.tokens += tokens
        logits: Tensor = self.head(output.last_hidden_state[0])
        return logits

    def forget(self, length: int) -> None:
        """Take back all tokens beyond the first `length`."""
        self._check_length(length)
        if length == 0:
            self._cache = None
        elif length < len(self.tokens):
            self._cache.crop(length - len(self.tokens))
        del self.tokens[length:]

    def unread(self, tokens: Sequence[int]) -> list[int]:
        """Take back what is not in `tokens`, and return what of them it has to read; at least the last one."""
        same = 0
        for own, wanted in zip(self.tokens, tokens[:-1], strict=False):
            if own != wanted:
                break
            same += 1
        self.forget(same)
        return list(tokens[same:])

    def work(self, tokens: int) -> Work | None:
        """Return the work of reading so many tokens now; None: it is counted when it is done."""
        return None

    def _check_length(self, length: int) -> None:
        if not 0 <= length <= len(self.tokens):
            raise ConfigurationError(f"length is {length}; legal are 0 to {len(self.tokens)}, the tokens it has read")
