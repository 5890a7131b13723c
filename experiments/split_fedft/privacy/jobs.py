# SPDX-License-Identifier: GPL-2.0-only
"""The study itself: one simulation for each way and seed, then the attacks on what it has trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgelam.federated import Setup, split_fedft
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from .. import ways
from . import attacks, matching
from .settings import NONE, parse

if TYPE_CHECKING:
    from ..config import Config


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run every way with every seed; tables go to `folder` as the run goes on."""
    from ..jobs import simulate_method

    deep: set[int] = set()
    for name, own, setup in ways.cases(config, config.privacies, folder, progress):
        parts = None
        if own.methods[0] == split_fedft.METHOD:
            parts = split_fedft.build(setup, [f"ue{k}" for k in range(setup.settings.num_devices)])
        simulate_method(own, setup, own.methods[0], name, folder=folder, parts=parts)
        if parts is not None:
            _attack(config, setup, parts, folder, name)
        if setup.seed not in deep:
            deep.add(setup.seed)
            for row in attacks.depths_of(setup):
                folder.table("depths", attacks.DEPTHS).append(row)


def _attack(config: Config, setup: Setup, parts: split_fedft.SplitModels, folder: RunFolder, name: str) -> None:
    model = next(iter(parts.models().values()))
    found = attacks.membership_of(setup, model, 0, config.privacies.members)
    if found is not None:
        folder.table("members", attacks.MEMBERS).append({"method": name} | found)
    if parse(name.rsplit(" #", 1)[0])[0] == NONE:
        for row in matching.matched_of(setup, model, 0, config.privacies.matching_steps):
            folder.table("matched", matching.MATCHED).append({"method": name} | row)
    if setup.settings.privacy.clip is not None:
        for row in attacks.audits_of(setup, config.privacies.canaries):
            folder.table("audits", attacks.AUDITS).append({"method": name} | row)
