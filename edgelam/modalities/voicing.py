# SPDX-License-Identifier: GPL-2.0-only
"""Text to speech as a module, and speech to the rate that the encoder of speech takes."""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgelam.cosim.work import Work
from edgelam.modalities.module import Module, bytes_to_text, taken
from edgelam.modalities.speech import RATE
from edgelam.models.conversion.packages import needed
from edgelam.models.fetch import model_folder
from edgelam.models.voice import Voice
from edgelam.random_streams import derive_seed, from_numbers

NAME = "piper-joe"
_WAVEFORMS = "dec."  # names of the decoder's weights
SILENCE_S = 0.2
"""What is said for a text without a letter or digit."""


class SpeechSynthesis(Module):
    """``answer``, UTF-8 bytes -> ``spoken`` int16 [samples], 16,000 per second.

    onnxruntime runs it, so its work is counted from its graph (`work`).
    """

    takes = ("answer",)
    gives = ("spoken",)

    def __init__(self, *, random_seed: int | None = None) -> None:
        """Load the voice. random_seed: with random weights of its decoder (of waveforms) instead, as a control."""
        self.name = NAME
        self.folder = model_folder(NAME)
        self.voice = Voice(self.folder) if random_seed is None else random_voice(random_seed)
        self.network = nn.Module()
        self._random_seed = random_seed

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the file of the graph, and of the seed if it is a control."""
        import hashlib

        from edgelam.files.digests import digest_of

        return hashlib.sha256(
            f"{digest_of(self.folder / 'voice.onnx')} {self._random_seed} {RATE}".encode()
        ).hexdigest()

    @property
    def weight_bytes(self) -> int:
        """Bytes of the graph's file, nearly all of which are weights."""
        return self.voice.path.stat().st_size

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        text = bytes_to_text(taken(self, inputs, "answer", torch.uint8, None))
        return {"spoken": torch.from_numpy(self.say(text))}

    def say(self, text: str) -> NDArray[np.int16]:
        """Turn text into samples [samples]; silence if there is nothing that can be said."""
        if not any(map(str.isalnum, text)):
            return np.zeros(int(SILENCE_S * RATE), np.int16)
        return to_int16(resampled(self.voice.speak(text), self.voice.rate, RATE))

    def work(self, inputs: dict[str, Tensor]) -> Work:
        """Count the work of `forward` from the graph. Bytes: the weights, read once."""
        text = bytes_to_text(taken(self, inputs, "answer", torch.uint8, None))
        flops = self.voice.work(text) if any(map(str.isalnum, text)) else 0
        return Work(flops, self.weight_bytes)


def resampled(samples: NDArray[np.float32], rate: float, wanted: float) -> NDArray[np.float32]:
    """Bring samples [samples] from `rate` to `wanted` per second, by cutting the spectrum off."""
    length = max(1, int(len(samples) * wanted / rate))
    kept: Any = np.fft.rfft(samples)[: length // 2 + 1]
    return (np.fft.irfft(kept, length) * length / len(samples)).astype(np.float32)


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Turn samples of -1 to 1 into 16-bit samples."""
    return np.clip(np.round(samples * 32767.0), -32768, 32767).astype(np.int16)


def random_voice(seed: int) -> Voice:
    """Return the voice with random weights in the part that makes waveforms; how long each sound lasts is kept.

    Each tensor of weights is drawn from a normal distribution with its own mean and deviation.
    """
    onnx = needed("onnx", "to draw the weights of a voice")
    folder = model_folder(NAME)
    graph = onnx.load(str(folder / "voice.onnx"))
    for tensor in graph.graph.initializer:
        if tensor.name.startswith(_WAVEFORMS) and len(tensor.dims) > 1:
            own = onnx.numpy_helper.to_array(tensor)
            drawn = from_numbers(derive_seed(seed, f"random weights of {tensor.name}")).standard_normal(own.shape)
            values = (own.mean() + own.std() * drawn).astype(own.dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(folder / "voice.json", place)
        onnx.save(graph, str(Path(place) / "voice.onnx"))
        voice = Voice(Path(place))
    voice.path = folder / "voice.onnx"  # whose work is the same
    return voice
