# SPDX-License-Identifier: GPL-2.0-only
"""Writes a first scenario from a template: it runs as it is, and the user changes it."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

from edgelam import paths, templates
from edgelam.errors import ConfigurationError

FOLDER = Path(__file__).parent / "templates"
TEMPLATES = {".cc": FOLDER / "scenario.cc", ".py": FOLDER / "scenario.py.txt"}


def new(name: str, suffix: str, *, wifi: bool = False) -> Path:
    """Write the template of this suffix (``.cc``, ``.py``) to the file ``NAME.cc`` or ``NAME.py``; return its path.

    The template is a 5G cell; with `wifi` it is the text of the scenario wifi-campus.

    Raises ConfigurationError if the name is not a plain word, if a Python module has it (its users would import the
    scenario instead), or if the file exists.
    """
    path = Path(name)
    path = path if path.suffix == suffix else path.with_name(path.name + suffix)
    templates.check_name(path.stem, "scenario", path)
    if suffix == ".py" and (path.stem in sys.stdlib_module_names or find_spec(path.stem) is not None):
        raise ConfigurationError(
            f"scenario name {path.stem!r}: Python has a module of this name, and {path.name} would be imported in its "
            f"place; say my-{path.stem} for example"
        )
    text = _wifi(suffix) if wifi else TEMPLATES[suffix].read_text(encoding="utf-8")
    return templates.write(path, text.replace("@NAME@", path.stem))


def _wifi(suffix: str) -> str:
    """The text of wifi-campus as a template: with a place for its name, and headers as users' programs see them."""
    text = paths.installed(f"share/scenarios/wifi-campus{suffix}").read_text(encoding="utf-8")
    return re.sub(r'#include "([\w-]+\.h)"', r"#include <edgelam/\1>", text).replace("wifi-campus", "@NAME@")
