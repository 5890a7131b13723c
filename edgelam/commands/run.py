# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam run``, ``plot``, ``replay`` and ``list``: their options, and what they do. Nothing heavy is imported."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from edgelam.errors import EdgelamError

if TYPE_CHECKING:
    from edgelam.runs.experiments import Experiment
    from edgelam.runs.folders.load import Run

_TRUST_HELP = "Scenario files that may run although only a configuration file names them (docs/security.md)."
TRUST = (Annotated[tuple[str, ...], tyro.conf.arg(help=_TRUST_HELP)], ())
"""The option --trust: it does nothing but name a path on the command line."""
RUN_OPTIONS = {
    "out": (Annotated[Path, tyro.conf.arg(help="The folder that holds all runs.")], Path("runs")),
    "print_config": (
        Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help="Print the settings as TOML; run nothing.")],
        False,
    ),
    "no_report": (
        Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help="Do not write report.html at the end.")],
        False,
    ),
    "trust": TRUST,
}


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw the figures of a run again and print its tables, using only the files of its folder."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run folder."""


@dataclasses.dataclass(frozen=True)
class Replay:
    """Replay what a run sent and computed over another network, without PyTorch: exact, or refused (docs/replay.md)."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    scenario: str | None = None
    """The network: an installed scenario (edgelam list), a file .cc or .py, a path to a program, or none.
    None: that of the run."""
    options: tuple[str, ...] = ()
    """Options of the scenario, as NAME=VALUE. The options of the run are kept if its scenario is kept."""
    devices: tuple[str, ...] = ()
    """The machine of each node, as PATTERN=PROFILE or PATTERN=PROFILE,NUMBER=VALUE, instead of those of the run."""
    compute: Literal["modelled", "free"] | None = None
    """How much simulated time computing takes. None: as in the run."""
    seed: int | None = None
    """Seed of the network only; the learning is that of the run. None: the seed of the run."""
    any_order: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Blocks of different tasks on one node may run in another order; use this only if they share no state."""
    trust: tuple[str, ...] = ()
    """Scenario files that may run although only the run folder names them (docs/security.md)."""
    out: Path = Path("runs")
    """The folder that holds all runs."""


def run_experiment(name: str, arguments: list[str]) -> int:
    """``edgelam run NAME ARGUMENTS``: read the recipe or file and the options, run, and show tables and figures."""
    from edgelam.output.progress import Progress
    from edgelam.runs import experiments
    from edgelam.runs.configuration import to_toml
    from edgelam.runs.configuration.options import parse_options
    from edgelam.runs.folders.folder import RunFolder
    from edgelam.runs.network import network_of
    from edgelam.scenarios.asking import scenario_help

    # PyTorch's idle threads spin by default, which takes the core that ns-3 needs (4 times slower on a busy machine);
    # the variable is read when PyTorch is first imported
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    experiment = experiments.find(name)
    options = parse_options(experiment, arguments, command="run", fields=RUN_OPTIONS)
    config = options.experiment
    network = network_of(config) or config
    if "--options" in arguments and not network.options:
        print(scenario_help(network.scenario), end="")
        return 0
    experiment.check(config, start=not options.print_config)
    if options.print_config:
        print(to_toml(config), end="")
        return 0

    folder = RunFolder.create(experiment.name, config, seed=config.seed, out=options.out, recipe=options.config)
    with folder, Progress() as progress:
        progress.say(f"run folder: {folder.path}")
        experiment.run(config, folder, progress)
    return _show_results(experiment, folder.path, write_html=not options.no_report)


def plot_run(path: Path) -> int:
    """``edgelam plot RUN``."""
    from edgelam.runs import experiments
    from edgelam.runs.folders.load import load_run
    from edgelam.text import printable

    run = load_run(path)
    ranks = run.manifest["experiment"] == "torchrun"
    experiment = None if ranks else experiments.find(run.manifest["experiment"])
    if run.state != "completed":
        reason = f" ({run.manifest['reason']})" if run.manifest.get("reason") else ""
        text = f"edgelam: this run is {run.state}{reason}; showing what it has written so far"
        print(printable(text), file=sys.stderr)
    if experiment is None:
        from edgelam.commands import torchrun

        return torchrun.show(path)
    return _show_results(experiment, path)


def replay_run(settings: Replay) -> int:
    """``edgelam replay RUN``."""
    from edgelam.output.progress import Progress
    from edgelam.replay import replay
    from edgelam.runs import experiments
    from edgelam.runs.folders.load import reading
    from edgelam.text import parse_pairs

    with reading(settings.run), Progress() as progress:
        run = replay(
            settings.run,
            scenario=settings.scenario,
            options=parse_pairs(settings.options, "--options"),
            devices=parse_pairs(settings.devices, "--devices") or None,
            compute=settings.compute,
            seed=settings.seed,
            any_order=settings.any_order,
            trust=settings.trust,
            out=settings.out,
            progress=progress,
        )
    known = run.manifest["experiment"] in experiments.names()
    return _show_results(experiments.find(run.manifest["experiment"]) if known else None, run.path)


def list_all() -> int:
    """``edgelam list``."""
    from rich.console import Console
    from rich.markup import escape

    from edgelam import paths
    from edgelam.runs import experiments
    from edgelam.runs.configuration.options import first_line
    from edgelam.scenarios.asking import scenario_summary

    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold]experiments[/] (edgelam run NAME --config RECIPE)")
    for name in experiments.names():
        try:
            experiment = experiments.find(name)
            recipes = [(recipe, first_line(function)) for recipe, function in experiment.recipes.items()]
        except EdgelamError as error:  # a file of the user
            console.print(f"  [bold]{escape(name)}[/]  {escape(str(error))}")
            continue
        console.print(f"  [bold]{escape(name)}[/]  {escape(experiment.summary)}")
        for recipe, line in recipes:
            default = " (default)" if recipe == experiment.default_recipe else ""
            console.print(f"    {escape(recipe)}{default}: {escape(line)}")
    console.print("[bold]scenarios[/] (--scenario NAME)")
    try:
        scenarios = paths.scenarios()
    except FileNotFoundError as error:
        raise EdgelamError(str(error)) from error
    for name, binary in scenarios.items():
        console.print(f"  [bold]{name}[/]  {scenario_summary(binary)}")
    console.print(f"  [bold]{experiments.NO_SCENARIO}[/]  no network: transfers take no time")
    return 0


def _show_results(experiment: "Experiment | None", path: Path, *, write_html: bool = False) -> int:
    """Show tables, figures and report of a run that has ended, each even if another fails; return the exit status.

    A failure here does not change how the run ended: `edgelam plot` and `edgelam report` do it again.
    """
    from edgelam.output import terminal
    from edgelam.report.marks import score_table
    from edgelam.runs.folders.load import load_run
    from edgelam.text import printable

    console = terminal.results()
    failed = False

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    def tables() -> None:
        if experiment is not None and experiment.prints:
            experiment.report(path, console)
        elif experiment is not None:
            scores(load_run(path))

    def scores(run: "Run") -> None:
        found = score_table(run)
        if found is not None:
            table = terminal.TextTable("Results", *found["heads"], left=found["labels"], caption=found["note"])
            for row in found["rows"]:
                table.add_row(*row)
            table.print(console)

    def figures() -> None:
        for figure in experiment.plot(path) if experiment is not None else ():
            say(f"figure: {figure}")

    def html() -> None:
        from edgelam.report import write_report

        say(f"report: {write_report(path)}")

    for step in (tables, figures, html) if write_html else (tables, figures):
        try:
            step()
        except EdgelamError as error:
            failed = True
            print(printable(f"edgelam: {error}"), file=sys.stderr)
    say(f"run folder: {path}")
    if failed:
        print(f"edgelam: the run itself is kept; when the cause is removed, use: edgelam plot {path}", file=sys.stderr)
    return 1 if failed else 0
