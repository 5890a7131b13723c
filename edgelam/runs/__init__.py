# SPDX-License-Identifier: GPL-2.0-only
"""Run folders: what an execution of an experiment writes, and how it is read.

``Network`` is the network of an experiment, and ``Needs`` what the experiment needs from a scenario. ``RunFolder``
writes, ``load`` reads, ``replay`` plays a run again over another network, ``figures`` draws, ``experiments`` finds what
can be run, and a ``Score`` declares what an experiment measures.
"""

from typing import TYPE_CHECKING, Any

from edgelam.files.storage import StorageError
from edgelam.runs.folders.folder import RunFolder
from edgelam.runs.folders.load import Run, load
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network
from edgelam.runs.scores import Score

if TYPE_CHECKING:
    from edgelam.replay import replay

__all__ = ["Needs", "Network", "Run", "RunFolder", "Score", "StorageError", "load", "replay"]


def __getattr__(name: str) -> Any:
    if name != "replay":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edgelam.replay import replay  # which is made of what is here

    return replay
