# SPDX-License-Identifier: GPL-2.0-only
"""The command line of an experiment: a recipe or file for its configuration, and each field as an option."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.runs.configuration import from_toml, texts, to_plain
from edgelam.runs.configuration.settings import settings_of
from edgelam.runs.experiments import Experiment
from edgelam.scenarios import trust
from edgelam.text import suggest


def base_configuration(experiment: Experiment, arguments: Sequence[str]) -> tuple[str, Any]:
    """Return what ``--config`` names: (recipe or file name, configuration), before the arguments are parsed."""
    name = experiment.default_recipe
    for index, argument in enumerate(arguments):
        if argument == "--config" and index + 1 < len(arguments):
            name = arguments[index + 1]
        elif argument.startswith("--config="):
            name = argument.partition("=")[2]
    if name in experiment.recipes:
        return name, experiment.start(name)
    if name.endswith(".toml") or Path(name).is_file():
        return name, from_toml(Path(name), experiment.config)
    known = suggest(name, experiment.recipes)
    raise ConfigurationError(f"--config takes a recipe or a file FILE.toml; no recipe is called {name!r}; {known}")


def parse_options(
    experiment: Experiment,
    arguments: Sequence[str],
    *,
    command: str,
    fields: Mapping[str, tuple[Any, Any]],
) -> Any:
    """Parse `arguments` of ``edgelam COMMAND EXPERIMENT``: --config, `fields`, and every field of the configuration.

    fields: the command's own options, {name: (annotated type, default)}. Returns an object with the attributes
    `config` (recipe or file name), those of `fields`, and `experiment` (the requested configuration). Raises
    ConfigurationError; exits with status 2 and a message as tyro does.
    """
    _refuse_twice(arguments, fields)
    name, base = base_configuration(experiment, arguments)
    kind, default = options_of(experiment, command=command, fields=fields, recipe=name, base=base)
    options = tyro.cli(
        kind,
        default=default,
        args=arguments,
        prog=f"edgelam {command} {experiment.name}",
        description=experiment.summary,
    )
    if name not in experiment.recipes:
        typed = trust.typed(argument for argument in arguments if argument.removeprefix("--config=") != name)
        trust.named_by(name, texts(to_plain(base)), own=[*typed, *own_texts(experiment)])
    return options


def own_texts(experiment: Experiment) -> list[str]:
    """Return every text in the recipes of an experiment; a scenario that its own code names is among them."""
    return [text for recipe in experiment.recipes for text in texts(to_plain(experiment.start(recipe)))]


def _refuse_twice(arguments: Sequence[str], fields: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuse an option that is given twice: the parser would silently take the last. `fields` of texts may be."""
    repeatable = {name for name, (_, default) in fields.items() if isinstance(default, tuple)}
    seen: set[str] = set()
    for argument in arguments:
        option = argument.partition("=")[0]
        if option in seen:
            raise ConfigurationError(
                f"{option} is given twice; give it once (an option of several values takes them all: {option} A B ...)"
            )
        if option.startswith("--") and option.removeprefix("--").replace("-", "_") not in repeatable:
            seen.add(option)


def options_of(
    experiment: Experiment, *, command: str, fields: Mapping[str, tuple[Any, Any]], recipe: str, base: Any
) -> tuple[type, Any]:
    """Return a dataclass with --config, `fields` and the configuration's fields, and its value without arguments."""
    for setting in settings_of(experiment.config).values():
        if setting.column in ("config", *fields):
            raise EdgelamError(
                f"experiment {experiment.name}: --{setting.name} is an option of edgelam {command} itself"
            )
    recipes = "; ".join(f"{name}: {first_line(function)}" for name, function in experiment.recipes.items())
    kind = dataclasses.make_dataclass(
        "Options",
        [
            ("config", Annotated[str, tyro.conf.arg(help=f"Settings to start from: a recipe or FILE.toml. {recipes}")]),
            *((field, kind) for field, (kind, _) in fields.items()),
            ("experiment", Annotated[experiment.config, tyro.conf.arg(name="")]),
        ],
        frozen=True,
    )
    return kind, kind(recipe, *(default for _, default in fields.values()), base)


def first_line(function: Callable[..., Any]) -> str:
    """Return the first line of a docstring; nothing for a dataclass without its own."""
    text = (function.__doc__ or "").strip()
    return "" if text.startswith(f"{function.__name__}(") else text.partition("\n")[0]
