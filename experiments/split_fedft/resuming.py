# SPDX-License-Identifier: GPL-2.0-only
"""Where a method's run is put aside and gone on with: a file of the folder of checkpoints for each method and seed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from edgelam.federated import Setup
from edgelam.learning.course import Course
from edgelam.runs.configuration import to_plain

from .config import STUDIES, Config

NOT_PART = (
    "methods", "controls", "checkpoints", "checkpoint_every", "threads", "search_factors", "search_rounds",
    "search_holdout", "allocations", *STUDIES,
)  # fmt: skip
"""Settings that may be others when a run is gone on with: learning rates that were found are in `learning`."""


def course_of(config: Config, setup: Setup, method: str, label: str) -> Course:
    """Return how far a method is. Raises ConfigurationError if its checkpoint is damaged, or of other settings.

    setup: whose settings are those with which it learns.
    """
    if not config.checkpoints:
        return Course()
    plain = {name: value for name, value in to_plain(config).items() if name not in NOT_PART}
    plain |= {"learning": to_plain(setup.settings), "method": method, "label": label}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]
    name = re.sub(r"[^a-z0-9]+", "-", f"{label} {config.seed}".lower()).strip("-")
    path = Path(config.checkpoints) / f"{name}.safetensors"
    return Course(path, config.checkpoint_every, {"method": method, "label": label, "settings": digest})
