# SPDX-License-Identifier: GPL-2.0-only
"""Federated fine-tuning of a transformer that predicts the channel, its traffic on the simulated network.

See README.md in this folder for what is compared, what to expect, and how to read the figures.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from .config import Config, check, needs
    from .jobs import run
    from .plotting import plot
    from .recipes import RECIPES
    from .reporting import report
    from .results import SCORES

__all__ = ["RECIPES", "SCORES", "Config", "check", "needs", "plot", "report", "run"]

__getattr__ = lazy.attributes(
    __name__,
    {
        **dict.fromkeys(("Config", "check", "needs"), "config"),
        "RECIPES": "recipes",
        "run": "jobs",
        "plot": "plotting",
        "report": "reporting",
        "SCORES": "results",
    },
)
