# SPDX-License-Identifier: GPL-2.0-only
"""The recipe seeds."""

from ..config import Config
from ..serving.settings import ServingSettings


def seeds() -> Config:
    """The same with five seeds, each with services of its own: differences with intervals."""
    return Config(serving=ServingSettings(num_seeds=5))
