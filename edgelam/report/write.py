# SPDX-License-Identifier: GPL-2.0-only
"""The report of a run, made only from its folder."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from rich.console import Console

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.report import simulations
from edgelam.report.campaign import campaign_page
from edgelam.report.charts import chart_tables, drawn, plain_table
from edgelam.report.marks import score_table
from edgelam.report.page import write_page
from edgelam.runs import experiments, results
from edgelam.runs.folders.load import Run, load

REPORT = "report.html"
MAX_FIGURES_BYTES = 3_000_000  # of all figures together


def write_report(path: Path, out: Path | None = None) -> Path:
    """Write the report of `path`, a run folder or a campaign's, to `out` (default: report.html in it); return the path.

    For a run that goes on or was killed, it shows what has been written so far. Raises StorageError.
    """
    found = load(path)
    out = out or Path(path) / REPORT
    write_page(out, _run_page(found) if isinstance(found, Run) else campaign_page(found))
    return out


def _run_page(run: Run) -> dict[str, Any]:
    shown = simulations.describe(run)
    manifest = run.manifest
    return {
        "title": f"{manifest['experiment']}, run {run.path.resolve().name}",
        "state": _state(manifest),
        "simulated": [[each["name"], f"{each['end_s']:.6g} s"] for each in shown],
        "wall": wall_clock(run, shown),
        "simulations": shown,
        "runs": None,
        "results": score_table(run),
        "scores": drawn(results.of_run(run)),
        "tables": {name: plain_table(rows) for name, rows in chart_tables(run).items()},
        "text": _results(run),
        "figures": _figures(run.path),
        "configuration": manifest["configuration"],
        "again": f"edgelam run {manifest['experiment']} --config {run.path / 'config.toml'}",
        "provenance": {
            name: manifest.get(name) for name in ("command", "seeds", "recipe", "versions", "source", "host")
        },
    }


def wall_clock(run: Run, shown: list[dict[str, Any]]) -> list[list[str]]:
    """Return wall-clock times: when the run began and ended, and how long each simulation took."""
    manifest = run.manifest
    rows = [["began", str(manifest["started"])], ["ended", str(manifest["ended"] or "-")]]
    if run.wall_s is not None:
        rows.append(["whole run", f"{run.wall_s:.0f} s"])
    return rows + [[each["name"], f"{each['wall_s']:.3g} s"] for each in shown if each["wall_s"] is not None]


def _state(manifest: dict[str, Any]) -> str:
    reason = f" ({manifest['reason']})" if manifest.get("reason") else ""
    recipe = f", recipe {manifest['recipe']}" if manifest.get("recipe") else ""
    return f"{manifest['state']}{reason}{recipe}, seed {manifest['seeds'].get('root')}"


def _results(run: Run) -> str:
    """Return the result tables of the experiment, as it prints them; nothing if there is no such experiment here."""
    try:
        experiment = experiments.find(run.manifest["experiment"])
    except ConfigurationError:
        return ""
    console = Console(record=True, width=120, file=io.StringIO())
    try:
        experiment.report(run.path, console)
    except EdgelamError as error:  # for example if a run is not finished: the page shows all the rest
        console.print(str(error), markup=False)
    return console.export_text().strip("\n")


def _figures(path: Path) -> list[dict[str, str]]:
    """Return the experiment's figures as images: inside an image, no scripts run and nothing is loaded."""
    found, room = [], MAX_FIGURES_BYTES
    for file in sorted(path.glob("*.svg")):
        content = file.read_bytes()
        room -= len(content)
        if room < 0:
            break
        source = f"data:image/svg+xml;base64,{base64.b64encode(content).decode('ascii')}"
        found.append({"name": file.stem, "source": source})
    return found
