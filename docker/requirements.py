# SPDX-License-Identifier: GPL-2.0-only
"""Write requirements.txt and build-tools.txt from a pyproject.toml into the current folder."""

import sys
import tomllib
from pathlib import Path

BUILD_TOOLS = ("cmake", "nanobind", "ninja", "scikit-build-core")

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
tools = [pin for pin in project["optional-dependencies"]["dev"] if pin.split("==")[0] in BUILD_TOOLS]
for name, pins in (("requirements.txt", project["dependencies"]), ("build-tools.txt", tools)):
    Path(name).write_text("\n".join(pins) + "\n")
