# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam experiment new`` writes a first experiment from a template. It runs as it is, and the user changes it."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from edgelam import templates
from edgelam.errors import ConfigurationError

FOLDER = Path(__file__).parent.parent / "runs" / "templates"


@dataclass(frozen=True)
class Experiment:
    """Write a whole experiment of your own that runs as it is: federated learning of a small model over a network."""

    what: tyro.conf.Positional[Literal["new"]]
    """new: a new file."""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Name of the experiment; the file is NAME.py. An existing file is never changed."""
    template: Literal["fedavg", "fedasync"] = "fedavg"
    """fedavg: the server averages what all devices send; fedasync: it mixes in each model as it arrives."""


def new(name: str, template: str) -> Path:
    """Write the template to the file NAME.py (dashes become underscores) and return its path.

    Raises ConfigurationError if the name is not a plain word, if an experiment of edgelam has it, or if its file
    exists.
    """
    from edgelam.runs import experiments

    given = Path(name)
    stem = given.name.removesuffix(".py")
    path = given.with_name(f"{stem.replace('-', '_')}.py")
    templates.check_name(stem, "experiment", path)
    if stem.replace("_", "-") in experiments.own_names():
        raise ConfigurationError(f"experiment name {stem!r}: edgelam has an experiment of this name; use my-{stem}")
    return templates.write(path, (FOLDER / f"{template}.py.txt").read_text(encoding="utf-8"))


def run(command: Experiment) -> None:
    """Write the file, and print how it is run."""
    path = new(command.name, command.template)
    name = path.stem.replace("_", "-")
    folder = shlex.quote(str(path.parent.absolute()))
    print(f"{path} is written; it runs as it is:\n  export EDGELAM_EXPERIMENTS={folder}\n  edgelam run {name}")
