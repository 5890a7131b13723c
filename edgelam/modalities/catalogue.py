# SPDX-License-Identifier: GPL-2.0-only
"""All modules by name, and the object that loads each of them once."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from edgelam.data.fetched import ACTIVITIES
from edgelam.errors import ConfigurationError
from edgelam.modalities.bench import Bench
from edgelam.modalities.trained import TRAINED, load_trained, one_thread
from edgelam.random_streams import derive_seed, torch_seeded
from edgelam.text import suggest

if TYPE_CHECKING:
    from torch import nn

    from edgelam.modalities.module import Module

_PICTURE = (
    "Picture: apple, red.\nQuestion: Is it red or blue?\nAnswer: red\nQuestion: What is it?\nAnswer: apple\n\n"
    "Picture:{image_tokens0},{image_tokens1}.\n"
)
PROMPTS = {
    # one example of each kind of answer: without it, the backbone answers in sentences of its own
    "prompt-image": (_PICTURE + "Question: {question}\nAnswer:", 3),
    "prompt-caption": (_PICTURE + "Question: Which digit is it?\nAnswer:", 3),
    "prompt-word": ("Repeat the word: apple\napple\n\nRepeat the word:{speech_tokens0}\n", 3),
    "prompt-activity": (
        "Activity: sleeping\nSentence: The person is sleeping.\n\nActivity: {activity}\nSentence:",
        12,
    ),
    "prompt-question": ("<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n", 16),
    "prompt-picture": ("<|im_start|>user\n{request}<|im_end|>\n<|im_start|>assistant\n", 0),
}
"""Templates of prompts, and the most tokens of the answer."""


class Modules:
    """Modules by name. Each is loaded when it is first asked for, and is one object from then on.

    For a control, some fetched models have random weights. What is trained on their outputs is then trained again, on
    random features, and kept only in this process.
    """

    def __init__(self, random: Iterable[str] = (), *, seed: int = 0) -> None:
        """random: names of fetched models, and of modules that are trained here; seed: of their weights."""
        self.random = frozenset(random)
        for name in self.random - set(RANDOM):
            raise ConfigurationError(f"{name!r} cannot have random weights; {suggest(name, RANDOM)}")
        self.seed = seed
        self._loaded: dict[str, Module] = {}

    def __getitem__(self, name: str) -> Module:
        """Return a module. Raises ConfigurationError if its name is unknown, or it was not fetched or trained."""
        if name not in self._loaded:
            if name not in MODULES:
                raise ConfigurationError(f"no module is called {name!r}; {suggest(name, list(MODULES))}")
            self._loaded[name] = MODULES[name](self)
        return self._loaded[name]

    def random_seed(self, name: str) -> int | None:
        """Return the seed of a fetched model's random weights, or None if it has its own."""
        return self.seed if name in self.random else None

    def network(self, name: str) -> Any:
        """Return the network of a trained module."""
        if name in self.random:
            return _drawn(name, self.seed)
        random = self.random.intersection(TRAINED[name].needs)
        return _fitted(name, random, self.seed) if random else load_trained(name)


@functools.cache
def _drawn(name: str, seed: int) -> nn.Module:
    """Return a trained module's network with random weights."""
    module = TRAINED[name].module
    with torch_seeded(derive_seed(seed, f"random weights of {name}") % 2**63), one_thread():
        network: nn.Module = getattr(module, "control", module.empty)()
    return network.eval()


@functools.cache
def _fitted(name: str, random: frozenset[str], seed: int) -> nn.Module:
    """Return a trained module's network, trained on models of which some have random weights."""
    bench = Bench(Modules(random, seed=seed), seed=seed, folder=None, say=lambda line: None)
    with one_thread():
        network: nn.Module = TRAINED[name].module.fit(bench)[0]
    return network.eval()


def _class(home: str, name: str, model: str) -> Callable[[Modules], Module]:
    def make(modules: Modules) -> Module:
        made: Module = getattr(importlib.import_module(f"edgelam.modalities.{home}"), name)(
            random_seed=modules.random_seed(model)
        )
        return made

    return make


def _projector(kind: str, name: str, takes: str, gives: str) -> Callable[[Modules], Module]:
    def make(modules: Modules) -> Module:
        from edgelam.modalities import projectors

        made: Module = getattr(projectors, kind)(name, modules.network(name), takes, gives)
        return made

    return make


def _sensor(kind: str, part: str, *arguments: Any) -> Callable[[Modules], Module]:
    def make(modules: Modules) -> Module:
        from edgelam.modalities import sensor

        made: Module = getattr(sensor, kind)(getattr(modules.network("sensor-model"), part), *arguments)
        return made

    return make


def _prompt(name: str) -> Callable[[Modules], Module]:
    def make(modules: Modules) -> Module:
        from edgelam.modalities.language import Prompt

        template, most_tokens = PROMPTS[name]
        return Prompt(name, template, most_tokens=most_tokens)

    return make


def _decoder(modules: Modules) -> Module:
    from edgelam.modalities.denoising import DigitDecoder

    return DigitDecoder(modules.network("digit-decoder"))


MODULES: dict[str, Callable[[Modules], Module]] = {
    "dinov2-small": _class("image", "ImageEncoder", "dinov2-small"),
    "whisper-encoder": _class("speech", "SpeechEncoder", "whisper-tiny.en"),
    "whisper-decoder": _class("speech", "SpeechDecoder", "whisper-tiny.en"),
    "sensor-tokenizer": _sensor("SensorTokenizerModule", "tokenizer"),
    "sensor-encoder": _sensor("SensorEncoderModule", "encoder"),
    "activity-classifier": _sensor("ActivityModule", "classifier", ACTIVITIES),
    "image-projector": _projector("ProjectorModule", "image-projector", "image_features", "image_tokens"),
    "speech-projector": _projector("PooledProjectorModule", "speech-projector", "speech_states", "speech_tokens"),
    **{name: _prompt(name) for name in PROMPTS},
    "smollm2-135m": _class("language", "LanguageModel", "smollm2-135m"),
    "picture-projector": _projector("ProjectorModule", "picture-projector", "state", "condition"),
    "digit-decoder": _decoder,
    "piper-joe": _class("voicing", "SpeechSynthesis", "piper-joe"),
}
"""Functions that load the modules, by name."""

RANDOM = ("dinov2-small", "whisper-tiny.en", "smollm2-135m", "piper-joe", "sensor-model", "digit-decoder")
"""What can have random weights, as a control."""
