# SPDX-License-Identifier: GPL-2.0-only
"""The command ``edgelam``. It starts quickly: PyTorch is imported only by the commands that need it."""

import dataclasses
import errno
import importlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn, get_args

import tyro

import edgelam
from edgelam import limits, streams
from edgelam.commands import csi as csi_commands
from edgelam.commands import experiment as experiment_commands
from edgelam.commands import models as models_commands
from edgelam.commands import report as report_commands
from edgelam.commands import run as run_commands
from edgelam.commands import scenario as scenario_commands
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.processes import leave
from edgelam.scenarios import trust

EXIT_ERROR, EXIT_USAGE, EXIT_SIGNAL = 1, 2, 128


class Terminated(KeyboardInterrupt):
    """SIGTERM, or SIGHUP of a closed terminal. It ends the run as Ctrl-C does, with exit status 143 or 129."""

    def __init__(self, number: int) -> None:
        """Take the number of the signal."""
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclasses.dataclass(frozen=True)
class Run:
    """Run an experiment: 'edgelam run EXPERIMENT --help' shows all its options."""

    experiment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="EXPERIMENT")]
    """Name of the experiment; 'edgelam list' shows all names."""


@dataclasses.dataclass(frozen=True)
class Campaign:
    """Run an experiment over a grid of settings and seeds: 'edgelam campaign EXPERIMENT --help' shows all options."""

    experiment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="EXPERIMENT")]
    """Name of the experiment; 'edgelam list' shows all names."""


@dataclasses.dataclass(frozen=True)
class Torchrun:
    """Run a program of torch.distributed over a simulated network: 'edgelam torchrun --help' shows all options."""


@dataclasses.dataclass(frozen=True)
class List:
    """List experiments with their recipes, and scenarios."""


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Check this machine and installation, and say what to do about problems."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure the bridge (Python to C++), transfers, the radio channel (both against ns-3's own), an NR cell,
    collectives, methods of beamforming, or a closed loop that sets precoders."""

    what: tyro.conf.Positional[
        Literal["bridge", "transfers", "channel", "radio", "collectives", "beamforming", "beams"]
    ]
    """What to measure."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON instead of a table."""
    growth: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """radio: also measure 30, 100 and 300 UEs."""
    cells: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """radio: also measure networks of 3, 21 and 57 cells (some minutes), and work on two threads."""
    figure: Path | None = None
    """radio --growth: draw speed over the number of UEs; collectives: draw time over size; as PATH.svg and PATH.png."""
    sizes: tuple[int, ...] = ()
    """collectives: bytes of a rank's tensor. Default: 4096 65536 1000000."""
    algorithms: tuple[str, ...] = ()
    """collectives: see docs/collectives.md. Default: all."""
    scenarios: tuple[str, ...] = ()
    """collectives: scenarios with the option numUe. Default: wired-star nr-urban-micro."""
    ranks: int | None = None
    """collectives: how many ranks, each a device. Default: 4."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Write a scenario of your own in one file, build it, or print the compiler's flags."""

    command: scenario_commands.Command


@dataclasses.dataclass(frozen=True)
class Ns3Ai:
    """Print flags to compile and link programs written for ns3-ai, and the folder where Python finds ns3ai_utils."""

    what: tyro.conf.Positional[Literal["cflags", "libs", "python-path"]]
    """cflags: compiler options; libs: linker options, after the sources; python-path: a folder for PYTHONPATH."""


@dataclasses.dataclass(frozen=True)
class Completion:
    """Print Tab completion; once: edgelam completion > ~/.local/share/bash-completion/completions/edgelam."""

    shell: tyro.conf.Positional[Literal["bash", "zsh"]] = "bash"
    """The shell for which it is written."""


Command = (
    Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Campaign, tyro.conf.subcommand("campaign")]
    | Annotated[Torchrun, tyro.conf.subcommand("torchrun")]
    | Annotated[run_commands.Plot, tyro.conf.subcommand("plot")]
    | Annotated[run_commands.Replay, tyro.conf.subcommand("replay")]
    | Annotated[report_commands.Report, tyro.conf.subcommand("report")]
    | Annotated[report_commands.Compare, tyro.conf.subcommand("compare")]
    | Annotated[report_commands.Trace, tyro.conf.subcommand("trace")]
    | Annotated[report_commands.Check, tyro.conf.subcommand("check")]
    | Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[csi_commands.Csi, tyro.conf.subcommand("csi")]
    | Annotated[Scenario, tyro.conf.subcommand("scenario")]
    | Annotated[models_commands.Models, tyro.conf.subcommand("models")]
    | Annotated[experiment_commands.Experiment, tyro.conf.subcommand("experiment")]
    | Annotated[Ns3Ai, tyro.conf.subcommand("ns3-ai")]
    | Annotated[Completion, tyro.conf.subcommand("completion")]
)
_DESCRIPTION = "Large AI models at the edge of 5G/6G networks: real PyTorch learning over packet-level ns-3 networks."


def program() -> NoReturn:
    """The command `edgelam` as a process of its own."""
    leave(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 error, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup, disown: the command goes on without a terminal
        signal.signal(signal.SIGHUP, _terminate)
    with streams.lasting_streams() as output:
        try:
            with trust.scope():
                status = _dispatch(arguments)
        except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
            status = _explain(error)
        output.flush()
        if output.lost is not None and output.lost.errno not in (errno.EPIPE, errno.EIO):  # not | head, closed window
            print(f"edgelam: cannot write to standard output: {output.lost.strerror}", file=sys.stderr)
            status = status or EXIT_ERROR
    return status


def _explain(error: BaseException) -> int:
    """Print what ended the command, without a traceback, and return the exit status; a bug is raised again."""
    from edgelam.errors import first_cause
    from edgelam.runs.folders.folder import explanation
    from edgelam.text import printable

    cause = first_cause(error)
    if isinstance(cause, KeyboardInterrupt):
        terminated = isinstance(cause, Terminated)
        words = f"terminated ({cause})" if terminated else "interrupted"
        print("\n".join([f"edgelam: {words}", *getattr(cause, "__notes__", ())]), file=sys.stderr)
        return EXIT_SIGNAL + (cause.number if isinstance(cause, Terminated) else signal.SIGINT)
    if isinstance(cause, EdgelamError):
        print(printable(explanation(cause)), file=sys.stderr)
    elif limited := limits.cause(cause):
        print(f"edgelam: {limited}", file=sys.stderr)
    else:
        raise error
    return EXIT_USAGE if isinstance(cause, ConfigurationError) else EXIT_ERROR


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that closes may send the signal twice
    raise Terminated(number)


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] == "--version":
        print(f"edgelam {edgelam.__version__}")
        return 0
    if len(arguments) > 1 and arguments[0] in ("run", "campaign") and arguments[1] not in ("-h", "--help"):
        command, name = arguments[:2]
        if name.startswith("-"):  # the options are known only after the experiment
            raise ConfigurationError(f"{name} is before the experiment; write: edgelam {command} EXPERIMENT [options]")
        if command == "campaign":
            from edgelam.commands.campaign import run_campaign

            return run_campaign(name, arguments[2:])
        return run_commands.run_experiment(name, arguments[2:])
    if arguments[:1] == ["torchrun"]:
        from edgelam.commands import torchrun

        return torchrun.run(arguments[1:])
    _refuse_unknown(arguments)
    chosen = tyro.cli(
        Command,
        args=arguments or ["--help"],
        prog="edgelam",
        description=_DESCRIPTION,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    match chosen:
        case run_commands.Plot(run):
            return run_commands.plot_run(run)
        case run_commands.Replay():
            return run_commands.replay_run(chosen)
        case report_commands.Report() | report_commands.Compare() | report_commands.Trace() | report_commands.Check():
            return report_commands.run(chosen)
        case List():
            return run_commands.list_all()
        case Doctor():
            from edgelam.commands import doctor

            return int(doctor.run() or 0)
        case Bench():
            return _bench(chosen)
        case csi_commands.Csi(settings):
            csi_commands.run(settings)
            return 0
        case Scenario(what):
            scenario_commands.run(what)
            return 0
        case models_commands.Models(what):
            models_commands.run(what)
            return 0
        case experiment_commands.Experiment():
            experiment_commands.run(chosen)
            return 0
        case Completion(shell):
            from edgelam.commands import completion

            others = [kind for kind in get_args(Command) if get_args(kind)[0] not in (Run, Campaign)]
            print(completion.script(shell, others, run_commands.RUN_OPTIONS), end="")
            return 0
        case Ns3Ai(what):
            from edgelam.ns3ai import flags

            print(flags.PYTHON_PATH if what == "python-path" else " ".join(getattr(flags, what)()))
            return 0
    raise AssertionError(f"no such command: {chosen}")


def _bench(chosen: Bench) -> int:
    for flag in ("growth", "cells"):
        if getattr(chosen, flag) and chosen.what != "radio":
            raise ConfigurationError(f"--{flag} belongs to: edgelam bench radio")
    if chosen.figure is not None and chosen.what != "collectives" and not chosen.growth:
        raise ConfigurationError("--figure belongs to: edgelam bench collectives, or to --growth")
    mine = ("sizes", "algorithms", "scenarios", "ranks")
    options = {name: getattr(chosen, name) for name in mine if getattr(chosen, name) not in ((), None)}
    if options and chosen.what != "collectives":
        raise ConfigurationError(f"--{next(iter(options))} belongs to: edgelam bench collectives")
    for flag in ("growth", "cells"):
        if getattr(chosen, flag):
            options[flag] = True
    if chosen.figure is not None:
        options["figure"] = chosen.figure
    return int(importlib.import_module(f"edgelam.bench.{chosen.what}").run(json=chosen.json, **options) or 0)


def _refuse_unknown(arguments: list[str]) -> None:
    """Raise an error that names what exists, if the command or the word after csi, scenario or models is unknown."""
    levels = {
        "": Command,
        "csi": csi_commands.Command,
        "scenario": scenario_commands.Command,
        "models": models_commands.Command,
    }
    for place, kinds in levels.items():
        said = arguments[:1] if not place else arguments[1:2] if arguments[:1] == [place] else []
        names = [get_args(kind)[1].name for kind in get_args(kinds)]
        if said and not said[0].startswith("-") and said[0] not in names:
            from edgelam.text import suggest

            raise ConfigurationError(
                f"no command is called {f'{place} {said[0]}'.strip()!r}; {suggest(said[0], names)}"
            )
