# SPDX-License-Identifier: GPL-2.0-only
"""Libraries that only conversions need: the extra ``models`` of this package."""

from __future__ import annotations

import importlib
from typing import Any

from edgelam.errors import ConfigurationError


def needed(module: str, purpose: str) -> Any:
    """Import `module`. Raises ConfigurationError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigurationError(
            f"{module} is needed {purpose} and is not installed: pip install 'edgelam[models]'"
        ) from None
