# SPDX-License-Identifier: GPL-2.0-only
"""Learned beamforming beside classical methods: rates on channels of sizes that are not trained on.

See README.md in this folder for the settings, the results and how to read the figures.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from .config import RECIPES, Config, needs
    from .jobs import run
    from .results import SCORES, plot, report

__all__ = ["RECIPES", "SCORES", "Config", "check", "needs", "plot", "report", "run"]

__getattr__ = lazy.attributes(
    __name__,
    {
        **dict.fromkeys(("RECIPES", "Config", "needs"), "config"),
        "run": "jobs",
        **dict.fromkeys(("SCORES", "plot", "report"), "results"),
    },
)


def check(config: "Config") -> None:
    """Refuse a run whose backbone or policies are not there, or whose network cannot be driven."""
    if any(kind.startswith("graph-lam") or kind == "gnn" for kind in config.learned):
        from edgelam.models import check_backbone

        check_backbone(config.policy.backbone)
    if config.device != "cpu":
        _check_device(config.device)
    if config.policies:
        from .jobs import check_policies

        check_policies(config)
    if not config.network.is_ideal and not config.federated.sites:
        from . import loop

        loop.check(config)


def _check_device(device: str) -> None:
    import torch

    from edgelam.errors import ConfigurationError

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ConfigurationError(f"device is {device!r}, which PyTorch cannot use here: {first}") from None
