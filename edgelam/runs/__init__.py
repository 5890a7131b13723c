# SPDX-License-Identifier: GPL-2.0-only
"""Run folders: what an execution of an experiment leaves behind, and how it is read back.

``RunFolder`` writes, ``load`` reads, ``replay`` plays a run again over another network, ``figures`` draws,
``experiments`` finds what can be run.
"""

from edgelam.runs.folder import RunFolder
from edgelam.runs.load import Run, load
from edgelam.runs.replay import replay
from edgelam.runs.storage import StorageError

__all__ = ["Run", "RunFolder", "StorageError", "load", "replay"]
