# SPDX-License-Identifier: GPL-2.0-only
"""The recipe declared."""

from ..config import Config


def declared() -> Config:
    """15 declared services in 5 graphs: shared, monolithic, in the cloud; no model is needed. About a minute."""
    return Config()
