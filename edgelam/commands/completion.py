# SPDX-License-Identifier: GPL-2.0-only
"""Shell completion of the command `edgelam`: commands, experiments and all their options."""

import ast
import contextlib
import dataclasses
import functools
import io
import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro

from edgelam import paths
from edgelam.commands.campaign import campaign_options
from edgelam.errors import EdgelamError
from edgelam.runs import experiments
from edgelam.runs.configuration.options import options_of


def script(shell: str, commands: Sequence[Any], run_options: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the script that `shell` (bash or zsh) must source.

    commands: the other commands, as tyro takes them; run_options: the options of `edgelam run` itself.
    """
    with_experiment = [
        Annotated[
            _each_experiment("run", lambda name: run_options), tyro.conf.subcommand("run")
        ],
        Annotated[_each_experiment("campaign", campaign_options), tyro.conf.subcommand("campaign")],
    ]  # fmt: skip
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
        tyro.cli(
            functools.reduce(operator.or_, [*with_experiment, *commands]),
            args=["--tyro-print-completion", shell],
            prog="edgelam",
            config=(tyro.conf.OmitSubcommandPrefixes,),
        )
    arguments = {get_args(command)[1].name: _words_of(get_args(command)[0]) for command in commands}
    return "".join(_mended(line, arguments) for line in written.getvalue().splitlines(keepends=True))


# where tyro's script has nothing to offer, it ends; then the shell itself completes names of files.
_FILES_INSTEAD = {
    "complete -F ": "complete -o bashdefault -o default -F ",
    'matches+=("$completion")': '[[ -n "$completion" ]] && matches+=("$completion")',
    'COMPREPLY=($(compgen -f -- "$cur"))': "COMPREPLY=()",
    "_describe 'edgelam completions' completion_array": '[[ -n "$completions" ]] && '
    "_describe 'edgelam completions' completion_array || _files",
}


def _words_of(command: type) -> tuple[str, ...]:
    """Return the words that a command takes as its argument: tyro's completion knows only options and commands."""
    for hint in get_type_hints(command, include_extras=True).values():
        kind, *marks = get_args(hint) or (hint,)
        if get_origin(kind) is Literal and set(get_args(tyro.conf.Positional[int])[1:]) <= set(marks):
            return get_args(kind)
    return ()


def _mended(line: str, arguments: Mapping[str, Sequence[str]]) -> str:
    """Return a line of tyro's script, changed as we need it; arguments: the words that each command takes."""
    if line.startswith("COMPLETION_SPEC = "):
        spec = ast.literal_eval(line.partition(" = ")[2])
        _extend(spec, [], arguments)
        return f"COMPLETION_SPEC = {spec!r}\n".replace("\\n", " ")  # several lines would be read as more words
    for said, better in _FILES_INSTEAD.items():
        line = line.replace(said, better)
    return line


def _extend(spec: dict[str, Any], words: list[str], arguments: Mapping[str, Sequence[str]]) -> None:
    """Add what tyro does not know to its description of a command, and to those of its subcommands."""
    for option in spec["options"]:
        if "--scenario" in option["flags"]:
            option |= {"type": "choice", "choices": [*paths.scenarios(), experiments.NO_SCENARIO]}
        elif "--config" in option["flags"]:
            option |= {"type": "choice", "choices": list(experiments.find(words[-1]).recipes)}
    for name in arguments.get(" ".join(words), ()):
        spec["subcommands"][name] = spec | {"description": name, "subcommands": {}}
    for name, below in spec["subcommands"].items():
        _extend(below, [*words, name], arguments)


def _each_experiment(command: str, fields_of: Any) -> type:
    """Return a dataclass whose only field is one of the experiments, with its options."""
    kinds = []
    for name in experiments.names():
        try:
            experiment = experiments.find(name)
            recipe = experiment.default_recipe
            base = experiment.start(recipe)
            kind, default = options_of(experiment, command=command, fields=fields_of(name), recipe=recipe, base=base)
        except EdgelamError:  # a user's file that is not an experiment: edgelam list says why
            continue
        kinds.append(Annotated[kind, tyro.conf.subcommand(name, default=default)])
    return dataclasses.make_dataclass(
        command.capitalize(), [("experiment", Annotated[functools.reduce(operator.or_, kinds), tyro.conf.arg(name="")])]
    )
