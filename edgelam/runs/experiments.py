# SPDX-License-Identifier: GPL-2.0-only
"""Find experiments and say what one is.

An experiment is a module or package in the folder ``experiments/`` (installed as ``edgelam.experiments``) with

    Config                          a dataclass (of dataclasses) with a field `seed`: every field is a command line
    option RECIPES                         {name: function that returns a Config}; the first is the default
    check(config)                   optional: refuse what cannot be run, before anything is made
    run(config, folder, progress)   does the work and writes tables into the RunFolder
    plot(path) -> list[Path]        draws the figures of a run folder from its files alone
    report(path, console)           prints its result tables, from its files alone
"""

import dataclasses
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console

import edgelam
from edgelam import paths
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.runs.configuration import suggest
from edgelam.runs.folder import RunFolder
from edgelam.runs.progress import Progress

NO_SCENARIO = "none"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment, found and checked: see the module's docstring for the parts."""

    name: str
    summary: str
    config: type
    recipes: Mapping[str, Callable[[], Any]]
    check: Callable[[Any], None]
    run: Callable[[Any, RunFolder, Progress], None]
    plot: Callable[[Path], list[Path]]
    report: Callable[[Path, Console], None]

    @property
    def default_recipe(self) -> str:
        """The name of the first recipe."""
        return next(iter(self.recipes))


def names() -> list[str]:
    """The experiments there are, with dashes, in alphabetical order. Imports none of them."""
    found = (module.name for module in pkgutil.iter_modules(_package().__path__))
    return sorted(name.replace("_", "-") for name in found if not name.startswith("_"))


def find(name: str) -> Experiment:
    """The experiment of that name (dashes or underscores). Raises ConfigurationError naming those that exist."""
    plain = name.replace("_", "-")
    if plain not in names():
        raise ConfigurationError(f"no experiment is called {name!r}; {suggest(name, names())}")
    module = importlib.import_module(f"{_package().__name__}.{plain.replace('-', '_')}")
    missing = [part for part in ("Config", "RECIPES", "run", "plot", "report") if not hasattr(module, part)]
    if missing:
        raise EdgelamError(f"experiment {plain} lacks {', '.join(missing)} (see edgelam/runs/experiments.py)")
    if "seed" not in {field.name for field in dataclasses.fields(module.Config)}:
        raise EdgelamError(f"the Config of experiment {plain} lacks the field 'seed'")
    return Experiment(
        name=plain,
        summary=(module.__doc__ or "").strip().partition("\n")[0],
        config=module.Config,
        recipes=module.RECIPES,
        check=getattr(module, "check", lambda config: None),
        run=module.run,
        plot=module.plot,
        report=module.report,
    )


def check_scenario(name: str) -> None:
    """Refuse a scenario that is not installed. Legal: an installed name, a path to a binary, ``none`` (no network)."""
    if name == NO_SCENARIO or ("/" in name and Path(name).is_file()):
        return
    try:
        known = list(paths.scenarios())
    except FileNotFoundError as error:
        raise EdgelamError(str(error)) from error
    if name not in known:
        raise ConfigurationError(f"no scenario is called {name!r}; {suggest(name, [*known, NO_SCENARIO])}")


def _package() -> ModuleType:
    """``edgelam.experiments``; in a source tree not installed, the folder ``experiments/`` beside ``edgelam/``."""
    name = "edgelam.experiments"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        folder = Path(edgelam.__file__).resolve().parent.parent / "experiments"
        if error.name != name or not (folder / "__init__.py").is_file():
            raise
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
