# SPDX-License-Identifier: GPL-2.0-only
"""Checks before reading files that others have made: what they are, and how large they may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgelam.errors import ConfigurationError

_LFS = b"version https://git-lfs.github.com/spec"
_MOST_JSON_BYTES = 64 * 2**20


def refuse_git_lfs_pointer(path: Path) -> None:
    """Raise ConfigurationError if the file has only the few lines that Git LFS puts in the place of a large file."""
    with path.open("rb") as file:
        start = file.read(1024)
    if start.startswith(_LFS):
        size = [line.removeprefix(b"size ") for line in start.splitlines() if line.startswith(b"size ")]
        number = size[0].decode(errors="replace")[:20] if size else "?"
        raise ConfigurationError(
            f"{path} is a Git LFS pointer: it stands for a file of {number} bytes that was not fetched; "
            "run 'git lfs pull' in its repository"
        )


def read_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises ConfigurationError if it is not JSON, too deep, or above 64 MiB."""
    try:
        if path.stat().st_size > _MOST_JSON_BYTES:
            raise ConfigurationError(f"{path} has {path.stat().st_size} bytes; legal are {_MOST_JSON_BYTES}")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:  # ValueError: also text that is not UTF-8, and huge numbers
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{path} cannot be read as JSON: {str(error).splitlines()[0][:160]}") from None
