# SPDX-License-Identifier: GPL-2.0-only
"""The workload of real models: fetched encoders, backbone and voice, and projectors that were trained here.

Graphs are tasks of `edgelam.modalities`, and `JOINED` ones of two such tasks about one image. Requests bring images,
questions, speech and sensor series that nothing was trained on, and the quality of an answer is the task's own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError
from edgelam.inference import Graph, Service
from edgelam.random_streams import derive_seed, from_numbers

from .workload import JOINED, Workload, graph_names

if TYPE_CHECKING:
    from edgelam.modalities import Task
    from edgelam.modalities.scores import Sample, Values

SAMPLES = 6
"""Different inputs of each graph: what is computed once is kept, so this bounds the time that a run takes."""
FETCHED = ("dinov2-small", "whisper-tiny.en", "smollm2-135m", "piper-joe", "mnist-5000", "basic-motions")
TRAINED = ("image-projector", "sensor-model")
ENCODINGS = dict.fromkeys(("dinov2-small", "whisper-encoder", "sensor-encoder"), "fp16")
"""Number formats of values between services; the others are fp32."""


def check() -> None:
    """Refuse what cannot run: models that are not there, with the commands that bring them, or that are damaged."""
    from edgelam.modalities.trained import is_trained
    from edgelam.models.fetch import is_fetched

    commands = []
    for verb, names, there in (("fetch", FETCHED, is_fetched), ("train", TRAINED, is_trained)):
        if missing := [name for name in names if not there(name)]:
            commands.append(f"edgelam models {verb} {' '.join(missing)}")
    if commands:
        raise ConfigurationError(
            f"real models that this needs are not there: {' && '.join(commands)}. Without models there is --config "
            "declared"
        )
    served()
    _ = modules()["piper-joe"]  # says the spoken questions


@functools.cache
def modules() -> Any:
    """Return the modules, each of which is loaded once."""
    from edgelam.modalities.catalogue import Modules

    return Modules()


def served() -> tuple[dict[str, Service], dict[str, Graph]]:
    """Return services and graphs. Raises ConfigurationError, with the command, if a model is not there or damaged."""
    from edgelam.modalities.serving import served as of_tasks

    services, graphs = of_tasks([_task(name) for name in graph_names()], modules(), encodings=ENCODINGS)
    streaming = {
        name: dataclasses.replace(service, stream=hasattr(service.module, "generate"))
        for name, service in services.items()
    }
    return streaming, graphs


def make(seed: int) -> Workload:
    """Return the workload; seed: of which samples requests bring."""
    services, graphs = served()
    samples = {}
    for name in graph_names():
        every = _joined_samples(name, seed) if name in JOINED else _samples(name, seed)
        order = from_numbers(derive_seed(seed, f"samples of {name}")).permutation(len(every))[:SAMPLES]
        samples[name] = [every[i] for i in order]
    return Workload(services, graphs, samples)


def _task(name: str) -> Task:
    from edgelam.modalities import join, task_of

    return join(name, *(task_of(part) for part in JOINED[name])) if name in JOINED else task_of(name)


def _samples(name: str, seed: int) -> list[Sample]:
    from edgelam.modalities.scores import SCORES

    return list(SCORES[name].samples(modules(), seed))


def _joined_samples(name: str, seed: int) -> list[Sample]:
    """Put samples of two tasks about the same image together; an answer is worth the mean of both."""
    first, second = (_samples(part, seed) for part in JOINED[name])
    found: list[Sample] = []
    for number, (inputs, worth) in enumerate(second):
        alike = [sample for sample in first if sample[0]["image"].equal(inputs["image"])]
        other, other_worth = alike[(number + 1) % len(alike)]  # not what the second task asks about it
        found.append((other | inputs, functools.partial(_mean_worth, _task(name).answer, (other_worth, worth))))
    return found


def _mean_worth(answers: tuple[str, ...], worths: tuple[Callable[[Values], float], ...], values: Values) -> float:
    return sum(worth({"answer": values[key]}) for key, worth in zip(answers, worths, strict=True)) / len(answers)
