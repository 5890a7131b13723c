# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: the parts that `config` names, one after the other."""

from __future__ import annotations

import itertools

import torch

from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from . import cnn, connectivity, downloads, exits, losses, sharing
from .config import Config

_PARTS = {"downloads": downloads, "sharing": sharing, "needs": connectivity, "loss": losses}
_ALONE = {"ladder": losses.ladder, "exits": exits.run, "cnn": cnn.run}


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the same seed gives the same bytes on every machine
    try:
        for part in config.parts:
            if part in _ALONE:
                progress.begin(part, 1, "models")
                _ALONE[part](config, folder)
                progress.step(1)
                continue
            module, done = _PARTS[part], itertools.count(1)
            progress.begin(part, module.simulations(config), "simulations")
            module.run(config, folder, lambda done=done: progress.step(next(done)))
    finally:
        torch.set_num_threads(before)
