# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run from the tables of its folder: printed, judged and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, Score, claims, load
from edgelam.runs.claims import Claim, less
from edgelam.runs.statistics import half_interval, with_interval

_OVER = ("seed",)
SCORES = (
    Score("quality", "", "higher", table="requests", column="accuracy", take="mean", group=("method",), over=_OVER),
    Score("usable_s", "s", "lower", table="downloads", take="mean", group=("method",), over=_OVER),
    Score("sent_bytes", "B", "lower", table="sharing", take="mean", group=("users", "mode"), over=_OVER),
)
OURS = "progressive"
TIMES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Seconds in which a model is to come."""
COLUMNS = ("quality", "answered", "usable_s", "end_accuracy", "late", "down_mb", "plans")


def by_seed(run: Run) -> pd.DataFrame:
    """Return one row for each method and seed.

    quality: mean over requests of the accuracy of what answered within patience, 0 if nothing did; answered: share of
    requests; usable_s: mean until something could answer, NaN if it never could; end_accuracy: of what was there at the
    end; late: share of downloads whose target did not come in time; down_mb: to all users; plans: targets of a
    download.
    """
    found = []
    for (method, seed), rows in run["requests"].groupby(["method", "seed"], sort=False):
        row: dict[str, object] = {
            "method": method, "seed": seed, "quality": rows["accuracy"].mean(), "answered": rows["answered"].mean(),
        }  # fmt: skip
        mine = run["downloads"] if "downloads" in run else pd.DataFrame()
        if len(mine):
            mine = mine[(mine["method"] == method) & (mine["seed"] == seed)]
        if len(mine):
            row |= {
                "usable_s": mine["usable_s"].mean(), "end_accuracy": mine["accuracy"].mean(),
                "late": (mine["status"] != "complete").mean(), "down_mb": mine["bytes"].sum() / 1e6,
                "plans": mine["plans"].mean(),
            }  # fmt: skip
        found.append(row)
    return pd.DataFrame(found, columns=["method", "seed", *COLUMNS])


def methods(run: Run) -> pd.DataFrame:
    """Return one row for each method: means over seeds, with half their 95 % intervals."""
    return _means(by_seed(run), ["method"], COLUMNS)


def shared(run: Run) -> pd.DataFrame:
    """Return one row for each number of users and mode: bytes in MB and seconds, means over seeds with intervals."""
    table = run["sharing"]
    for name in ("union", "sum", "sent", "repair", "lost"):
        table[f"{name}_mb"] = table[f"{name}_bytes"] / 1e6
    return _means(table, ["users", "mode"], ("union_mb", "sum_mb", "sent_mb", "repair_mb", "lost_mb", "last_s"))


def needed(run: Run) -> pd.DataFrame:
    """Return one row for each need, network and mode: what is wanted, and whether it was met by all seeds.

    slow_start_s: how much longer the first tcp transfer takes than the next one.
    """
    found = []
    keys = ["what", "direction", "network"]
    table = run["needs"]
    for (what, direction, network), rows in table[table["what"] != "probe"].groupby(keys, sort=False):
        seconds = rows.groupby("mode", sort=False)["seconds"].mean()
        first = rows.iloc[0]
        row = {
            "what": what, "direction": direction, "bytes": first["bytes"], "within_s": first["within_s"],
            "needed_mbps": first["needed_bps"] / 1e6, "network": network,
        }  # fmt: skip
        for mode in ("tcp, first", "tcp, again", "udp"):
            mine = rows[rows["mode"] == mode]
            row[f"{mode} (s)"] = seconds.get(mode, float("nan"))
            row[f"{mode} met"] = bool(len(mine)) and bool(
                ((mine["seconds"] <= mine["within_s"]) & (mine["delivered"] >= 0.999)).all()
            )
        row["slow_start_s"] = row["tcp, first (s)"] - row["tcp, again (s)"]
        row["delivered_mbps"] = 8e-6 * first["bytes"] / row["tcp, again (s)"]
        found.append(row)
    return pd.DataFrame(found)


def frontier(run: Run) -> pd.DataFrame:
    """Return one row for each model, network, time and mode: the best size that comes in this time.

    How much comes in a time is interpolated between the sizes that were measured (of logarithms); NaN and no size below
    the smallest of them.
    """
    found = []
    down = run["needs"]
    down = down[(down["direction"] == "down") & (down["mode"] != "tcp, again")]
    for (network, mode), rows in down.groupby(["network", "mode"], sort=False):
        mean = rows.groupby("bytes")[["seconds", "delivered"]].mean().dropna()
        mean = mean[mean["delivered"] >= 0.999]
        longest = np.maximum.accumulate(mean["seconds"].to_numpy())
        for within_s in TIMES:
            most = float("nan")
            if len(mean) and longest[0] <= within_s:
                most = float(np.exp(np.interp(np.log(within_s), np.log(longest), np.log(mean.index.to_numpy(float)))))
            for model, sizes in run["sizes"].groupby("model", sort=False):
                fit = sizes[sizes["bytes"] <= most]
                best = None if fit.empty else fit.iloc[int(fit["accuracy"].to_numpy().argmax())]
                found.append(
                    {"model": model, "network": network, "mode": mode, "within_s": within_s, "megabytes": most / 1e6,
                     "size": "-" if best is None else f"d{best['depth']} w{best['width']} b{best['bits']}",
                     "accuracy": float("nan") if best is None else best["accuracy"],
                     "whole_needs_mbps": 8e-6 * sizes["bytes"].max() / within_s}
                )  # fmt: skip
    return pd.DataFrame(found)


def judged(run: Run) -> list[Claim]:
    """Return the claims about what was run; differences are paired by seed."""
    found: list[Claim] = []
    if "requests" in run and len(run["requests"]):
        table = by_seed(run).pivot_table(index="seed", columns="method", values=["quality", "usable_s"], dropna=False)
        quality, usable = table["quality"], table["usable_s"]
        for other in ("full", "fixed", "planned-once", "central", "split"):
            if OURS in quality and other in quality:
                text = f"{OURS} answers better than {other} until the deadline"
                found.append(less(text, quality[other], quality[OURS], scale=-1))
        for other in ("full", "fixed"):
            if OURS in usable and other in usable:
                found.append(less(f"{OURS} answers sooner than {other}", usable[OURS], usable[other], unit="s"))
        if OURS in quality and "oracle" in quality:
            gap = quality["oracle"] - quality[OURS]
            verdict = "undecided" if len(gap) < 2 else "holds" if gap.mean() <= 0.02 else "does not hold"
            said = f"{gap.mean():+.3f} on average, at most {gap.max():+.3f}"
            found.append(Claim(f"{OURS} is within .02 of the oracle's quality", said, verdict))
    if "sharing" in run and len(run["sharing"]):
        rows = run["sharing"]
        mine = rows[(rows["mode"] == "multicast") & (rows["users"] > 1)]
        if len(mine):
            over = (mine["sent_bytes"] - mine["repair_bytes"]) / mine["union_bytes"]
            text = "by multicast, bytes that are sent follow the union (at most 1.15 times it, without repair)"
            said = f"{over.min():.3f} to {over.max():.3f} times"
            found.append(Claim(text, said, "holds" if over.max() <= 1.15 else "does not hold"))
            last = rows.pivot_table(index="seed", columns=["users", "mode"], values="last_s")
            most = rows["users"].max()
            if most > 1:
                found.append(less(f"{most} users have everything sooner by multicast than by unicast",
                                  last[most, "multicast"], last[most, "unicast"], unit="s"))  # fmt: skip
    return found


def report(path: Path, console: Console) -> None:
    """Print a table for each part that was run, and claims."""
    run = load(path)
    parts: tuple[tuple[str, Callable[[Run, Console], None]], ...] = (
        ("requests", _report_methods), ("sharing", _report_shared), ("needs", _report_needed),
        ("sizes", _report_frontier), ("loss", _report_loss),
        ("ladder", _report_ladder), ("exits", _report_exits), ("cnn", _report_cnn),
    )  # fmt: skip
    done = [name for name, say in parts if name in run and len(run[name]) and (say(run, console), True)[1]]
    if not done:
        console.print("nothing has ended")
    elif found := judged(run):
        claims.table(found).print(console)


def plot(path: Path) -> list[Path]:
    """Draw quality over time, what is sent to several users, and needs; returns the SVG files (PNG lie beside them)."""
    run = load(path)
    found: list[Path] = []
    if "requests" in run and len(run["requests"]):
        write_atomically(path / "methods.csv", methods(run).to_csv(index=False, float_format="%.4g").encode())
        if "steps" in run and len(run["steps"]):
            found.append(_plot_steps(run, path))
    if "sharing" in run and len(run["sharing"]):
        write_atomically(path / "sharing.csv", shared(run).to_csv(index=False, float_format="%.4g").encode())
        found.append(_plot_shared(run, path))
    if "needs" in run and len(run["needs"]):
        write_atomically(path / "needs.csv", needed(run).to_csv(index=False, float_format="%.4g").encode())
        if "sizes" in run:
            write_atomically(path / "frontier.csv", frontier(run).to_csv(index=False, float_format="%.4g").encode())
        found.append(_plot_needed(run, path))
    if "loss" in run and len(run["loss"]):
        write_atomically(path / "loss.csv", run["loss"].to_csv(index=False, float_format="%.5g").encode())
    if judgements := judged(run):
        write_atomically(path / "claims.csv", claims.csv(judgements))
    return found


def _means(table: pd.DataFrame, keys: list[str], columns: tuple[str, ...]) -> pd.DataFrame:
    found = []
    for key, rows in table.groupby(keys, sort=False):
        row: dict[str, object] = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
        for name in columns:
            values = rows[name].dropna()
            row |= {name: values.mean(), f"{name}_interval": half_interval(values)}
        found.append(row)
    return pd.DataFrame(found)


def _cells(row: Mapping[Any, Any], names: tuple[str, ...]) -> list[str]:
    return [with_interval(row[name], row[f"{name}_interval"]) for name in names]


def _report_methods(run: Run, console: Console) -> None:
    table = TextTable(
        "Methods", "method", "quality of answers", "answered", "usable after (s)", "quality at the end", "late",
        "down (MB)", "targets", caption="95 % intervals over seeds; unanswered requests count as 0",
    )  # fmt: skip
    for row in methods(run).to_dict("records"):
        table.add_row(str(row["method"]), *_cells(row, COLUMNS))
    table.print(console)
    rights = run["requests"].groupby("method", sort=False)["right"].mean().dropna()
    if len(rights):
        real = TextTable("Right answers to real inputs", "method", "right, unanswered count as wrong")
        for method, right in rights.items():
            real.add_row(str(method), f"{right:.3f}")
        real.print(console)


def _report_shared(run: Run, console: Console) -> None:
    table = TextTable(
        "Several users",
        "users",
        "mode",
        "union (MB)",
        "sum (MB)",
        "sent (MB)",
        "of that repair (MB)",
        "last has all (s)",
    )
    for row in shared(run).to_dict("records"):
        table.add_row(
            str(row["users"]), str(row["mode"]), *_cells(row, ("union_mb", "sum_mb", "sent_mb", "repair_mb", "last_s"))
        )
    table.print(console)


def _report_needed(run: Run, console: Console) -> None:
    table = TextTable(
        "Needs of TS 22.261 7.10", "what", "", "needed (Mbit/s)", "network", "tcp, first (s)", "tcp, again (s)",
        "udp (s)", "slow start (s)", "met",
        caption="met: by the first tcp transfer, the next one, and udp (with at least 99.9 % of the bytes)",
    )  # fmt: skip
    for row in needed(run).to_dict("records"):
        met = ", ".join("yes" if row[f"{mode} met"] else "no" for mode in ("tcp, first", "tcp, again", "udp"))
        times = [_time(row[f"{mode} (s)"]) for mode in ("tcp, first", "tcp, again", "udp")]
        table.add_row(
            str(row["what"]), str(row["direction"]), f"{row['needed_mbps']:.4g}", str(row["network"]), *times,
            _time(row["slow_start_s"]), met,
        )  # fmt: skip
    table.print(console)


def _report_frontier(run: Run, console: Console) -> None:
    table = TextTable("The best size that comes in time", "model", "network", "mode", *(f"{t:g} s" for t in TIMES))
    for (model, network, mode), rows in frontier(run).groupby(["model", "network", "mode"], sort=False):
        cells = [
            row["size"] if row["size"] == "-" else f"{row['size']}: {row['accuracy']:.3f}"
            for row in rows.to_dict("records")
        ]
        table.add_row(str(model), str(network), str(mode), *cells)
    table.print(console)


def _report_loss(run: Run, console: Console) -> None:
    table = TextTable("Losses", "packets lost", "bytes lost", "bits", "accuracy", "accuracy, losses unnoticed")
    for (loss, bits), rows in run["loss"].groupby(["loss", "bits"], sort=False):
        table.add_row(f"{loss:g}", f"{rows['lost_share'].mean():.2%}", str(bits), f"{rows['accuracy'].mean():.3f}",
                      f"{rows['accuracy_unnoticed'].mean():.3f}")  # fmt: skip
    table.print(console)


def _report_ladder(run: Run, console: Console) -> None:
    table = TextTable("Sizes", "model", "depth", "width", "bits", "MB", "accuracy", "agreement")
    for row in run["ladder"].to_dict("records"):
        table.add_row(row["model"], str(row["depth"]), str(row["width"]), str(row["bits"]), f"{row['megabytes']:.2f}",
                      f"{row['accuracy']:.3f}", f"{row['agreement']:.3f}")  # fmt: skip
    table.print(console)


def _report_exits(run: Run, console: Console) -> None:
    table = TextTable(
        "Answers that leave early", "model", "confidence wanted", "accuracy", "mean layers", "calibration error before",
        "after",
    )  # fmt: skip
    for row in run["exits"].to_dict("records"):
        table.add_row(row["model"], f"{row['threshold']:g}", f"{row['accuracy']:.3f}", f"{row['layers']:.2f}",
                      f"{row['error_before']:.3f}", f"{row['error_after']:.3f}")  # fmt: skip
    table.print(console)


def _report_cnn(run: Run, console: Console) -> None:
    table = TextTable(
        "EfficientNet-Lite0 in bit planes", "bits", "MB", "same answer as float32", "linear probe on digits"
    )
    for row in run["cnn"].to_dict("records"):
        table.add_row(
            str(row["bits"]), f"{row['megabytes']:.2f}", f"{row['agreement']:.3f}", f"{row['probe_accuracy']:.3f}"
        )
    table.print(console)


def _time(seconds: float) -> str:
    return "-" if np.isnan(seconds) else f"{seconds:.3g}"


def _plot_steps(run: Run, path: Path) -> Path:
    """Mean accuracy of what can answer, over the time since the beginning of a download."""
    steps, downloads = run["steps"], run["downloads"]
    times = np.linspace(0, float(downloads["end_s"].max()), 200)
    with figures.figure(path / "downloads", height_in=2.6) as (figure, (axes,)):
        for number, (method, rows) in enumerate(downloads.groupby("method", sort=False)):
            curves = []
            for (seed, user), _ in rows.groupby(["seed", "user"]):
                mine = steps[(steps["method"] == method) & (steps["seed"] == seed) & (steps["user"] == user)]
                curves.append(_stairs(mine["at_s"].to_numpy(), mine["accuracy"].to_numpy(), times))
            style = {k: v for k, v in figures.line_style(number, len(times)).items() if not k.startswith("mark")}
            axes.plot(times, np.mean(curves, axis=0), label=str(method), **style)
        axes.set_xlabel("time since the beginning (s)")
        axes.set_ylabel("accuracy of what can answer")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return path / "downloads.svg"


def _stairs(at: np.ndarray, value: np.ndarray, times: np.ndarray) -> np.ndarray:
    place = np.searchsorted(at, times, side="right")
    return np.concatenate([[0.0], value])[place]


def _plot_shared(run: Run, path: Path) -> Path:
    table = shared(run)
    with figures.figure(path / "sharing", height_in=2.4) as (figure, (axes,)):
        for number, (mode, rows) in enumerate(table.groupby("mode", sort=False)):
            axes.plot(rows["users"], rows["sent_mb"], label=f"sent by {mode}", **figures.line_style(number, len(rows)))
        rows = table[table["mode"] == table["mode"].iloc[0]]
        axes.plot(rows["users"], rows["union_mb"], "k:", label="union of what is wanted")
        axes.plot(rows["users"], rows["sum_mb"], "k--", label="sum")
        axes.set_xlabel("users")
        axes.set_ylabel("MB")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return path / "sharing.svg"


def _plot_needed(run: Run, path: Path) -> Path:
    """Needed rate of each row, and what each network delivered for it: the next tcp transfer, and the first one."""
    table = needed(run)
    rows = table.drop_duplicates(["what", "direction"])
    names = [f"{what} ({way})" for what, way in zip(rows["what"], rows["direction"], strict=True)]
    place = {key: i for i, key in enumerate(zip(rows["what"], rows["direction"], strict=True))}
    with figures.figure(path / "needs", width_in=figures.PAGE_IN, height_in=3.2) as (figure, (axes,)):
        axes.plot(rows["needed_mbps"], range(len(rows)), "k|", markersize=14, label="needed")
        for number, (network, mine) in enumerate(table.groupby("network", sort=False)):
            y = np.array([place[key] for key in zip(mine["what"], mine["direction"], strict=True)], dtype=float)
            y += 0.18 * (number - 1)
            colour = figures.COLOURS[number]
            axes.plot(mine["delivered_mbps"], y, "o", color=colour, label=f"{network}: open connection")
            axes.plot(8e-6 * mine["bytes"] / mine["tcp, first (s)"], y, "o", color=colour, fillstyle="none",
                      label=f"{network}: with slow start")  # fmt: skip
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("Mbit/s")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=6)
    return path / "needs.svg"
