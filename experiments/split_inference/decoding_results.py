# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of decoding with a small and a large model: tables, claims, and the figure over the round-trip time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run
from edgelam.runs.claims import Claim, less, more
from edgelam.runs.statistics import half_interval, with_interval

EXACT = ("speculative", "adaptive", "pipelined")
"""Methods with a model on each side that write what the whole model writes."""
KEY = ["server", "method", "delay_ms"]
DRAFTED = 4
"""The length of drafts for which tokens of a round are compared with the formula."""


def timings(run: Run) -> pd.DataFrame:
    """Return one row for each server, method, draft and delay: milliseconds a token with an interval over seeds, and
    what it costs the server."""
    found = []
    for key, rows in run["decoding"].groupby(KEY, sort=False, dropna=False):
        each_ms = (rows["e2e_s"] / rows["tokens"]).groupby(rows["seed"]).mean() * 1e3
        found.append(
            dict(zip(KEY, key, strict=True)) | {
                "rtt_ms": rows["rtt_s"].mean() * 1e3, "token_ms": each_ms.mean(), "interval": half_interval(each_ms),
                "ttft_ms": rows["ttft_s"].mean() * 1e3,
                "server_ms": (rows["server_s"] / rows["tokens"]).mean() * 1e3,
                "device_ms": (rows["device_s"] / rows["tokens"]).mean() * 1e3,
                "same": rows["same"].mean(), "up_bytes": (rows["up_bytes"] / rows["tokens"]).mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def acceptance(run: Run) -> pd.DataFrame:
    """Return one row for each draft and length: what is accepted, tokens of a round, and those of independence."""
    found = []
    for (draft, length), rows in run["drafts"].groupby(["draft", "drafted"], sort=False):
        row = {"draft": draft, "drafted": length}
        for name in ("acceptance", "tokens_a_round", "independent"):
            row |= {name: rows[name].mean(), f"{name}_interval": half_interval(rows[name])}
        found.append(row)
    return pd.DataFrame(found)


def judged(run: Run) -> list[Claim]:
    """Return what is claimed of decoding."""
    found = []
    for length, mine in run["drafts"].groupby("drafted", sort=False):
        rounds = mine.pivot_table(index="seed", columns="draft", values="tokens_a_round")
        if {"distilled", "untrained"} <= set(rounds):
            text = f"drafts of {length}: more tokens of a round from the distilled draft than from the untrained one"
            found.append(more(text, rounds["distilled"], rounds["untrained"]))
    for draft, mine in run["drafts"][run["drafts"]["drafted"] == DRAFTED].groupby("draft", sort=False):
        seeds = mine.set_index("seed")
        text = f"{draft}, drafts of {DRAFTED}: more tokens of a round than independent acceptance gives"
        found.append(more(text, seeds["tokens_a_round"], seeds["independent"]))
    rows = run["decoding"].assign(
        token_ms=lambda all_: all_["e2e_s"] / all_["tokens"] * 1e3,
        server_ms=lambda all_: all_["server_s"] / all_["tokens"] * 1e3,
    )
    for server, mine in rows.groupby("server", sort=False):
        for delay, part in mine.groupby(mine["delay_ms"].fillna(0)):
            found += _claims_of_a_delay(f"{server}, {delay:g} ms one way", part)
        load = mine.pivot_table(index="seed", columns="method", values="server_ms")
        for name in (name for name in ("speculative", "cascade") if {name, "edge-only"} <= set(load)):
            text = f"{server}: {name} takes less of the server than edge-only"
            found.append(less(text, load[name], load["edge-only"], unit="ms a token"))
    return found


def _claims_of_a_delay(where: str, rows: pd.DataFrame) -> list[Claim]:
    """Compare the best of the exact methods over the network, and the cascade, with the server alone."""
    by_seed = rows.pivot_table(index="seed", columns="method", values="token_ms")
    exact = [method for method in EXACT if method in by_seed]
    found = []
    if exact:
        name = min(exact, key=lambda method: by_seed[method].mean())
        for baseline in (each for each in ("edge-only", "co-located", "device-only") if each in by_seed):
            text = f"{where}: {name}, the best with a draft on the device, is faster than {baseline}"
            found.append(less(text, by_seed[name], by_seed[baseline], unit="ms a token"))
    if {"cascade", "edge-only"} <= set(by_seed):
        text = f"{where}: cascade is faster than edge-only"
        found.append(less(text, by_seed["cascade"], by_seed["edge-only"], unit="ms a token"))
    return found


def report(run: Run, console: Console) -> None:
    """Print drafts and timings."""
    drafts = TextTable(
        "Drafts", "draft", "drafted tokens", "accepted", "tokens of a round", "if acceptance were independent",
        caption="95 % intervals over seeds",
    )  # fmt: skip
    for row in acceptance(run).to_dict("records"):
        drafts.add_row(
            row["draft"], str(row["drafted"]), *(with_interval(row[name], row[f"{name}_interval"])
                                                 for name in ("acceptance", "tokens_a_round", "independent"))
        )  # fmt: skip
    drafts.print(console)
    table = TextTable(
        "Decoding, means over prompts", "server", "method", "RTT (ms)", "a token (ms)", "first token (ms)",
        "server (ms a token)", "the whole model's", caption="95 % intervals over seeds",
    )  # fmt: skip
    for row in timings(run).to_dict("records"):
        table.add_row(
            row["server"], row["method"], f"{row['rtt_ms']:.3g}",
            with_interval(row["token_ms"], row["interval"]), f"{row['ttft_ms']:.3g}", f"{row['server_ms']:.3g}",
            f"{row['same']:.0%}",
        )  # fmt: skip
    table.print(console)


def draw(run: Run, path: Path) -> list[Path]:
    """Draw milliseconds a token over the round-trip time, a panel for each server."""
    rows = timings(run)
    panels = list(rows.groupby("server", sort=False))
    with figures.figure(path / "decoding", width_in=figures.PAGE_IN, height_in=2.6, columns=len(panels)) as (
        figure, axes,
    ):  # fmt: skip
        for panel, (server, mine) in zip(axes, panels, strict=True):
            for i, (method, line) in enumerate(mine.groupby("method", sort=False)):
                style = figures.line_style(i, len(line))
                panel.errorbar(line["rtt_ms"], line["token_ms"], np.nan_to_num(line["interval"]), label=method, **style)
            panel.set_title(str(server))
            panel.set_xlabel("round-trip time (ms)")
            panel.set_ylabel("time per token (ms)")
            panel.set_xscale("log")
            panel.set_yscale("log")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return [path / "decoding.svg"]
