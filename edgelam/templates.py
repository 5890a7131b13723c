# SPDX-License-Identifier: GPL-2.0-only
"""Files that are written once for the user to change: a first scenario, a first experiment."""

import re
from pathlib import Path

from edgelam.errors import ConfigurationError, EdgelamError


def check_name(name: str, what: str, path: Path) -> None:
    """Refuse a `name` that is not a plain word; what: the kind of thing; path: what it becomes."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ConfigurationError(
            f"{what} name {name!r}: a letter, then letters, digits, - and _ (it becomes {path.name}; "
            "a folder may stand before it)"
        )


def write(path: Path, text: str) -> Path:
    """Write a new file and return its path. Raises ConfigurationError if the file exists."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigurationError(f"{path} is there already and stays as it is: choose another name") from None
    except OSError as error:
        raise EdgelamError(f"cannot write {path}: {error.strerror}") from error
    return path
