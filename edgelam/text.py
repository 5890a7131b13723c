# SPDX-License-Identifier: GPL-2.0-only
"""Text that people write (NAME=VALUE, names), and text that people read (similar names, sizes, names from files)."""

import difflib
from collections.abc import Iterable

from edgelam.errors import ConfigurationError


def parse_pairs(pairs: Iterable[str], what: str) -> dict[str, str]:
    """Return ``("name=value", ...)`` as a dict; `what` names the option in errors (no ``=``, given twice)."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not (name and sign):
            raise ConfigurationError(f"{what} takes NAME=VALUE, got {pair!r}")
        if name in found:
            raise ConfigurationError(f"{what} gives {name} twice: {found[name]} and {value}")
        found[name] = value
    return found


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Return 'did you mean X?' for the nearest known name, and all names: the end of an error about an unknown name."""
    known = list(known)
    folded = {name.lower().replace("_", "-"): name for name in known}
    near = difflib.get_close_matches(wrong.lower().replace("_", "-"), list(folded), n=1)
    hint = f"did you mean {folded[near[0]]!r}? There" if near else "there"
    return f"{hint} are: {', '.join(known)}" if known else f"{hint} are none"


def printable(text: str) -> str:
    """`text` with control characters and lone surrogates written out (``\\x1b``): it does nothing to a terminal."""
    shown = "".join(f"\\x{ord(c):02x}" if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 else c for c in text)
    return shown.encode("utf-8", "backslashreplace").decode()


def si_bytes(count: float) -> str:
    """Return a number of bytes for people: '1.25 MB' (decimal units, as for a link)."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"
