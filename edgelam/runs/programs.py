# SPDX-License-Identifier: GPL-2.0-only
"""``programs.record(folder, label)``, for experiments: it is told in edgelam/replay/programs.py."""

from edgelam.replay.programs import record

__all__ = ["record"]
