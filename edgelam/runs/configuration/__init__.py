# SPDX-License-Identifier: GPL-2.0-only
"""Configurations: dataclasses, as text (TOML, JSON), as settings by name, as options of a command."""

from edgelam.runs.configuration.text import (
    fields_of,
    flat,
    from_toml,
    is_flat,
    leaves,
    texts,
    to_plain,
    to_toml,
)
from edgelam.text import parse_pairs, suggest  # experiments import them under these names

__all__ = [
    "fields_of",
    "flat",
    "from_toml",
    "is_flat",
    "leaves",
    "parse_pairs",
    "suggest",
    "texts",
    "to_plain",
    "to_toml",
]
