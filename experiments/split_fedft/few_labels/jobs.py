# SPDX-License-Identifier: GPL-2.0-only
"""The study itself: one simulation, or one classifier without a network, for each way and seed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edgelam.federated import controls
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from .. import ways
from ..tables import write_control
from .settings import LINEAR, MAJORITY, parse

if TYPE_CHECKING:
    from ..config import Config


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run every way with every seed; tables go to `folder` as the run goes on."""
    from ..jobs import simulate_method

    for name, own, setup in ways.cases(config, config.scarcities, folder, progress):
        kind, _ = parse(name.rsplit(" #", 1)[0])
        if kind == LINEAR:
            row = controls.linear(setup)[-1]  # with all labels that the devices have
        elif kind == MAJORITY:
            row = controls.majority(setup)
        else:
            simulate_method(own, setup, own.methods[0], name, folder=folder)
            continue
        write_control(folder, dataclasses.replace(row, name=name), len(setup.test))
