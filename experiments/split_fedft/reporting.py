# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of a run on the console, from its folder alone."""

from pathlib import Path
from typing import cast

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, load
from edgelam.text import si_bytes

from . import results

MAX_NODES = 8  # rows a method in the table of costs; servers are always shown


def report(path: Path, console: Console) -> None:
    """Print what was learned at what cost, where the simulated time went, and what it cost each node."""
    run = load(path)
    without_network = set(run.manifest.get("without_network", []))
    for make in (_outcome_table, _time_table, _cost_table):
        make(run, without_network).print(console)
    if "privacy" in run and not run["privacy"].empty:
        _privacy_table(run).print(console)
    if "leaks" in run and not run["leaks"].empty:
        _leaks_table(run).print(console)


def _outcome_table(run: Run, without_network: set[str]) -> TextTable:
    own, seconds = results.own_head_accuracy(run), results.simulated_seconds(run)
    table = _table("Result on the global test set", "accuracy", "own heads", "loss", "simulated", "up", "down")
    for method, curve in results.accuracy_curves(run).items():
        last = curve.iloc[-1]
        networked = method not in without_network
        table.add_row(
            method,
            _number(last["accuracy"], ".3f"),
            _number(own.get(method), ".3f"),
            _number(last["loss_nats"], ".3f"),
            _number(seconds.get(method) if networked else None, ".2f", " s"),
            _bytes(last["uplink_bytes"]) if networked else "-",
            _bytes(last["downlink_bytes"]) if networked else "-",
        )
    return table


def _time_table(run: Run, without_network: set[str]) -> TextTable:
    before, shares = results.seconds_before_rounds(run), results.time_shares(run)
    table = _table("Where the devices' simulated time went", "before round 1", *results.PARTS)
    for method in shares.index:
        if method not in without_network:
            parts = [_number(100 * _share(shares, method, part), ".1f", " %") for part in results.PARTS]
            table.add_row(method, _number(before.get(method), ".2f", " s"), *parts)
    return table


def _cost_table(run: Run, without_network: set[str]) -> TextTable:
    table = _table("What it cost each node", "node", "samples held", "peak memory", "energy", "arithmetic")
    costs = results.leave_out(results.device_costs(run), without_network)
    many = costs.groupby("method").cumcount() >= MAX_NODES
    hidden = many & (costs["role"] == "ue")
    for place, row in costs[~hidden].iterrows():
        method, node = cast(tuple[str, str], place)
        samples = row["num_train_samples"]
        held = "-" if pd.isna(samples) or not samples else str(samples)
        memory, energy = _bytes(row["peak_memory_bytes"]), _number(row["energy_j"], ".3g", " J")
        table.add_row(method, node, held, memory, energy, _flops(row["flops"]))
    notes = [f"and {hidden.sum()} more rows of devices in devices.parquet"] if hidden.any() else []
    if "lifetime_s" in costs:  # an older run has none
        empty = costs["lifetime_s"].dropna().head(MAX_NODES)
        for place, time_s in empty.items():
            method, node = cast(tuple[str, str], place)
            notes.append(f"battery of {node} empty at {_number(time_s, '.3f', ' s')}, {method}")
    table.caption = "; ".join(notes)
    return table


def _privacy_table(run: Run) -> TextTable:
    columns = ("node", "clip", "noise multiplier", "releases", "epsilon (RDP)", "epsilon (PLD)", "delta")
    table = _table("Privacy of a sample's label", *columns)
    rows = run["privacy"]
    for row in rows[rows.groupby("method").cumcount() < MAX_NODES].itertuples():
        numbers = (row.clip, row.noise_multiplier, row.releases, row.epsilon_rdp, row.epsilon_pld, row.delta)
        table.add_row(str(row.method), str(row.node), *(_number(float(cast(float, each)), ".4g") for each in numbers))
    table.caption = "neighbours: one sample has another label. What embeddings tell about inputs is another table"
    return table


def _leaks_table(run: Run) -> TextTable:
    columns = ("node", "eta", "noise length", "distance of tokens", "tokens", "recovered")
    table = _table("Tokens that the embeddings tell, by the nearest row of the public table", *columns)
    rows = run["leaks"]
    for row in rows[rows.groupby("method").cumcount() < MAX_NODES].itertuples():
        numbers = [
            _number(cast(float | None, v), ".4g") for v in (row.embedding_eta, row.noise_length, row.token_distance)
        ]
        table.add_row(
            str(row.method), str(row.node), *numbers, str(row.tokens), f"{float(cast(float, row.recovered)):.1%}"
        )
    return table


def _table(title: str, *columns: str) -> TextTable:
    return TextTable(title, "method", *columns)


def _share(shares: pd.DataFrame, method: str, part: str) -> float:
    return float(shares[part].get(method, float("nan")))


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None or pd.isna(value) else f"{value:{form}}{unit}"


def _flops(value: float) -> str:
    if pd.isna(value):
        return "-"
    for unit, size in (("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e3:.3g} kFLOP" if value else "0"


def _bytes(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else si_bytes(value)
