# SPDX-License-Identifier: GPL-2.0-only
"""Split federated fine-tuning of a pre-trained transformer over a packet-level network.

See README.md in this folder for what is compared, what to expect, and how to read the figures.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgelam import lazy

if TYPE_CHECKING:
    from rich.console import Console

    from .config import RECIPES, Config, check, needs
    from .jobs import run
    from .results import SCORES

__all__ = ["RECIPES", "SCORES", "Config", "check", "needs", "plot", "report", "run"]

# Everything is imported when it is used: drawing figures does not wait for PyTorch.
__getattr__ = lazy.attributes(
    __name__,
    {
        **dict.fromkeys(("RECIPES", "Config", "check", "needs"), "config"),
        "run": "jobs",
        "SCORES": "results",
    },
)


def plot(path: Path) -> list[Path]:
    """Draw the figures of a run folder from its files alone."""
    figures: list[Path] = _study_of(path, "plotting").plot(path)
    return figures


def report(path: Path, console: "Console") -> None:
    """Print the result tables of a run folder from its files alone."""
    _study_of(path, "reporting").report(path, console)


def _study_of(path: Path, part: str) -> Any:
    from edgelam.runs.folders.folder import read_manifest

    from .config import STUDIES

    configuration = read_manifest(path)["configuration"]
    # older runs have no study
    study = ".allocation" if configuration.get("allocations", {}).get("rules") else ""
    for name, folder in STUDIES.items():
        study = f".{folder}" if configuration.get(name, {}).get("ways") else study
    return importlib.import_module(f"{__name__}{study}.{part}")
