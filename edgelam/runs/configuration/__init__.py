# SPDX-License-Identifier: GPL-2.0-only
"""Configurations: dataclasses, as text (TOML, JSON), as settings by name, as options of a command."""

from edgelam.runs.configuration.text import from_toml, leaves, parse_pairs, suggest, texts, to_plain, to_toml

__all__ = ["from_toml", "leaves", "parse_pairs", "suggest", "texts", "to_plain", "to_toml"]
