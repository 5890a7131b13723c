# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam models list`` and ``fetch``: their options, and what they print."""

import dataclasses
from typing import Annotated

import tyro

from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class ListModels:
    """List the pre-trained models that can be fetched from the package index: size, licence, origin, and state."""


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Download models, check and convert them, and keep them in ~/.cache/edgelam/models ($XDG_CACHE_HOME)."""

    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME")] = ()
    """The models, by the names that 'edgelam models list' prints."""
    all: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Fetch all models."""


Command = Annotated[ListModels, tyro.conf.subcommand("list")] | Annotated[Fetch, tyro.conf.subcommand("fetch")]


@dataclasses.dataclass(frozen=True)
class Models:
    """List or fetch pre-trained models that need no model hub."""

    command: Command


def run(command: ListModels | Fetch) -> None:
    """Carry out one command."""
    match command:
        case ListModels():
            _list()
        case Fetch(names, everything):
            _fetch(names, everything)


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from edgelam.models.catalogue import MODELS
    from edgelam.models.fetch import is_fetched

    table = Table("name", "role", "MB", "licence", "here", "origin", box=None, pad_edge=False)
    table.add_row("minilm", "text encoder", "", "Apache-2.0", "yes", "all-MiniLM-L6-v2; installed with edgelam")
    for model in MODELS.values():
        here = "yes" if is_fetched(model.name) else "no"
        table.add_row(model.name, model.role, str(model.megabytes), model.licence, here, model.origin)
    Console().print(table)
    print("\nedgelam models fetch NAME brings a model; then load_backbone(NAME) and --backbone NAME load it.")


def _fetch(names: tuple[str, ...], everything: bool) -> None:
    from edgelam.models.catalogue import MODELS, pinned
    from edgelam.models.fetch import fetch

    if bool(names) == everything:
        raise ConfigurationError("models fetch: give the names of models, or --all; 'edgelam models list' names them")
    for name in MODELS if everything else names:
        pinned(name)
    for name in MODELS if everything else names:
        print(f"{name}: {fetch(name)}")
