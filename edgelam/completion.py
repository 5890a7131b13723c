# SPDX-License-Identifier: GPL-2.0-only
"""Shell completion of the command `edgelam`: commands, experiments and all their options."""

import contextlib
import dataclasses
import functools
import io
import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro

from edgelam.runs import experiments
from edgelam.runs.campaigns.command import campaign_options
from edgelam.runs.options import options_of


def script(shell: str, commands: Sequence[Any], run_options: Mapping[str, tuple[Any, Any]]) -> str:
    """What `shell` (bash or zsh) is to source.

    commands: the other commands, as tyro takes them; run_options: those of `edgelam run` itself.
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
    # a help text of several lines would be taken for more words
    lines = written.getvalue().splitlines(keepends=True)
    return "".join(line.replace("\\n", " ") if line.startswith("COMPLETION_SPEC = ") else line for line in lines)


def _each_experiment(command: str, fields_of: Any) -> type:
    """A dataclass whose only field is one of the experiments, with its options."""
    kinds = []
    for name in experiments.names():
        experiment = experiments.find(name)
        recipe = experiment.default_recipe
        kind, default = options_of(
            experiment, command=command, fields=fields_of(name), recipe=recipe, base=experiment.recipes[recipe]()
        )
        kinds.append(Annotated[kind, tyro.conf.subcommand(name, default=default)])
    return dataclasses.make_dataclass(
        command.capitalize(), [("experiment", Annotated[functools.reduce(operator.or_, kinds), tyro.conf.arg(name="")])]
    )
