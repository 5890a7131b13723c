# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: case after case, each measured into tables; then figures, numbers and checks from the tables."""

from pathlib import Path
from types import ModuleType

from rich.console import Console

from edgelam.output.progress import Progress
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, load

from . import (
    bler,
    delay,
    dense_urban,
    distance,
    evaluations,
    geometry,
    interference,
    large_scale,
    peak,
    precoders,
    rlc,
    schedulers,
    tcp,
)
from .checks import Check
from .config import Config
from .runner import Runner

# Each has TABLE (its first table), measure(config, folder, runner), draw(run) -> files, numbers(run) -> tables of
# text, and checks(run).
MODULES: dict[str, ModuleType] = {
    "bler": bler,
    "peak": peak,
    "delay": delay,
    "distance": distance,
    "schedulers": schedulers,
    "rlc": rlc,
    "tcp": tcp,
    "geometry": geometry,
    "evaluations": evaluations,
    "large_scale": large_scale,
    "interference": interference,
    "precoders": precoders,
    "dense_urban": dense_urban,
}


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Measure what `config` names; tables go to `folder` as the run goes on."""
    runner = Runner(config.processes, progress)
    for case in config.cases:
        MODULES[case].measure(config, folder, runner)


def plot(path: Path) -> list[Path]:
    """Draw all figures the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    found = load(path)
    return [file for module in _measured(found) for file in module.draw(found)]


def checks(path: Path) -> list[Check]:
    """Everything that is checked of a run folder."""
    found = load(path)
    return [check for module in _measured(found) for check in module.checks(found)]


def report(path: Path, console: Console) -> None:
    """Print the numbers of each case, and what was checked."""
    found = load(path)
    for module in _measured(found):
        for table in module.numbers(found):
            table.print(console)
    table = TextTable("What must hold", "case: what", "found", "")
    for check in checks(path):
        table.add_row(f"{check.case}: {check.what}", check.found, check.verdict)
    table.print(console)


def _measured(found: Run) -> list[ModuleType]:
    return [module for module in MODULES.values() if module.TABLE in found and len(found[module.TABLE])]
