# SPDX-License-Identifier: GPL-2.0-only
"""Finds experiments, and defines what an experiment is.

An experiment is a module or package in the folder ``experiments/`` (installed as ``edgelam.experiments``), or in the
folder that the environment variable EDGELAM_EXPERIMENTS names, with

    Config                          a dataclass (of dataclasses) with a field `seed`: every field is an option; a field
                                    that is a `Network` (edgelam/runs/network.py) says on which network it runs
    RECIPES                         {name: function that returns a Config}; the first is the default
    needs(config) -> Needs          optional: what a scenario must have for it (edgelam/runs/needs.py)
    check(config)                   optional: refuses other settings that cannot be run, before anything is made
    run(config, folder, progress)   does the work and writes tables into the RunFolder
    plot(path) -> list[Path]        draws the figures of a run folder from its files alone
    report(path, console)           optional: prints its result tables, from its files alone; without it, its scores are
                                    printed
    SCORES                          optional: a tuple of edgelam.runs.scores.Score, what it measures: name, unit, which
                                    way is better, where it stands in the tables; the first is the main one
    scores(run) -> DataFrame        optional: what a campaign compares if the tables do not hold it; text columns say
                                    to what a row belongs (method, test set), number columns are the metrics

docs/writing-an-experiment.md shows a complete one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rich.console import Console

import edgelam
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.output.progress import Progress
from edgelam.runs import scores as declared_scores
from edgelam.runs.configuration import fields_of
from edgelam.runs.folders.folder import RunFolder, read_manifest
from edgelam.runs.needs import Needs
from edgelam.runs.network import check_devices, network_of
from edgelam.runs.scores import Score
from edgelam.scenarios.asking import NO_SCENARIO, check_scenario
from edgelam.text import suggest

if TYPE_CHECKING:
    import pandas as pd

    from edgelam.runs.folders.load import Run

__all__ = [
    "NO_SCENARIO", "Experiment", "check_devices", "check_scenario", "find", "names", "own_names",
]  # fmt: skip
_HOW = " (docs/writing-an-experiment.md shows a whole one)"
_told: set[str] = set()  # entries that are not folders, about which the user has been told


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment: its name and its module. Parts are looked up when used: plotting needs no learning code."""

    name: str
    module: ModuleType

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (self.module.__doc__ or "").strip().partition("\n")[0]

    @property
    def config(self) -> type:
        """The dataclass of the configuration."""
        kind: type = self._part("Config")
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise EdgelamError(f"the Config of experiment {self.name} is not a dataclass{_HOW}")
        if "seed" not in {field.name for field in dataclasses.fields(kind)}:
            raise EdgelamError(f"the Config of experiment {self.name} lacks the field 'seed'")
        fields_of(kind)  # no two settings, its own or those of its network, may have the same name
        return kind

    @property
    def recipes(self) -> Mapping[str, Callable[[], Any]]:
        """Recipe name -> function; the first is the default."""
        found: Mapping[str, Callable[[], Any]] = self._part("RECIPES")
        if not isinstance(found, Mapping) or not found or not all(map(callable, found.values())):
            raise EdgelamError(
                f"the RECIPES of experiment {self.name} are {found!r}; they must be {{name: function that returns a "
                f"Config}} with one at least{_HOW}"
            )
        return found

    @property
    def default_recipe(self) -> str:
        """The name of the first recipe."""
        return next(iter(self.recipes))

    def start(self, recipe: str) -> Any:
        """Return the configuration that a recipe gives. Raises EdgelamError if the recipe fails."""
        try:
            config = self.recipes[recipe]()
        except EdgelamError:
            raise
        except Exception as error:
            raise EdgelamError(
                f"recipe {recipe} of experiment {self.name} fails: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(config, self.config):
            raise EdgelamError(
                f"recipe {recipe} of experiment {self.name} returns {config!r}, which is no Config{_HOW}"
            )
        return config

    def needs(self, config: Any) -> Needs:
        """Return what a scenario must have for it; nothing if the experiment does not say."""
        if not hasattr(self.module, "needs"):
            return Needs()
        found = self.module.needs(config)
        if not isinstance(found, Needs):
            raise EdgelamError(f"needs() of experiment {self.name} returns {found!r}, which is no Needs{_HOW}")
        return found

    def check(self, config: Any, *, start: bool = True) -> None:
        """Refuse what cannot be run: a network that lacks what the experiment needs, then what its own check refuses.

        start: start the scenario to see what it has. Raises ConfigurationError.
        """
        network = network_of(config)
        if network is not None:
            network.check(self.needs(config), start=start)
        if hasattr(self.module, "check"):
            self.module.check(config)

    def run(self, config: Any, folder: RunFolder, progress: Progress) -> None:
        """Do the work. Its scores are noted in the manifest first: the run can be shown without the experiment."""
        if self.declared is not None:
            folder.record(**{declared_scores.MANIFEST: [score.plain() for score in self.declared]})
        self._part("run")(config, folder, progress)

    @property
    def declared(self) -> tuple[Score, ...] | None:
        """The SCORES of the experiment; None if it declares none. Raises EdgelamError if they are not scores."""
        found = getattr(self.module, "SCORES", None)
        return None if found is None else declared_scores.check(found, self.name)

    def plot(self, path: Path) -> list[Path]:
        """Draw the figures of a run folder; return their paths."""
        with self._told("plot", path):
            figures: list[Path] = self._part("plot")(path)
        return figures

    @property
    def prints(self) -> bool:
        """Whether it prints result tables of its own; otherwise its scores are shown."""
        return hasattr(self.module, "report")

    def report(self, path: Path, console: Console) -> None:
        """Print the result tables of a run folder by its function `report`; nothing if it has none."""
        if self.prints:
            with self._told("report", path):
                self.module.report(path, console)

    def scores(self, run: Run) -> pd.DataFrame | None:
        """Return the results of a run from its function `scores`; None if it has none."""
        if not hasattr(self.module, "scores"):
            return None
        with self._told("scores", run.path):
            found: pd.DataFrame = self.module.scores(run)
        return found

    @contextlib.contextmanager
    def _told(self, function: str, path: Path) -> Iterator[None]:
        """Turn any error of a function that reads a run into one that says which function, where, and which run."""
        try:
            yield
        except EdgelamError:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            folder = os.path.dirname(str(self.module.__file__))
            place = next((frame for frame in reversed(frames) if frame.filename.startswith(folder)), frames[-1])
            state = read_manifest(path)["state"]
            hint = "" if state == "completed" else f" (the run is {state}: its tables may lack rows, or be missing)"
            raise EdgelamError(
                f"{function}() of experiment {self.name} cannot show {path}{hint}: {type(error).__name__}: {error} "
                f"({place.filename}:{place.lineno})"
            ) from error

    def _part(self, name: str) -> Any:
        try:
            return getattr(self.module, name)
        except AttributeError as error:
            raise EdgelamError(f"{self.name} is not an experiment: it lacks {name}{_HOW}") from error


def names() -> list[str]:
    """Return the names of all experiments, with dashes, in alphabetical order. None of them is imported."""
    return sorted(_modules(_package().__path__))


def own_names() -> list[str]:
    """Return the names of the experiments that come with edgelam."""
    return sorted(_modules(_own_package().__path__[:1]))


def find(name: str) -> Experiment:
    """Return the experiment of this name (dashes or underscores). Raises ConfigurationError with the existing names.

    Raises EdgelamError if it cannot be imported.
    """
    plain = name.replace("_", "-")
    package = _package()
    modules = _modules(package.__path__)
    if plain not in modules:
        known = suggest(name, sorted(modules))
        raise ConfigurationError(f"no experiment is called {name!r}; {known}{_where_own(plain)}")
    try:
        module = importlib.import_module(f"{package.__name__}.{modules[plain]}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also sys.exit: whatever a user's file contains, the other experiments work
        raise EdgelamError(f"experiment {plain} cannot be imported: {type(error).__name__}: {error}") from error
    return Experiment(plain, module)


def _modules(folders: Iterable[str]) -> dict[str, str]:
    """Return the modules in these folders: name as an experiment -> name in Python."""
    found = (module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_"))
    return {name.replace("_", "-"): name for name in sorted(found)}


def _where_own(name: str) -> str:
    """Return where a user's experiment would be found, for the end of an error."""
    own = os.environ.get("EDGELAM_EXPERIMENTS", "")
    if own:
        return f". EDGELAM_EXPERIMENTS is {own!r}" + ("" if Path(own).is_dir() else ", which is no folder")
    here = any(Path(f"{name.replace('-', mark)}.py").is_file() for mark in "_-")
    return ". One of your own is looked for in the folder that EDGELAM_EXPERIMENTS names, which is not set" + (
        f"; for the file here say: EDGELAM_EXPERIMENTS=. edgelam run {name}" if here else ""
    )


def _package() -> ModuleType:
    """Return all experiments as a package: ours, and those in the folder that EDGELAM_EXPERIMENTS names."""
    package = _own_package()
    own = os.environ.get("EDGELAM_EXPERIMENTS", "")
    if own and own not in package.__path__:
        if Path(own).is_dir():
            package.__path__.append(own)
        elif own not in _told:
            _told.add(own)
            print(
                f"edgelam: EDGELAM_EXPERIMENTS is {own!r}, which is no folder: only edgelam's own are known",
                file=sys.stderr,
            )
    return package


def _own_package() -> ModuleType:
    """Return ``edgelam.experiments``; in a source tree that is not installed, ``experiments/`` beside ``edgelam/``."""
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
