# SPDX-License-Identifier: GPL-2.0-only
"""Averages of updates of which some may be wrong, one per file.

A combination is ``combine(updates, settings) -> (tensors, kept)``. updates: what each device has sent, minus what it
began with, tensor by tensor (float, finite). tensors: what is added to that; kept: indices of the updates that it
depends on. The numbers of samples that devices tell are not used: a device that lies could tell any.

| combination | what counts | up to how many wrong ones |
|---|---|---|
| `median` | of each number, the median over devices | fewer than half |
| `krum` | the mean of the updates that are nearest to most others | `byzantine`, of at least 2 byzantine + 3 |
| `norm-bound` | the mean of updates, each scaled down to the norm bound | any, each with bounded weight |
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.learning.robust.methods import COMBINATIONS
    from edgelam.learning.robust.settings import RobustSettings
    from edgelam.learning.robust.updates import Combine, is_finite

_HOME = {
    "COMBINATIONS": "methods",
    "RobustSettings": "settings",
    **dict.fromkeys(("Combine", "is_finite"), "updates"),
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = ["COMBINATIONS", "Combine", "RobustSettings", "is_finite"]
