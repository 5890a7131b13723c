# SPDX-License-Identifier: GPL-2.0-only
"""Settings that a method does not know are refused, all in the same words."""

from collections.abc import Iterable

from edgelam.errors import ConfigurationError


def refuse_unknown(method: str, table: Iterable[tuple[bool, str, str]]) -> None:
    """Raise ConfigurationError for the first row that is wrong: (whether it is, what was set, what is legal)."""
    for wrong, what, legal in table:
        if wrong:
            raise ConfigurationError(f"{what} with method {method}, which does not know it; legal is {legal}")
