# SPDX-License-Identifier: GPL-2.0-only
"""Speech to text: the two halves of Whisper tiny.en (A. Radford et al., arXiv 2212.04356), as modules of their own.

Whisper pads all speech to 30 s, so its encoder always gives 1,500 states, however short the speech is. Input that is
cut shorter saves work and bytes, but then Whisper writes some sentences again and again.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.modalities import pretrained
from edgelam.modalities.module import Module, result_of, taken, text_to_bytes
from edgelam.models.fetch import model_folder

NAME = "whisper-tiny.en"
RATE = 16_000
"""Samples of speech per second."""
STATE_SAMPLES = 320
"""Samples of speech for each state of the encoder: 20 ms."""
STATES = 1500
"""States of the encoder: those of 30 s."""
MOST_TOKENS = 64
WIDTH = 384
START, NO_TIMESTAMPS = 50257, 50362
"""Tokens with which each transcript begins."""
_END = 50256


class SpeechEncoder(Module):
    """``speech`` int16 [samples], 16,000 per second, at most 30 s -> ``speech_states`` float32 [1500, 384].

    There is a state for each 20 ms of 30 s; silence follows the speech.
    """

    takes = ("speech",)
    gives = ("speech_states",)

    def __init__(self, *, random_seed: int | None = None) -> None:
        """Load Whisper's encoder. random_seed: with random weights instead, as a control."""
        from transformers import WhisperFeatureExtractor

        self.name = "whisper-encoder"
        self.network = whisper(random_seed).model.encoder
        self._extractor = WhisperFeatureExtractor.from_pretrained(model_folder(NAME), local_files_only=True)

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        mel_BMT = self.spectrum(taken(self, inputs, "speech", torch.int16, None))
        return {"speech_states": self.network(mel_BMT).last_hidden_state[0]}

    def spectrum(self, speech: Tensor) -> Tensor:
        """Speech int16 [samples], at most 30 s -> its mel spectrum over 30 s, float32 [1, 80, 3000]."""
        if len(speech) > STATES * STATE_SAMPLES:
            raise ConfigurationError(
                f"module {self.name!r}: 'speech' has {len(speech)} samples; legal are at most "
                f"{STATES * STATE_SAMPLES} (30 s)"
            )
        samples = (speech.float() / 32768.0).numpy()
        features: Tensor = self._extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
        return features


class SpeechDecoder(Module):
    """``speech_states`` float32 [states, 384] -> ``transcript``, UTF-8 bytes, a space if nothing is said.

    Greedy decoding without timestamps, at most 64 tokens. `generate` yields each ``token``, int64 [1].
    """

    takes = ("speech_states",)
    gives = ("transcript",)

    def __init__(self, *, random_seed: int | None = None) -> None:
        """Load Whisper's decoder. random_seed: with random weights instead, as a control."""
        from transformers import AutoTokenizer, GenerationConfig

        self.name = "whisper-decoder"
        whole = whisper(random_seed)
        self.network = whole.model.decoder
        folder = model_folder(NAME)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        rules = GenerationConfig.from_pretrained(folder, local_files_only=True)
        self._never = torch.tensor(rules.suppress_tokens)
        self._never_first = torch.tensor(rules.begin_suppress_tokens)

    @property
    def settings(self) -> str:
        """The most tokens."""
        return f"{type(self).__qualname__} {MOST_TOKENS}"

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        return result_of(self.generate(inputs))

    @torch.no_grad()
    def generate(self, inputs: dict[str, Tensor]) -> Generator[dict[str, Tensor], None, dict[str, Tensor]]:
        """Yield each token; return the outputs."""
        states_BTD = taken(self, inputs, "speech_states", torch.float32, None, WIDTH)[None]
        decoder: Any = self.network
        ids, past = torch.tensor([[START, NO_TIMESTAMPS]]), None
        written: list[int] = []
        while len(written) < MOST_TOKENS:
            output = decoder(input_ids=ids, encoder_hidden_states=states_BTD, past_key_values=past, use_cache=True)
            logits = output.last_hidden_state[0, -1] @ decoder.embed_tokens.weight.T
            logits[self._never] = -torch.inf
            if not written:
                logits[self._never_first] = -torch.inf
            token = int(logits.argmax())
            if token == _END:
                break
            written.append(token)
            yield {"token": torch.tensor([token])}
            ids, past = torch.tensor([[token]]), output.past_key_values
        text = str(self._tokenizer.decode(written, skip_special_tokens=True)).strip()
        return {"transcript": text_to_bytes(text or " ")}


def whisper(random_seed: int | None = None) -> Any:
    """Return the whole transformers.WhisperForConditionalGeneration; random_seed: with random weights instead."""
    from transformers import WhisperForConditionalGeneration

    return pretrained.load(NAME, WhisperForConditionalGeneration, random_seed=random_seed)
