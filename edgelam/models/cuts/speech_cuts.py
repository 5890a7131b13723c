# SPDX-License-Identifier: GPL-2.0-only
"""Whisper (A. Radford et al., arXiv 2212.04356), cut between any two layers of its encoder or its decoder.

Shape suffixes: B batch, S states of the encoder, L tokens of this call, D width, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.models.cuts.cuttable import Cuttable, State, wanted
from edgelam.models.cuts.window import Window, find_stack


class SpeechMemory:
    """Keys and values of the tokens that some layers of the decoder have seen, and the encoder's states."""

    def __init__(self, cache: Any) -> None:
        """cache: of transformers; None for stages without layers of the decoder."""
        self.cache = cache
        self.states: Tensor | None = None


class SpeechCuts(Cuttable):
    """Stages: ``spectrum``, ``encoder 0`` and so on, ``embedding``, ``decoder 0`` and so on, ``head``.

    The input is ``speech``, whatever `spectrum` takes, and ``ids`` int64 [B, L] of the decoder. Inside the encoder,
    ``states`` float32 [B, S, D] and the ids cross; inside the decoder, ``hidden`` float32 [B, L, D] and the states.
    With a memory, states cross with the first tokens only. ``logits`` are [B, L, V].
    """

    def __init__(self, model: Any, spectrum: Callable[[Tensor], Tensor]) -> None:
        """model: transformers.WhisperForConditionalGeneration; spectrum: speech -> mel spectrum [B, bands, frames]."""
        self.model, self.spectrum = model, spectrum
        self.encoder, self.decoder = model.model.encoder, model.model.decoder
        self._depths = len(self.encoder.layers), len(self.decoder.layers)
        encoder, decoder = (range(depth) for depth in self._depths)
        self.stages = (
            "spectrum", *(f"encoder {i}" for i in encoder), "embedding", *(f"decoder {i}" for i in decoder), "head"
        )  # fmt: skip
        self._stack = find_stack(self.decoder, self._depths[1])
        self._windows: dict[tuple[int, int], Window] = {}

    def memory(self, first: int, last: int) -> SpeechMemory:
        """See `Cuttable`."""
        self._check(first, last)
        begin, end = self._decoders(first, last)
        if begin >= end:
            return SpeechMemory(None)
        from transformers import DynamicCache, EncoderDecoderCache

        config = copy.deepcopy(self.decoder.config)
        config.num_hidden_layers = end - begin
        return SpeechMemory(EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config)))

    def advance(self, state: State, first: int, last: int, memory: SpeechMemory | None = None) -> State:
        """See `Cuttable`."""
        state = dict(state)
        begun = memory is not None and memory.states is not None
        for stage in range(first, min(last, self._depths[0] + 1)):
            if not begun:  # the memory has the states of this speech
                state = self._encode(state, stage)
        if memory is not None:
            memory.states = state.pop("states", memory.states)
            state |= {} if memory.states is None else {"states": memory.states}
        at = self._depths[0] + 1
        if first <= at < last:
            (ids_BL,) = wanted(state, "ids", at="embedding")
            state = {"hidden": self.decoder.embed_tokens(ids_BL)} | {k: v for k, v in state.items() if k != "ids"}
        begin, end = self._decoders(first, last)
        if begin < end:
            hidden_BLD, states_BSD = wanted(state, "hidden", "states", at=f"decoder {begin}")
            window = self._window(begin, end)
            cache = None if memory is None else memory.cache
            arguments: dict[str, Any] = {"inputs_embeds": hidden_BLD, "encoder_hidden_states": states_BSD,
                                         "past_key_values": cache, "use_cache": cache is not None}  # fmt: skip
            state["hidden"] = window(hidden_BLD if window.enters else None, **arguments)
        if last == len(self.stages):
            (hidden_BLD,) = wanted(state, "hidden", at="head")
            return {"logits": self.model.proj_out(hidden_BLD)}
        if begun or end == self._depths[1]:  # the other side has the states, or needs them no more
            state.pop("states", None)
        return state

    def modules(self, stage: int) -> Iterable[nn.Module | nn.Parameter]:
        """See `Cuttable`."""
        at = self._depths[0] + 1
        if stage == 0:
            return [self.encoder.conv1, self.encoder.conv2, self.encoder.embed_positions]
        if stage < at:
            return [self.encoder.layers[stage - 1], *([self.encoder.layer_norm] if stage == at - 1 else [])]
        if stage == at:
            return [self.decoder.embed_tokens]
        if stage == len(self.stages) - 1:
            return [self.model.proj_out]
        layer = stage - at - 1
        around = [self.decoder.embed_positions] if layer == 0 else []
        return [
            self.decoder.layers[layer],
            *around,
            *([self.decoder.layer_norm] if layer == self._depths[1] - 1 else []),
        ]

    def _encode(self, state: State, stage: int) -> State:
        encoder = self.encoder
        if stage == 0:
            (speech,) = wanted(state, "speech", at="spectrum")
            x_BDS = F.gelu(encoder.conv2(F.gelu(encoder.conv1(self.spectrum(speech)))))
            places = encoder.embed_positions.weight
            if x_BDS.shape[2] != len(places):
                raise ConfigurationError(f"a spectrum of {x_BDS.shape[2]} states; this model takes {len(places)}")
            return {k: v for k, v in state.items() if k != "speech"} | {"states": x_BDS.permute(0, 2, 1) + places}
        (states_BSD,) = wanted(state, "states", at=self.stages[stage])
        states_BSD = encoder.layers[stage - 1](states_BSD, None)
        if stage == self._depths[0]:
            states_BSD = encoder.layer_norm(states_BSD)
        return state | {"states": states_BSD}

    def _decoders(self, first: int, last: int) -> tuple[int, int]:
        """Return the layers of the decoder among these stages."""
        at = self._depths[0] + 2
        return max(first - at, 0), min(last - at, self._depths[1])

    def _window(self, begin: int, end: int) -> Window:
        if (begin, end) not in self._windows:
            self._windows[begin, end] = Window(self.decoder, self._stack, begin, end)
        return self._windows[begin, end]
