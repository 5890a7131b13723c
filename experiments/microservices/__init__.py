# SPDX-License-Identifier: GPL-2.0-only
"""Multi-modal inference as shared microservices over a cell, beside monoliths and the cloud.

See README.md in this folder for what is compared, what to expect, and how to read the figures.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from rich.console import Console

    from edgelam.output.progress import Progress
    from edgelam.runs import RunFolder

    from .config import RECIPES, Config, needs
    from .results import SCORES

__all__ = ["RECIPES", "SCORES", "Config", "needs", "plot", "report", "run"]

# Everything is imported when it is used: drawing figures does not wait for PyTorch.
__getattr__ = lazy.attributes(__name__, dict.fromkeys(("RECIPES", "Config", "needs"), "config") | {"SCORES": "results"})


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Run the methods that `config` names."""
    from . import jobs

    jobs.run(config, folder, progress)


def plot(path: Path) -> list[Path]:
    """Draw the figures of a run folder from its files alone."""
    from . import plotting

    return plotting.plot(path)


def report(path: Path, console: "Console") -> None:
    """Print the result tables of a run folder from its files alone."""
    from . import reporting

    reporting.report(path, console)
