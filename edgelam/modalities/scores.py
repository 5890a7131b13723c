# SPDX-License-Identifier: GPL-2.0-only
"""How good each task is: a number of its quality on samples that nothing was trained on, and the same number with
random weights in the part that the task is about.

The modules that are trained on the outputs of the random part are trained again on these, so that the control says what
the pre-trained weights are worth, and not only that everything fits together.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.cosim.devices import DEVICES
from edgelam.cosim.work import Work, WorkCounter
from edgelam.data.fetched import ACTIVITIES, mnist, motions
from edgelam.modalities import spoken
from edgelam.modalities.catalogue import Modules
from edgelam.modalities.module import bytes_to_text, text_to_bytes
from edgelam.modalities.recipes import digit_decoder, picture_projector
from edgelam.modalities.recipes.image_projector import DIGITS, PARITY
from edgelam.modalities.tasks import TASKS
from edgelam.modalities.trained import one_thread

if TYPE_CHECKING:
    from edgelam.modalities.voicing import SpeechSynthesis

DEVICE = "cpu-server"
IMAGES = 50
"""Test images of each task with images."""
_QUESTIONS = (("Which digit is it?", 0), ("Is it even or odd?", 1))
"""Questions about a picture, and which of its words is right."""

Values = dict[str, Tensor]
Sample = tuple[Values, Callable[[Values], float]]
"""Inputs of a request, and what its values are worth: 1 for a right answer, or an error rate."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """How a task is measured."""

    measure: str
    controls: tuple[tuple[str, ...], ...]
    """What has random weights in each control."""
    samples: Callable[[Modules, int], Iterable[Sample]]
    """Makes the samples with the modules that are here, and a seed."""


@dataclasses.dataclass(frozen=True)
class Score:
    """What was measured."""

    task: str
    measure: str
    samples: int
    value: float
    controls: dict[str, float]
    """The same with random weights: what has them -> the result."""
    gflop: float
    """Floating-point operations of the first sample's request, in billions."""
    server_ms: float
    """How long the profile `DEVICE` computes at it, in milliseconds."""


def score(name: str, *, seed: int = 0, say: Callable[[str], object] = print) -> Score:
    """Measure a task, with its control. Raises ConfigurationError if a model was not fetched or trained."""
    quality, here = SCORES[name], _here()
    with one_thread():
        samples = list(quality.samples(here, seed))
        say(f"{name}: {len(samples)} requests")
        value, work = _mean(name, samples, here)
        controls = {}
        for random in quality.controls:
            what = ", ".join(random)
            say(f"{name}: the same with random weights of {what}")
            controls[what], _ = _mean(name, samples, Modules(random, seed=seed))
            say(f"{name}: {value:.3f}, with random weights {controls[what]:.3f}")
    seconds = DEVICES[DEVICE].seconds(work.flops, work.bytes)
    return Score(name, quality.measure, len(samples), value, controls, work.flops / 1e9, seconds * 1e3)


@functools.cache
def _here() -> Modules:
    """Return the modules that are here; they are loaded once for all tasks."""
    return Modules()


def _mean(name: str, samples: list[Sample], modules: Modules) -> tuple[float, Work]:
    """Return the mean over the samples, and the work of the first."""
    task, total, work = TASKS[name], 0.0, Work()
    for number, (inputs, worth) in enumerate(samples):
        with WorkCounter() as counter:
            values = task.run(inputs, modules)
        if number == 0:
            work = counter.work
            for node in task.nodes.values():  # what onnxruntime does, PyTorch's counter does not see
                if (of := getattr(modules[node.module], "work", None)) is not None:
                    work = work + of({own: values[value] for value, own in node.takes.items()})
        total += worth(values)
    return total / len(samples), work


def names(answer: str, word: str) -> bool:
    """Return whether an answer has a word among its words, a digit in words or in figures."""
    alike = {word, str(DIGITS.index(word))} if word in DIGITS else {word}
    return not alike.isdisjoint("".join(c if c.isalnum() else " " for c in answer.lower()).split())


def _says(*words: str) -> Callable[[Values], float]:
    return lambda values: float(any(names(bytes_to_text(values["answer"]), word) for word in words))


def _pictures(seed: int) -> Iterator[tuple[Tensor, tuple[str, str]]]:
    images, labels = mnist("test", IMAGES, seed=seed)
    for image, digit in zip(images, labels, strict=True):
        yield torch.from_numpy(image), (DIGITS[digit], PARITY[digit % 2])


def _image_text(modules: Modules, seed: int) -> Iterator[Sample]:
    for image, words in _pictures(seed):
        yield {"image": image}, _says(words[0])


def _image_question(modules: Modules, seed: int) -> Iterator[Sample]:
    for image, words in _pictures(seed):
        for question, which in _QUESTIONS:
            yield {"image": image, "question": text_to_bytes(question)}, _says(words[which])


def _image_speech(modules: Modules, seed: int) -> Iterator[Sample]:
    asked = [(_spoken(modules, question), which) for question, which in _QUESTIONS]
    for number, (image, words) in enumerate(_pictures(seed)):
        speech, which = asked[number % len(asked)]
        yield {"image": image, "speech": speech}, _says(words[which])


def _speech_text(modules: Modules, seed: int) -> Iterator[Sample]:
    for sentence in spoken.SENTENCES:
        yield {"speech": _spoken(modules, sentence)}, _errors(sentence)


def _errors(said: str) -> Callable[[Values], float]:
    return lambda values: spoken.word_error_rate(said, bytes_to_text(values["transcript"]))


def _spoken_question(modules: Modules, seed: int) -> Iterator[Sample]:
    for question, words in spoken.QUESTIONS:
        yield {"speech": _spoken(modules, question)}, _says(*words)


def _spoken_word(modules: Modules, seed: int) -> Iterator[Sample]:
    voice: Any = modules["piper-joe"]
    said, numbers = spoken.spoken_words(voice, spoken.TEST_SPEEDS, seed + 1)
    for samples, number in zip(said, numbers, strict=True):
        yield {"speech": torch.from_numpy(samples)}, _says(spoken.WORDS[number])


def _sensor_text(modules: Modules, seed: int) -> Iterator[Sample]:
    series, labels = motions("test")
    for each, label in zip(series, labels, strict=True):
        yield {"series": torch.from_numpy(each)}, _names_activity(ACTIVITIES[label])


def _names_activity(activity: str) -> Callable[[Values], float]:
    words = activity.split()
    return lambda values: float(
        bytes_to_text(values["activity"]) == activity and all(names(bytes_to_text(values["answer"]), w) for w in words)
    )


def _text_speech(modules: Modules, seed: int) -> Iterator[Sample]:
    """Compare what is heard (by Whisper, with its own weights) with what the backbone has answered."""
    for question, _ in spoken.QUESTIONS[:8]:
        yield {"question": text_to_bytes(question)}, functools.partial(_heard, modules)


def _heard(modules: Modules, values: Values) -> float:
    found = TASKS["speech-text"].run({"speech": values["spoken"]}, modules)["transcript"]
    return spoken.word_error_rate(bytes_to_text(values["answer"]), bytes_to_text(found))


def _text_image(modules: Modules, seed: int) -> Iterator[Sample]:
    """Ask a classifier of digits (support vectors, of real images) what was drawn."""
    from sklearn.svm import SVC

    pictures, labels, _, _ = digit_decoder.parts()
    judge = SVC(C=10.0).fit(pictures.reshape(len(pictures), -1), labels)
    texts, wanted = picture_projector.requests(picture_projector.TEST_REQUESTS)
    for number, (text, digit) in enumerate(zip(texts, wanted, strict=True)):
        inputs = {"request": text_to_bytes(text), "noise_seed": torch.tensor([seed * len(texts) + number])}
        yield inputs, functools.partial(_drawn, judge, digit)


def _drawn(judge: Any, digit: int, values: Mapping[str, Tensor]) -> float:
    picture = values["picture"].numpy().reshape(1, -1).astype("float32") / 127.5 - 1.0
    return float(judge.predict(picture)[0] == digit)


def _spoken(modules: Modules, text: str) -> Tensor:
    voice: SpeechSynthesis | Any = modules["piper-joe"]
    return torch.from_numpy(voice.say(text))


_RIGHT, _WER = "right answers", "word error rate"
SCORES = {
    "image-text": Quality(_RIGHT, (("dinov2-small",),), _image_text),
    "image-question": Quality(_RIGHT, (("dinov2-small",),), _image_question),
    "image-speech": Quality(_RIGHT, (("dinov2-small", "whisper-tiny.en"),), _image_speech),
    "speech-text": Quality(_WER, (("whisper-tiny.en",),), _speech_text),
    "spoken-question": Quality(_RIGHT, (("whisper-tiny.en",),), _spoken_question),
    "spoken-word": Quality(_RIGHT, (("whisper-tiny.en",),), _spoken_word),
    "sensor-text": Quality("right activity and sentence", (("sensor-model",),), _sensor_text),
    "text-speech": Quality(_WER, (("piper-joe",),), _text_speech),
    "text-image": Quality("recognised digits", (("smollm2-135m",), ("digit-decoder",)), _text_image),
}
"""How each task is measured."""
