# SPDX-License-Identifier: GPL-2.0-only
"""Where the installed compiled parts are: scenario binaries, libraries, headers."""

from importlib.util import find_spec
from pathlib import Path


def package_folder() -> Path:
    """Return the folder of the installed compiled parts (also if the Python files are used from a source tree)."""
    spec = find_spec("edgelam._bridge")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("edgelam's compiled parts are not installed; run 'make build' or 'pip install .'")
    return Path(spec.origin).parent


def installed(relative: str) -> Path:
    """Return the path of an installed part, given relative to the package folder (for example ``bin/bridge-echo``)."""
    return package_folder() / relative


def scenarios() -> dict[str, Path]:
    """Return the installed scenario binaries by name, in alphabetical order."""
    folder = installed("bin/scenarios")
    return {path.name: path for path in sorted(folder.iterdir())} if folder.is_dir() else {}
