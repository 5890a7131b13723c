# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of one model for many configurations, from the tables of a run folder: printed, judged and drawn."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run
from edgelam.runs.claims import verdict
from edgelam.runs.statistics import groups, half_interval, paired_difference, with_interval
from edgelam.text import si_bytes

WAYS = (("one", "own", True), ("federated", "own", True), ("federated", "one", True), ("one", "own", False),
        ("few", "one", False), ("few", "own", False), ("few", "scratch", False))  # fmt: skip
"""Pairs of ways of training, and whether they are compared on seen configurations."""
RULES = ("hold-last", "prony")


def _label(method: str, training: str) -> str:
    return f"{method}, {training}" if training else method


def claims(run: Run) -> pd.DataFrame:
    """Return one row for each claim: the mean over configurations of the difference of NMSE, paired by seed."""
    rows = run["across"]
    means = rows.groupby(["method", "training", "seen", "seed"])["nmse"].mean()
    found = []

    def compare(better: tuple[str, str], worse: tuple[str, str], *, seen: bool) -> None:
        if (*better, seen) not in means or (*worse, seen) not in means:
            return
        difference = paired_difference(means[(*worse, seen)], means[(*better, seen)])
        where = "seen" if seen else "unseen"
        found.append(
            {"claim": f"{_label(*better)} is below {_label(*worse)} on {where} configurations",
             "difference": difference.mean, "interval": difference.interval,
             "verdict": verdict(difference, more=True)}
        )  # fmt: skip

    methods = [method for method in dict.fromkeys(rows["method"]) if method not in RULES]
    for method in methods:
        for one, other, seen in WAYS:
            compare((method, one), (method, other), seen=seen)
        for rule in RULES:
            compare((method, "one"), (rule, ""), seen=False)
    for control in ("cnn-equal", "lam-random"):
        for training, seen in (("one", True), ("one", False), ("few", False)):
            compare(("lam", training), (control, training), seen=seen)
    return pd.DataFrame(found, columns=["claim", "difference", "interval", "verdict"])


def report(run: Run, console: Console) -> None:
    """Print errors, claims and what federated training cost in the network."""
    rows = run["across"]
    seen = rows.drop_duplicates("configuration").set_index("configuration")["seen"]
    heads = [text if seen[text] else f"{text} (unseen)" for text in seen.index]
    table = TextTable("NMSE on each configuration", "model", "samples", "steps", *heads,
                      caption="95 % intervals over seeds")  # fmt: skip
    for (method, training), mine in groups(rows, ["method", "training"]):
        cells = []
        for text in seen.index:
            values = mine.loc[mine["configuration"] == text, "nmse"]
            cells.append(with_interval(values.mean(), half_interval(values)) if len(values) else "")
        first = mine.iloc[0]
        table.add_row(_label(method, training), f"{first['samples']}", f"{first['steps']}", *cells)
    table.print(console)
    table = TextTable("Claims, paired by seed", "claim", "difference of NMSE", "")
    for row in claims(run).to_dict("records"):
        table.add_row(row["claim"], with_interval(row["difference"], row["interval"], sign="+"), row["verdict"])
    table.print(console)
    if "across_rounds" in run:
        table = TextTable("Federated rounds, simulated", "model", "rounds", "up, each", "down, each", "seconds, each")
        for (method,), mine in groups(run["across_rounds"], ["method"]):
            count = int(mine["round"].max()) + 1
            seconds = mine.groupby("seed")["end_s"].max().mean() / count
            table.add_row(str(method), f"{count}", si_bytes(mine["up_bytes"].mean()),
                          si_bytes(mine["down_bytes"].mean()), f"{seconds:.3g}")  # fmt: skip
        table.print(console)


def plot(run: Run, path: Path) -> list[Path]:
    """Draw the mean error over seen and over unseen configurations of every model; a CSV of the claims lies beside."""
    write_atomically(path / "across_claims.csv", claims(run).to_csv(index=False, float_format="%.5g").encode())
    means = run["across"].groupby(["method", "training", "seen", "seed"], sort=False)["nmse"].mean()
    keys = list(dict.fromkeys((method, training) for method, training, _, _ in means.index))
    with figures.figure(path / "across", height_in=0.9 + 0.25 * len(keys)) as (_, (axes,)):
        for number, seen in enumerate((True, False)):
            for place, key in enumerate(keys):
                if (*key, seen) in means:
                    values = means[(*key, seen)]
                    error = half_interval(values) if len(values) > 1 else None
                    label = ("seen" if seen else "unseen") if place == 0 else None
                    axes.barh(place + 0.4 * number - 0.2, values.mean(), 0.38, xerr=error, label=label,
                              color=figures.COLOURS[number])  # fmt: skip
        axes.set_yticks(range(len(keys)), [_label(*key) for key in keys])
        axes.invert_yaxis()
        axes.set_xlabel("NMSE, mean over configurations")
        axes.legend(fontsize=6)
    return [path / "across.svg"]
