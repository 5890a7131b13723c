# SPDX-License-Identifier: GPL-2.0-only
"""The study itself: one simulation, or one classifier without a network, for each way and seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgelam.federated import Setup, controls
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from .. import ways
from ..tables import write_control
from .settings import HOG, LINEAR, MAJORITY, SVM, parse

if TYPE_CHECKING:
    from ..config import Config

CLASSIFIERS: dict[str, Callable[[Setup], controls.ControlRow]] = {
    LINEAR: lambda setup: controls.linear(setup)[-1],  # with all labels that the devices have
    SVM: controls.support_vectors, HOG: controls.hog, MAJORITY: controls.majority,
}  # fmt: skip


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run every way with every seed; tables go to `folder` as the run goes on."""
    from ..jobs import simulate_method

    for name, own, setup in ways.cases(config, config.scarcities, folder, progress):
        kind, _ = parse(name.rsplit(" #", 1)[0])
        if kind in CLASSIFIERS:
            row = CLASSIFIERS[kind](setup)
            write_control(folder, dataclasses.replace(row, name=name), len(setup.test))
        else:
            simulate_method(own, setup, own.methods[0], name, folder=folder)
