# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of a run on the console, from its folder alone."""

import math
from pathlib import Path

from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, claims, load
from edgelam.runs.statistics import groups
from edgelam.text import si_bytes

from . import published, results
from .across import results as across_results
from .config import FIXED
from .in_loop import results as loop_results
from .tasks import results as tasks_results


def report(path: Path, console: Console) -> None:
    """Print what was learned, how large the models are, which claims hold, and what it cost in the network."""
    run = load(path)
    if "loop" in run:
        loop_results.report(run, console)
        return
    if "tasks" in run:
        tasks_results.report(run, console)
        return
    if "across" in run:
        across_results.report(run, console)
        return
    tests = list(run["scores"]["test_set"].unique()) if "scores" in run else []
    for make in (_scores, _models, _claims, _published, _costs, _stale):
        make(run, tests).print(console)
    if unfinished := run.manifest.get("unfinished"):
        console.print(f"not finished: {len(unfinished)} jobs; run it again with the same settings and checkpoints")


def _scores(run: Run, tests: list[str]) -> TextTable:
    table = _table("NMSE on samples not seen in training (mean +- 95 % over seeds)", *tests, "bit/s/Hz")
    if not tests:
        return table
    main = results.main_test(run)
    summaries = {test: results.table(run, test) for test in tests}
    for key, _ in groups(summaries[main].reset_index(), results.ROW):
        cells = []
        for test in tests:
            row = summaries[test].loc[key]
            interval = "" if math.isnan(row["interval"]) else f" +- {row['interval']:.3f}"
            cells.append(f"{row['nmse']:.3f}{interval}")
        table.add_row(results.label(*key), *cells, f"{summaries[main].loc[key]['efficiency']:.2f}")
    return table


def _models(run: Run, tests: list[str]) -> TextTable:
    table = _table(
        "Size and effort", "parameters", "trained", "samples", "steps", "learning rate", "rates tried", "training loss"
    )
    if "models" not in run:
        return table
    losses = {key: rows["loss"].iloc[-1] for key, rows in results.curves(run)}
    for key, rows in groups(run["models"], results.ROW):
        row, rates = rows.iloc[0], sorted({f"{rate:g}" for rate in rows["learning_rate"]})
        table.add_row(
            results.label(*key),
            f"{row['parameters']:,}", f"{row['trained_parameters']:,}", f"{row['samples']}", f"{row['steps']}",
            ", ".join(rates), f"{row['tries']}", f"{losses[key]:.3f}",
        )  # fmt: skip
    return table


def _claims(run: Run, tests: list[str]) -> TextTable:
    title = f"Published claims, differences of NMSE on test set '{results.main_test(run)}'"
    return claims.table(results.claims(run), title)


def _costs(run: Run, tests: list[str]) -> TextTable:
    table = _table("In the network, simulated", "times", "up, each", "down, each", "seconds, each")
    if "epochs" in run and not run["epochs"].empty:
        federated = results.in_network(run, run["epochs"][run["epochs"]["method"].str.endswith("-federated")])
        for key, rows in groups(federated, results.ROW):
            rounds = int((rows.groupby("seed")["up_bytes"].nunique()).max())
            each = rows.groupby("seed")[["up_bytes", "down_bytes", "time_s"]].last().mean() / rounds
            table.add_row(
                f"round of {results.label(*key)}", str(rounds),
                si_bytes(each["up_bytes"]), si_bytes(each["down_bytes"]), f"{each['time_s']:.3f}",
            )  # fmt: skip
    if "costs" in run:
        for key, rows in groups(run["costs"], ["what", "servers"]):
            mean = rows[["up_bytes", "transfer_s"]].mean()
            what, servers = key
            where = f"{servers} servers" if servers > 1 else "1 server"
            table.add_row(f"{what} of {where}", "1", si_bytes(mean["up_bytes"]), "", f"{mean['transfer_s']:.3f}")
    return table


def _stale(run: Run, tests: list[str]) -> TextTable:
    table = _table("CSI that is as old as it takes to the aggregator: NMSE of holding it", "age", "km/h", "NMSE")
    if "stale" in run:
        for key, rows in groups(run["stale"], ["what", "servers", "speed_kmh"]):
            what, servers, speed = key
            mean = rows[["age_s", "nmse"]].mean()
            table.add_row(
                f"{what}, {servers} servers", f"{1e3 * mean['age_s']:.1f} ms", f"{speed:g}", f"{mean['nmse']:.3f}"
            )
    return table


def _published(run: Run, tests: list[str]) -> TextTable:
    table = _table("Order of the models, best first", "published (LLM4CP)", "here", "inverted")
    scores = results.final_scores(run)
    scores = scores[scores["test_set"].str.endswith(" km/h")] if len(scores) else scores
    if not len(scores):
        return table
    ours = scores.assign(
        model=scores["method"].map(results.model_of),
        speed_kmh=scores["test_set"].str.removesuffix(" km/h").astype(float),
    )
    ours = ours[ours["method"].isin(FIXED) | ours["method"].str.endswith("-pooled")]
    means = ours.groupby(["model", "speed_kmh"], sort=False)["nmse"].mean().reset_index()
    for row in published.beside(means).to_dict("records"):
        table.add_row(f"{row['speed_kmh']} km/h", row["published"], row["here"], row["inverted"])
    return table


def _table(title: str, *columns: str) -> TextTable:
    return TextTable(title, "", *columns)
