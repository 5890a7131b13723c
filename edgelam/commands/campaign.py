# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam campaign EXPERIMENT``, from the command line to finished runs and a table."""

import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from edgelam.commands.run import TRUST
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError
from edgelam.host import shell_line
from edgelam.output import terminal
from edgelam.runs import experiments
from edgelam.runs.campaigns import grid as grids
from edgelam.runs.campaigns.display import Display
from edgelam.runs.campaigns.driver import run_jobs
from edgelam.runs.campaigns.folder import CampaignFolder, Job, Request, now
from edgelam.runs.campaigns.identity import code_version, identity
from edgelam.runs.campaigns.local import LocalWorkers, Workers, default_workers
from edgelam.runs.campaigns.report import print_failures, print_results
from edgelam.runs.configuration.options import base_configuration, parse_options
from edgelam.runs.configuration.settings import differing_arguments, plain_text
from edgelam.runs.many import campaign_runs

_GRID = (
    "KEY=VALUE,VALUE,... for each setting that varies, spelled as in the options below; all combinations are run. "
    "Put a value with a comma into double quotes; separate the items of a list by spaces: "
    """'options="a=1 b=2,3",a=2'."""
)
_BASELINE = "KEY=VALUE of the grid with which the others are compared; default: the first value of each key."


def campaign_options(experiment: str) -> dict[str, tuple[Any, Any]]:
    """Options of the command itself: name -> (annotated type, default)."""
    repeated = tyro.conf.UseAppendAction
    pairs = tuple[tuple[str, ...], ...]
    arg = tyro.conf.arg
    return {
        "grid": (Annotated[pairs, repeated, arg(help=_GRID, metavar="KEY=VALUE,VALUE,...")], ()),
        "seeds": (Annotated[int, arg(help="Number of seeds for every cell of the grid, from --seed on.")], 1),
        "out": (Annotated[Path, arg(help="The campaign's folder.")], Path("campaigns") / experiment),
        "workers": (Annotated[int, arg(help="Number of runs at a time; 0: as many as cores and memory allow.")], 0),
        "ray": (Annotated[str, arg(help="Run on the Ray cluster at this address (auto: that of this node).")], ""),
        "baseline": (Annotated[pairs, repeated, arg(help=_BASELINE, metavar="KEY=VALUE")], ()),
        "metric": (Annotated[str, arg(help="The metric in the table at the end; empty: the main metric.")], ""),
        "trust": TRUST,
        "dry_run": (
            Annotated[bool, tyro.conf.FlagCreatePairsOff, arg(help="List the commands of the runs; run nothing.")],
            False,
        ),
    }  # fmt: skip


def run_campaign(name: str, arguments: Sequence[str]) -> int:
    """``edgelam campaign NAME ARGUMENTS``; returns the exit status, 1 if a run failed."""
    experiment = experiments.find(name)
    options = parse_options(experiment, arguments, command="campaign", fields=campaign_options(experiment.name))
    for option in ("seeds", "workers"):
        if getattr(options, option) < (option == "seeds"):
            raise ConfigurationError(
                f"--{option} is {getattr(options, option)}; it must be at least {int(option == 'seeds')}"
            )
    grid = grids.parse_grid([text for texts in options.grid for text in texts], experiment.config)
    if not grid.values and options.seeds == 1:
        raise ConfigurationError(
            "this is a campaign of one run: give --grid KEY=VALUE,VALUE,... or --seeds N, or use "
            f"edgelam run {name} for one run"
        )
    _refuse_given_twice(grid, arguments)
    baseline = grids.parse_baseline([text for texts in options.baseline for text in texts], grid)
    folder = CampaignFolder(options.out)
    before = folder.asked()
    if before is not None:
        folder.refuse_other(before, experiment.name)
    threads = before.threads if before is not None else _threads(options.workers)
    jobs = _jobs(experiment, options, arguments, grid, threads)
    console, errors = terminal.results(), Console(stderr=True)
    finished = folder.finished_names(jobs)
    todo = [job for job in jobs if job.name not in finished]
    if options.dry_run:
        for job in todo:
            console.print(job.command, markup=False, highlight=False, soft_wrap=True)
        errors.print(f"{len(todo)} of {len(jobs)} runs are to be done", highlight=False)
        return 0

    if options.metric and (names := _readable(folder, jobs)[0]):  # before the first run nobody knows the metrics
        _check_metric(folder, names, options.metric)
    varied = {key.name: [plain_text(value) for value in values] for key, values in grid.values.items()}
    request = Request(
        command=shell_line(["edgelam", "campaign", name, *arguments]), asked=now(), first_seed=options.experiment.seed,
        seeds=options.seeds, grid=varied,
    )  # fmt: skip
    asked = folder.ask(experiment.name, threads, request)
    if asked.threads != threads:  # another campaign began on this folder since
        raise ConfigurationError(
            f"--out {options.out}: another campaign has just begun there, with {asked.threads} threads per run: "
            "give the command again"
        )
    folder.note_order([job.name for job in jobs])
    folder.sweep()
    failed: list[Job] = []
    if todo:
        workers = _workers(options, threads)
        errors.print(
            f"campaign folder: {folder.path} ({len(jobs)} runs, {len(jobs) - len(todo)} of them already done)",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        with Display(len(jobs), len(jobs) - len(todo)) as display:
            try:
                failed = run_jobs(
                    folder, todo, workers, display, experiment=experiment.name, recipe=options.config,
                    on_first=lambda job: _check_metric(folder, folder.finished_names([job]).values(), options.metric),
                )  # fmt: skip
            except KeyboardInterrupt:
                done = len(folder.finished_names(jobs))
                display.say(f"stopped; {done} of {len(jobs)} runs are finished; the same command goes on from there")
                raise
    print_failures(console, folder, failed)  # first: nothing that goes wrong with the results hides them
    names, damaged = _readable(folder, jobs)
    for error in damaged.values():
        console.print(f"DAMAGED {error}", markup=False, highlight=False, soft_wrap=True)
    if names:
        several = [key.column for key, values in grid.values.items() if len(values) > 1]
        chosen = {
            key.column: plain_text(value) if isinstance(value, tuple) else value
            for key, value in baseline.items()
            if key.column in several
        }
        print_results(console, campaign_runs(folder.path).named(names), options.metric, several, chosen)
    console.print(
        f"campaign folder: {folder.path} ({len(names)} of {len(jobs)} runs finished, {len(failed)} failed"
        f"{f', {len(damaged)} damaged' if damaged else ''})",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 1 if failed or damaged else 0


def _refuse_given_twice(grid: grids.Grid, arguments: Sequence[str]) -> None:
    """Raise ConfigurationError if an option is given that the grid sets anyway: it would be ignored."""
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    for key in grid.values:
        group, dot, last = key.name.rpartition(".")
        for option in (f"--{key.name}", f"--{group}{dot}no-{last}"):
            if option.replace("_", "-") in given:
                raise ConfigurationError(f"{option} is given, and --grid {key.name} as well: give one of them")


def _check_metric(folder: CampaignFolder, names: Iterable[str], metric: str) -> None:
    """Refuse a metric that these finished runs do not have; it is accepted if no run has a value in that column."""
    found = campaign_runs(folder.path).named(names)
    if metric and not (metric in found.frame and found.frame[metric].isna().all()):
        found.check_metric(metric)


def _readable(folder: CampaignFolder, jobs: Sequence[Job]) -> tuple[list[str], dict[str, StorageError]]:
    """Return the finished runs whose files can be read, and those whose files cannot be read, with the reason."""
    names = list(folder.finished_names(jobs).values())
    damaged = campaign_runs(folder.path).named(names).damaged() if names else {}
    return [name for name in names if name not in damaged], damaged


def _threads(workers: int) -> int:
    """Return PyTorch's threads for a run: OMP_NUM_THREADS if it is set, otherwise the cores divided by the workers."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    return max(1, len(os.sched_getaffinity(0)) // (workers or default_workers(1)))


def _workers(options: Any, threads: int) -> Workers:
    if options.ray:
        from edgelam.runs.campaigns.on_ray import RayWorkers

        return RayWorkers(options.ray, options.workers, threads)
    return LocalWorkers(options.workers or default_workers(threads), threads)


def _jobs(
    experiment: experiments.Experiment, options: Any, arguments: Sequence[str], grid: grids.Grid, threads: int
) -> list[Job]:
    """Return every cell at every seed, checked: what cannot be run is refused here, before any run begins."""
    _, base = base_configuration(experiment, arguments)
    version, first = code_version(experiment), options.experiment.seed
    given = [] if options.config == experiment.default_recipe else ["--config", options.config]
    jobs: list[Job] = []
    for cell, config in grid.configurations(options.experiment, range(first, first + options.seeds)):
        label = " ".join([*(f"{key.name}={plain_text(value)}" for key, value in cell.items()), f"seed {config.seed}"])
        if config.seed == first:
            try:
                experiment.check(config)
            except ConfigurationError as error:
                raise ConfigurationError(f"{label}: {error}") from error
        command = ["edgelam", "run", experiment.name, *given, *differing_arguments(base, config)]
        jobs.append(Job(label, config, identity(experiment, config, version), version, _shell(command, threads)))
    return jobs


def _shell(command: Sequence[str], threads: int) -> str:
    """Return a command line for a shell that does the same from any folder."""
    variables = [f"OMP_NUM_THREADS={threads}"]
    if own := os.environ.get("EDGELAM_EXPERIMENTS"):
        variables.append(f"EDGELAM_EXPERIMENTS={shlex.quote(own)}")
    return f"cd {shell_line([os.getcwd()])} && {' '.join(variables)} {shell_line(command)}"
