# SPDX-License-Identifier: GPL-2.0-only
"""A session of a language model: the keys and values of what it has read and written, which can move to another place.

`Session` is greedy decoding with a cache. `SessionTurn` is a module whose inputs and outputs are the state of a session
as tensors, so that a state that has crossed a network is all that a session needs to go on with the same tokens.

Shape suffixes: L layers, H heads of keys and values, T tokens, D width of a head, W width of the model.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.modalities.module import Module, result_of, taken

STATE = ("keys", "values", "hidden")
"""The tensors of a state: float32 [L, H, T, D], the same, and [W] (zeros if nothing was read)."""


class Session:
    """Greedy decoding of a causal language model of transformers, with its keys and values."""

    def __init__(self, network: Any, state: Mapping[str, Tensor] | None = None) -> None:
        """Begin, or go on from a state. Raises ConfigurationError if the state is not one of this model."""
        from transformers import DynamicCache

        self._network = network
        self._cache: Any = None
        self.hidden = torch.zeros(network.config.hidden_size)
        """The last hidden state, float32 [W]."""
        if state is None:
            return
        _check(network, state)
        if state["keys"].shape[2]:
            self._cache = DynamicCache(config=network.config)
            for layer, (keys_HTD, values_HTD) in enumerate(zip(state["keys"], state["values"], strict=True)):
                self._cache.update(keys_HTD[None].clone(), values_HTD[None].clone(), layer)
        self.hidden = state["hidden"]

    @property
    def tokens(self) -> int:
        """How many tokens it has read and written."""
        return 0 if self._cache is None else int(self._cache.get_seq_length())

    @torch.no_grad()
    def read(self, embeddings: Tensor) -> None:
        """Take in embeddings [tokens, W]."""
        self._forward(inputs_embeds=embeddings[None])

    @torch.no_grad()
    def next(self) -> int:
        """Return the likeliest token to come."""
        return int((self.hidden @ self._network.lm_head.weight.T).argmax())

    @torch.no_grad()
    def write(self, token: int) -> None:
        """Take in a token."""
        self._forward(input_ids=torch.tensor([[token]]))

    def state(self) -> dict[str, Tensor]:
        """Return everything that it needs to go on elsewhere (`STATE`)."""
        if self._cache is None:
            return empty_state(self._network)
        layers = self._cache.layers
        return {
            "keys": torch.cat([layer.keys for layer in layers]),
            "values": torch.cat([layer.values for layer in layers]),
            "hidden": self.hidden,
        }

    def _forward(self, **inputs: Tensor) -> None:
        output = self._network.model(**inputs, past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        self.hidden = output.last_hidden_state[0, -1]


class SessionTurn(Module):
    """A turn of a session: reads ``ids`` int64 [tokens], writes ``most_tokens`` int64 [1] tokens.

    It takes the state of the session (`STATE`) as inputs and gives the new one as outputs, beside ``tokens`` int64
    [most_tokens]. `generate` yields each ``token``, int64 [1]. The last token is part of the new state, too.
    """

    takes = (*STATE, "ids", "most_tokens")
    gives = ("tokens", *STATE)

    def __init__(self, name: str, network: Any, *, file_bytes: int | None = None) -> None:
        """network: a causal language model of transformers; file_bytes: of its weights on a wire, by default float32.

        Raises ConfigurationError if a file has less than 1 byte.
        """
        self.name, self.network = name, network
        if file_bytes is not None and file_bytes < 1:
            raise ConfigurationError(f"module {name!r}: file_bytes is {file_bytes!r}; it must be at least 1")
        self.file_bytes = self.weight_bytes if file_bytes is None else file_bytes

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        return result_of(self.generate(inputs))

    @torch.no_grad()
    def generate(self, inputs: dict[str, Tensor]) -> Generator[dict[str, Tensor], None, dict[str, Tensor]]:
        """Yield each token; return the outputs."""
        network: Any = self.network
        ids = taken(self, inputs, "ids", torch.int64, None)
        most = int(taken(self, inputs, "most_tokens", torch.int64, 1)[0])
        vocabulary = network.config.vocab_size
        if int(ids.min()) < 0 or int(ids.max()) >= vocabulary or most < 1:
            raise ConfigurationError(
                f"module {self.name!r}: ids from {int(ids.min())} to {int(ids.max())}, and most_tokens {most}; legal "
                f"are ids from 0 to {vocabulary - 1}, and 1 token or more"
            )
        session = Session(network, {name: inputs[name] for name in STATE})
        session.read(network.get_input_embeddings().weight[ids])
        written = []
        for _ in range(most):
            written.append(session.next())
            yield {"token": torch.tensor([written[-1]])}
            session.write(written[-1])
        return {"tokens": torch.tensor(written), **session.state()}

    def empty_state(self) -> dict[str, Tensor]:
        """Return the state of a session that has read nothing."""
        return empty_state(self.network)

    def copied(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the part of a state that stays as it is while the session goes on: its keys and values."""
        return {name: state[name] for name in ("keys", "values")}

    def rest(self, copy: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Return what a state has beyond a copy that was made before; None if it does not begin with the copy."""
        tokens = copy["keys"].shape[2]
        for name in ("keys", "values"):
            if not torch.equal(state[name][:, :, :tokens], copy[name]):
                return None
        return {"keys": state["keys"][:, :, tokens:], "values": state["values"][:, :, tokens:],
                "hidden": state["hidden"]}  # fmt: skip

    def joined(self, copy: Mapping[str, Tensor], rest: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the state of which `rest` has sent the part beyond `copy`."""
        return {"keys": torch.cat([copy["keys"], rest["keys"]], dim=2),
                "values": torch.cat([copy["values"], rest["values"]], dim=2), "hidden": rest["hidden"]}  # fmt: skip

    def again(self, turns: Sequence[Mapping[str, Tensor]], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the inputs of a turn that also reads all turns before it, for a session that has lost its state.

        turns: ``ids`` and ``tokens`` of each. Keys and values are then computed at a time and not token by token, so
        they are the same but for rounding.
        """
        before = [turn[name] for turn in turns for name in ("ids", "tokens")]
        return {**inputs, "ids": torch.cat([*before, inputs["ids"]])}

    def state_bytes(self, tokens: int) -> int:
        """Return the bytes of a state after so many tokens, as it crosses a network."""
        network: Any = self.network
        return cache_bytes(network, tokens) + 4 * int(network.config.hidden_size)


def cache_bytes(network: Any, tokens: int) -> int:
    """Return the bytes of the keys and values of so many tokens, in float32."""
    layers, heads, width = _shape(network)
    return tokens * layers * 2 * heads * width * 4


def empty_state(network: Any) -> dict[str, Tensor]:
    """Return the state of a session that has read nothing."""
    layers, heads, width = _shape(network)
    nothing = torch.zeros(layers, heads, 0, width)
    return {"keys": nothing, "values": nothing.clone(), "hidden": torch.zeros(network.config.hidden_size)}


def _shape(network: Any) -> tuple[int, int, int]:
    config = network.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, config.num_key_value_heads, width


def _check(network: Any, state: Mapping[str, Tensor]) -> None:
    layers, heads, width = _shape(network)
    keys, values, hidden = (state[name] for name in STATE)
    tokens = keys.shape[2] if keys.dim() == 4 else 0
    legal = {"keys": (layers, heads, tokens, width), "values": (layers, heads, tokens, width),
             "hidden": (network.config.hidden_size,)}  # fmt: skip
    for name, value in zip(STATE, (keys, values, hidden), strict=True):
        if value.dtype != torch.float32 or tuple(value.shape) != legal[name]:
            raise ConfigurationError(
                f"the {name} of a session are {value.dtype} {list(value.shape)}; of this model, with as many tokens as "
                f"its keys have, legal is torch.float32 {list(legal[name])}"
            )
