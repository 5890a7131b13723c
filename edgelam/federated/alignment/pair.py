# SPDX-License-Identifier: GPL-2.0-only
"""Two modalities of the same samples: a setup for each, with the same samples on each device in the same order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgelam.data import Examples, Task, load_task
from edgelam.data.motions import CHANNELS
from edgelam.errors import ConfigurationError
from edgelam.federated.alignment.settings import LABEL_TEXT
from edgelam.federated.setup import Setup, assembled
from edgelam.models import load_backbone
from edgelam.models.frozen import round_backbone
from edgelam.models.images import ImageBackbone

FIRST, SECOND = "first", "second"
MODALITIES = (FIRST, SECOND)
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NUMERALS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class Pair:
    """The setups by modality; same_by_label: whether samples of one class match in the second modality, being one text;
    otherwise each sample matches its own alone."""

    setups: dict[str, Setup]
    same_by_label: bool


def pair_of(setup: Setup) -> Pair:
    """Return the setup of the first modality with that of the second one, which `alignment` names.

    Raises ConfigurationError if there is no second modality of these samples, or its backbone does not fit.
    """
    settings = setup.settings
    own = settings.alignment
    own.check(settings.num_devices)
    backbone = load_backbone(own.backbone, pretrained=settings.weights == "pretrained", seed=setup.seed)
    round_backbone(backbone, settings.frozen_weights)
    if own.second == LABEL_TEXT:
        task = of_labels(setup.task)
    elif {own.second, setup.task.name} == set(CHANNELS) - {"basic-motions"}:
        task = load_task(own.second)
    else:
        raise ConfigurationError(
            f"alignment second is {own.second!r} with task {setup.task.name!r}; legal are {LABEL_TEXT}, and gyroscope "
            "with task accelerometer or the reverse"
        )
    if isinstance(backbone, ImageBackbone):
        raise ConfigurationError(
            f"alignment backbone {own.backbone!r} reads images, and the second modality {own.second!r} has none; legal "
            "are backbones of text, such as minilm"
        )
    theirs = replace(settings, backbone=own.backbone)
    second = assembled(theirs, setup.seed, task, backbone, setup.parts)
    return Pair({FIRST: setup, SECOND: second}, own.second == LABEL_TEXT)


def of_labels(task: Task) -> Task:
    """Return a task of the same samples whose inputs are sentences with the names of their classes."""
    texts = [f"This is {_DIGITS[int(name)] if name in _NUMERALS else name}." for name in task.label_names]

    def told(examples: Examples) -> Examples:
        return Examples([texts[label] for label in examples.labels], examples.labels)

    return Task(LABEL_TEXT, "text", told(task.train), told(task.test), task.label_names)
