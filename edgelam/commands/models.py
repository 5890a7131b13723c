# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam models list``, ``fetch``, ``train`` and ``score``: their options, and what they print."""

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
    source: Annotated[str, tyro.conf.arg(name="from", metavar="FOLDER")] = ""
    """Take the one model that is named from this folder, or from the hub cache by its name there (such as
    facebook/dinov2-small), instead of its package. Nothing is downloaded."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Train small modules (projectors, sensor model, image decoder) on what was fetched; they go into the same cache.

    A training that is interrupted goes on from there the next time. The same seed gives the same weights.
    """

    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME")] = ()
    """The modules, by the names that 'edgelam models list' prints."""
    all: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Train all modules but those that come with edgelam."""
    seed: int = 0
    """Seed of first weights, of the choice of samples and of their order."""


@dataclasses.dataclass(frozen=True)
class Score:
    """Measure how good tasks are with the modules that are here, beside the same tasks with random weights."""

    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="TASK")] = ()
    """The tasks; without any: all."""
    seed: int = 0
    """Seed of the choice of test samples, and of random weights."""


Command = (
    Annotated[ListModels, tyro.conf.subcommand("list")]
    | Annotated[Fetch, tyro.conf.subcommand("fetch")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Score, tyro.conf.subcommand("score")]
)


@dataclasses.dataclass(frozen=True)
class Models:
    """List or fetch pre-trained models that need no model hub, train small modules on them, and measure tasks."""

    command: Command


def run(command: ListModels | Fetch | Train | Score) -> None:
    """Carry out one command."""
    match command:
        case ListModels():
            _list()
        case Fetch(names, everything, ""):
            _fetch(names, everything)
        case Fetch(names, everything, source):
            _keep(names, everything, source)
        case Train(names, everything, seed):
            _train(names, everything, seed)
        case Score(names, seed):
            _score(names, seed)


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from edgelam.modalities.trained import TRAINED, is_trained
    from edgelam.models.catalogue import MODELS
    from edgelam.models.fetch import is_fetched

    table = Table("name", "role", "MB", "licence", "here", "origin", box=None, pad_edge=False)
    table.add_row("minilm", "text encoder", "", "Apache-2.0", "yes", "all-MiniLM-L6-v2; installed with edgelam")
    for model in MODELS.values():
        here = "yes" if is_fetched(model.name) else "no"
        table.add_row(model.name, model.role, str(model.megabytes), model.licence, here, model.origin)
    Console().print(table)
    modules = Table("trained here", "what it does", "needs", "here", box=None, pad_edge=False)
    for recipe in TRAINED.values():
        here = "yes" if is_trained(recipe.name) else "no"
        modules.add_row(recipe.name, recipe.role, ", ".join(recipe.needs), here)
    print()
    Console().print(modules)
    print("\nedgelam models fetch NAME brings a model; then load_backbone(NAME) and --backbone NAME load a backbone.")
    print("edgelam models train NAME trains a module; edgelam models score measures what tasks do with all of them.")


def _fetch(names: tuple[str, ...], everything: bool) -> None:
    from edgelam.models.catalogue import MODELS, pinned
    from edgelam.models.fetch import fetch

    if bool(names) == everything:
        raise ConfigurationError("models fetch: give the names of models, or --all; 'edgelam models list' names them")
    for name in MODELS if everything else names:
        pinned(name)
    for name in MODELS if everything else names:
        print(f"{name}: {fetch(name)}")


def _keep(names: tuple[str, ...], everything: bool, source: str) -> None:
    from edgelam.models.local import keep

    if len(names) != 1 or everything:
        raise ConfigurationError("models fetch --from: give the name of one model; 'edgelam models list' names them")
    print(f"{names[0]}: {keep(names[0], source)}")


def _train(names: tuple[str, ...], everything: bool, seed: int) -> None:
    from edgelam.modalities.trained import TRAINED, recipe_of, train

    if bool(names) == everything:
        raise ConfigurationError("models train: give the names of modules, or --all; 'edgelam models list' names them")
    wanted = names or [name for name, recipe in TRAINED.items() if not recipe.comes_along]
    for name in wanted:
        recipe_of(name)
    for name in wanted:
        print(f"{name}: {train(name, seed=seed)}")


def _score(names: tuple[str, ...], seed: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from edgelam.modalities.scores import SCORES, score
    from edgelam.modalities.tasks import task_of

    if seed < 0:
        raise ConfigurationError(f"models score: seed {seed}; legal are whole numbers from 0")
    for name in names:
        task_of(name)
    table = Table("task", "measured", "samples", "result", "control", "random in it", "GFLOP", "ms", box=None)
    for name in names or SCORES:
        result = score(name, seed=seed, say=print)
        for number, (random, control) in enumerate(result.controls.items()):
            measured = (name, result.measure, str(result.samples), f"{result.value:.3f}")
            cost = (f"{result.gflop:.2f}", f"{result.server_ms:.1f}")
            first = number == 0
            table.add_row(*(measured if first else [""] * 4), f"{control:.3f}", random, *(cost if first else [""] * 2))
    Console().print(table)
    print("\nGFLOP and ms: of one request, and how long the device profile 'cpu-server' computes at it.")
