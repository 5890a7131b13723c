# SPDX-License-Identifier: GPL-2.0-only
"""Two published environments of task offloading, rebuilt: what simple rules do there, beside published learners.

See README.md in this folder for the settings, the results and how to read the figure.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from rich.console import Console

    from edgelam.output.progress import Progress
    from edgelam.runs import RunFolder

    from .config import RECIPES, Config
    from .results import SCORES

__all__ = ["RECIPES", "SCORES", "Config", "plot", "report", "run"]

__getattr__ = lazy.attributes(__name__, dict.fromkeys(("RECIPES", "Config"), "config") | {"SCORES": "results"})


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Measure the rules that `config` names."""
    from . import jobs

    jobs.run(config, folder, progress)


def plot(path: Path) -> list[Path]:
    """Draw the figures of a run folder from its files alone."""
    from . import results

    return results.plot(path)


def report(path: Path, console: "Console") -> None:
    """Print the result tables of a run folder from its files alone."""
    from . import results

    results.report(path, console)
