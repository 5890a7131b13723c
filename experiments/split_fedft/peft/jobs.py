# SPDX-License-Identifier: GPL-2.0-only
"""The study itself: one simulation for each way and seed, and the bytes of both kinds of fine-tuning by rank and
length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from .. import ways
from . import sizes

if TYPE_CHECKING:
    from ..config import Config


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run every way with every seed; tables go to `folder` as the run goes on."""
    from edgelam.federated import prepare

    study = config.tunings
    setup = prepare(config.learning, config.seed)
    for row in sizes.table(setup, study.byte_ranks, study.byte_tokens):
        folder.table("sizes", sizes.COLUMNS).append(row)
    ways.run(config, study, folder, progress)
