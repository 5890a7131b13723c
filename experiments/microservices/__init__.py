# SPDX-License-Identifier: GPL-2.0-only
"""Multi-modal inference as shared microservices over a cell, beside monoliths and the cloud.

See README.md in this folder for what is compared, what to expect, and how to read the figures.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgelam import lazy

if TYPE_CHECKING:
    from rich.console import Console

    from edgelam.output.progress import Progress
    from edgelam.runs import RunFolder
    from edgelam.runs.needs import Needs
    from edgelam.runs.scores import Score

    from .config import Config
    from .recipes import RECIPES

__all__ = ["RECIPES", "SCORES", "Config", "check", "needs", "plot", "report", "run"]

# Everything is imported when it is used: drawing figures does not wait for PyTorch.
_parts = lazy.attributes(__name__, {"RECIPES": "recipes", "Config": "config"})


def __getattr__(name: str) -> Any:
    return _scores() if name == "SCORES" else _parts(name)


def needs(config: "Config") -> "Needs":
    """What the study needs."""
    found: Needs = _study(config.study).needs(config)
    return found


def check(config: "Config") -> None:
    """Refuse what the study cannot run."""
    _study(config.study).check(config)


def run(config: "Config", folder: "RunFolder", progress: "Progress") -> None:
    """Run the study; the scores of the run are those of the study."""
    from edgelam.runs import scores

    study = _study(config.study)
    folder.record(**{scores.MANIFEST: [score.plain() for score in study.SCORES]})
    study.run(config, folder, progress)


def plot(path: Path) -> list[Path]:
    """Draw the figures of a run folder from its files alone."""
    figures: list[Path] = _study_of(path).plot(path)
    return figures


def report(path: Path, console: "Console") -> None:
    """Print the result tables of a run folder from its files alone."""
    _study_of(path).report(path, console)


def _study(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")


def _study_of(path: Path) -> Any:
    from edgelam.runs.folders.folder import read_manifest

    return _study(read_manifest(path)["configuration"].get("study", "serving"))  # older runs have no other


def _scores() -> "tuple[Score, ...]":
    """Return the scores of all studies, each name once."""
    from typing import get_args

    from edgelam.runs.scores import merged

    from .config import Study

    return merged(_study(name).SCORES for name in get_args(Study))
