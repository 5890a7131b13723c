# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam report``, ``compare``, ``trace``, ``check``: their options, and what they do. Nothing heavy is imported."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Report:
    """Write report.html of a run (map and timeline over simulated time, metrics, configuration) or of a campaign."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The folder of a run or of a campaign."""
    out: Path | None = None
    """The file to write. None: report.html in that folder."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare runs: print a table, and write a page with their curves in one chart."""

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN")]
    """The run folders, at least two."""
    out: Path = Path("compare.html")
    """The page to write."""


@dataclasses.dataclass(frozen=True)
class Trace:
    """Write a run as a trace for ui.perfetto.dev or chrome://tracing: simulated and wall time on separate tracks."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    out: Path | None = None
    """The file to write. None: trace.json in the run folder."""


@dataclasses.dataclass(frozen=True)
class Check:
    """Compare every file with the digest that was stored with it; the exit status is 1 if a file is damaged."""

    paths: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PATH")]
    """Runs, campaigns, recordings of CSI, checkpoints, or folders that contain them."""


def run(command: Report | Compare | Trace | Check) -> int:
    """Carry out one of the commands; return the exit status."""
    from edgelam.runs.folders.load import reading

    if isinstance(command, Check):
        return _check(command.paths)
    with reading(*(command.runs if isinstance(command, Compare) else (command.run,))):
        _write(command)
    return 0


def _write(command: Report | Compare | Trace) -> None:
    match command:
        case Report(path, out):
            from edgelam.report import write_report

            written = write_report(path, _file(out))
            print(f"report: {written} ({written.stat().st_size / 1e6:.1f} MB)")
        case Compare(paths, out):
            from edgelam.output import terminal
            from edgelam.report.compare import Comparison

            _file(out)
            comparison, console = Comparison(paths), terminal.results()
            for title, (heads, rows), caption in (
                ("Results", comparison.overview, comparison.note),
                ("Simulations", comparison.costs, ""),
                ("Settings that differ", comparison.differences, ""),
            ):
                table = terminal.TextTable(title, *heads, left=len(heads), caption=caption)
                for row in rows:
                    table.add_row(*row)
                table.print(console)
            comparison.write(out)
            print(f"comparison: {out}")
        case Trace(path, out):
            from edgelam.report.trace_events import write_trace

            out = _file(out) or path / "trace.json"
            print(f"trace: {out} ({write_trace(path, out)} events; open it at https://ui.perfetto.dev)")


def _check(paths: tuple[Path, ...]) -> int:
    from edgelam.runs.folders.checking import check
    from edgelam.text import printable

    if not paths:
        raise ConfigurationError("edgelam check takes at least one PATH")
    found = [finding for path in paths for finding in check(path)]
    for verdict in ("not covered", "unverified"):
        names = [str(finding.path) for finding in found if finding.verdict == verdict]
        if names:
            print(printable(f"{verdict}: {', '.join(names)}"))
    damaged = [finding for finding in found if finding.verdict == "damaged"]
    for finding in damaged:
        print(printable(f"damaged: {finding.reason}"), file=sys.stderr)
    whole = sum(finding.verdict == "whole" for finding in found)
    print(f"{whole} files are as they were written, {len(damaged)} damaged")
    return 1 if damaged else 0


def _file(out: Path | None) -> Path | None:
    """Refuse a path where no file can be written, before anything is read."""
    if out is not None and out.is_dir():
        raise ConfigurationError(f"--out {out} is a folder; give the name of a file")
    if out is not None and not out.parent.is_dir():
        raise ConfigurationError(f"--out {out}: there is no folder {out.parent}")
    return out
