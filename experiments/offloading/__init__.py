# SPDX-License-Identifier: GPL-2.0-only
"""Two published environments of task offloading, rebuilt: what simple rules and learners do there.

See README.md in this folder for the settings, the results and how to read the figure.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from .config import RECIPES, Config
    from .jobs import run
    from .results import SCORES, plot, report

__all__ = ["RECIPES", "SCORES", "Config", "check", "plot", "report", "run"]

__getattr__ = lazy.attributes(
    __name__,
    {
        **dict.fromkeys(("RECIPES", "Config"), "config"),
        "run": "jobs",
        **dict.fromkeys(("SCORES", "plot", "report"), "results"),
    },
)


def check(config: "Config") -> None:
    """Refuse a run that learns where the package gymnasium is not there."""
    if config.learners:
        import edgelam.gym  # noqa: F401  # the error says how to get it
