# SPDX-License-Identifier: GPL-2.0-only
"""``programs.record(folder, label)`` for experiments, which edgelam/replay/programs.py describes."""

from edgelam.replay.programs import record

__all__ = ["record"]
