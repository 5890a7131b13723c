# SPDX-License-Identifier: GPL-2.0-only
"""What the report shows about a simulation: nodes, their places, transfers and computations as compact columns.

Columns are packed into one block of bytes per simulation, deflated, in base64: a browser unpacks 100 000 transfers in
well under a second. If there are more than `MAX_EVENTS`, events of one path that are close together are drawn as one.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pandas as pd

from edgelam.runs import handovers, ledger
from edgelam.runs.folders.load import Run
from edgelam.text import si_bytes

MAX_EVENTS = 150_000  # transfers and computations in one report
FEWEST_EVENTS = 5_000  # of one simulation, if there are many
MAX_PLACES = 60_000  # rows of the table positions in one report
_KINDS = {"uplink": 0, "downlink": 1, "other": 2}


def describe(run: Run) -> list[dict[str, Any]]:
    """Return all simulations of a run, in the order in which they ran, as plain data and packed columns.

    A simulation has: name, scenario, options, seed, nodes (name, role, device), end_s, wall_s (None if unknown),
    counts, summary (a row per node), ledger and handovers (heads and rows, or None), labels (texts to which columns
    refer by number), merged_s (the width of the bins in which events were merged, None: each event is there), columns
    (name, dtype, length) and packed.
    """
    if not names_of(run):
        return []
    rows = run["simulations"].drop_duplicates("simulation")
    share = max(FEWEST_EVENTS, MAX_EVENTS // max(1, len(rows)))
    return [_describe(run, row, share, MAX_PLACES // max(1, len(rows))) for _, row in rows.iterrows()]


def names_of(run: Run) -> list[str]:
    """The simulations of a run in the order in which they ran; none if it recorded none, or was killed before."""
    rows = run["simulations"] if "simulations" in run else pd.DataFrame()
    return [str(name) for name in rows["simulation"].drop_duplicates()] if len(rows) else []


def of_simulation(run: Run, table: str, name: str) -> pd.DataFrame:
    """Return the rows of one simulation; none if the run has no such table."""
    if table not in run or "simulation" not in run[table]:
        return pd.DataFrame()
    return run[table][run[table]["simulation"] == name]


def end_of(run: Run, name: str) -> float:
    """Return the simulated seconds from the start to the last record of a simulation."""
    ends = [0.0]
    for table, columns in (
        ("transfers", ("queued_s", "last_byte_s", "acknowledged_s")),
        ("compute", ("end_s",)),
        ("positions", ("time_s",)),
    ):
        rows = of_simulation(run, table, name)
        ends += [float(rows[column].max()) for column in columns if len(rows) and rows[column].notna().any()]
    return max(ends)


def wall_of(run: Run, name: str) -> float | None:
    """Return the wall-clock seconds of a simulation; None if it has no readings."""
    rows = of_simulation(run, "wall", name)
    return float(rows["wall_s"].max() - rows["wall_s"].min()) if len(rows) else None


def _describe(run: Run, row: pd.Series, share: int, most_places: int) -> dict[str, Any]:
    name = str(row["simulation"])
    nodes = of_simulation(run, "nodes", name).drop_duplicates("node")
    transfers = ended(of_simulation(run, "transfers", name))
    compute = of_simulation(run, "compute", name)
    positions = of_simulation(run, "positions", name)
    collectives = collectives_of(run, name)
    names = node_names(nodes, transfers, compute, collectives)
    number = {node: index for index, node in enumerate(names)}
    labels: dict[str, int] = {}
    total = len(transfers) + len(compute)
    end_s = end_of(run, name)
    merged_s = None
    if total > share:
        paths = transfers.groupby(["source", "receiver"]).ngroups + compute["node"].nunique() if total else 1
        merged_s = end_s / max(50, share // max(1, paths))
    columns = _transfer_columns(transfers, number, labels, merged_s) | _compute_columns(
        pd.concat([compute, collectives]) if len(collectives) else compute, number, labels, merged_s
    )
    columns |= _place_columns(positions, number, most_places)
    return {
        "name": name,
        "scenario": str(row["scenario"]),
        "options": str(row["options"] or ""),
        "seed": int(row["seed"]),
        "nodes": _describe_nodes(nodes, names),
        "end_s": end_s,
        "wall_s": wall_of(run, name),
        "counts": {"transfers": len(transfers), "computations": len(compute)},
        "merged_s": merged_s,
        "ledger": _ledger(run, name),
        "handovers": _handovers(run, name),
        "summary": _summary(names, transfers, compute, end_s),
        "labels": list(labels),
        "columns": [[key, _DTYPES[value.dtype.str], len(value)] for key, value in columns.items()],
        "packed": _pack(columns),
    }


def ended(transfers: pd.DataFrame) -> pd.DataFrame:
    """Add start_s and end_s: a transfer of which no byte arrived ends when its sender knew, or at once."""
    if not len(transfers):
        return transfers
    end_s = transfers["last_byte_s"].fillna(transfers["acknowledged_s"]).fillna(transfers["queued_s"])
    return transfers.assign(start_s=transfers["queued_s"], end_s=end_s).sort_values("start_s", kind="stable")


def collectives_of(run: Run, name: str) -> pd.DataFrame:
    """Return the collectives of a simulation as computations of their groups (runs/rank_recording.py), for bars."""
    rows = of_simulation(run, "collectives", name)
    if not len(rows) or "slowest" not in rows:  # of an experiment's own
        return pd.DataFrame()
    sizes = rows["size_bytes"].map(si_bytes)
    return pd.DataFrame(
        {
            "node": "collectives of group " + rows["group"],
            "label": rows["operation"] + " by " + rows["algorithm"] + ", " + sizes + ", slowest " + rows["slowest"],
            "start_s": rows["start_s"],
            "end_s": rows["end_s"],
        }
    )


def node_names(nodes: pd.DataFrame, transfers: pd.DataFrame, *bars: pd.DataFrame) -> list[str]:
    """Return node names in the scenario's order, and then others in the tables; bars: tables with a column node."""
    found = list(nodes["node"]) if len(nodes) else []
    if len(transfers):
        found += [*transfers["source"].unique(), *transfers["receiver"].unique()]
    for rows in bars:
        if len(rows):
            found += list(rows["node"].unique())
    return [str(name) for name in dict.fromkeys(found)]


def _describe_nodes(nodes: pd.DataFrame, names: list[str]) -> list[dict[str, str]]:
    known = {row["node"]: row for _, row in nodes.iterrows()}
    return [
        {"name": name, "role": str(known[name]["role"]) if name in known else "",
         "device": str(known[name]["device"]) if name in known else ""}
        for name in names
    ]  # fmt: skip


def _numbers(values: pd.Series, known: dict[str, int]) -> np.ndarray[Any, Any]:
    """Return each text as its number in `known`, to which new ones are added."""
    codes, texts = pd.factorize(values.fillna("").astype(str))
    places = np.array([known.setdefault(text, len(known)) for text in texts] or [0])
    return places[codes].astype(np.uint16)


def _transfer_columns(
    rows: pd.DataFrame, number: dict[str, int], labels: dict[str, int], merged_s: float | None
) -> dict[str, np.ndarray[Any, Any]]:
    if not len(rows):
        return {}
    plain = pd.DataFrame(
        {
            "from": _numbers(rows["source"], number),
            "to": _numbers(rows["receiver"], number),
            "start": rows["start_s"].to_numpy(),
            "end": rows["end_s"].to_numpy(),
            "bytes": rows["delivered_bytes"].to_numpy(np.float64),
            "kind": rows["direction"].map(_KINDS).fillna(2).to_numpy(np.uint8) if "direction" in rows else 2,
            "bad": (rows["status"] != "complete").to_numpy(np.uint8),
            "label": _numbers(rows["tag"], labels),
            "count": 1,
        }
    )
    if merged_s:
        plain = _merge(plain, ["from", "to"], merged_s)
    return {f"transfer_{name}": _narrow(str(name), plain[name]) for name in plain}


def _compute_columns(
    rows: pd.DataFrame, number: dict[str, int], labels: dict[str, int], merged_s: float | None
) -> dict[str, np.ndarray[Any, Any]]:
    if not len(rows):
        return {}
    plain = pd.DataFrame(
        {
            "node": _numbers(rows["node"], number),
            "start": rows["start_s"].to_numpy(),
            "end": rows["end_s"].to_numpy(),
            "label": _numbers(rows["label"], labels),
            "count": 1,
        }
    ).sort_values("start", kind="stable")
    if merged_s:
        plain = _merge(plain, ["node"], merged_s)
    return {f"compute_{name}": _narrow(str(name), plain[name]) for name in plain}


def _merge(rows: pd.DataFrame, path: list[str], width_s: float) -> pd.DataFrame:
    """Merge events of one path that start in the same bin of `width_s`, from the first start to the last end."""
    bins = rows.assign(bin=(rows["start"] // width_s).astype(np.int64)).groupby([*path, "bin"], sort=False)
    how = {
        "start": "min",
        "end": "max",
        "label": "first",
        "count": "sum",
        "bytes": "sum",
        "kind": "first",
        "bad": "max",
    }
    merged = bins.agg({name: rule for name, rule in how.items() if name in rows}).reset_index()
    return merged.drop(columns="bin").sort_values("start", kind="stable")


def _place_columns(rows: pd.DataFrame, number: dict[str, int], most: int) -> dict[str, np.ndarray[Any, Any]]:
    if not len(rows):
        return {}
    if len(rows) > most:  # every n-th of each node, and its last
        every = -(-len(rows) // most)
        order = rows.groupby("node").cumcount()
        rows = rows[(order % every == 0) | (order == rows.groupby("node")["time_s"].transform("size") - 1)]
    plain = {"node": _numbers(rows["node"], number), "time": rows["time_s"], "x": rows["x_m"], "y": rows["y_m"]}
    return {f"place_{name}": _narrow(name, value) for name, value in plain.items()}


def _summary(
    names: list[str], transfers: pd.DataFrame, compute: pd.DataFrame, end_s: float
) -> list[dict[str, float | None]]:
    """Return for each node: bytes sent and received, share of time it computed, arithmetic, energy above idle."""
    nothing = pd.Series(dtype=float)
    sent = transfers.groupby("source")["delivered_bytes"].sum() if len(transfers) else nothing
    received = transfers.groupby("receiver")["delivered_bytes"].sum() if len(transfers) else nothing
    groups = compute.assign(busy_s=compute["end_s"] - compute["start_s"]).groupby("node") if len(compute) else None
    sums = groups[["busy_s", "flops", "energy_j"]].sum() if groups is not None else pd.DataFrame()
    return [
        {
            "sent_bytes": float(sent.get(name, 0)),
            "received_bytes": float(received.get(name, 0)),
            "computing_s": float(sums["busy_s"].get(name, 0.0)) if len(sums) else 0.0,
            "flops": float(sums["flops"].get(name, 0)) if len(sums) else 0.0,
            "energy_j": float(sums["energy_j"].get(name, 0.0)) if len(sums) else 0.0,
        }
        for name in names
    ]


_UNITS = {"s": "s", "j": "J", "bytes": "B", "up": "B", "down": "B"}  # by the end of a column's name


def _ledger(run: Run, name: str) -> dict[str, Any] | None:
    """Return heads and rows of the ledger of a simulation; None if it has no ledger."""
    rows = of_simulation(run, ledger.TABLE, name)
    if not len(rows) or not ledger.is_ledger(rows.columns):
        return None
    columns = [str(column) for column in rows.columns[list(rows.columns).index("node") :]]
    return {
        "heads": [column.replace("_", " ") for column in columns],
        "rows": [[_cost(column, row[column]) for column in columns] for row in rows.to_dict("records")],
    }


def _handovers(run: Run, name: str) -> dict[str, Any] | None:
    """Return heads and rows of what happened to the UEs' connections, a row per UE; None if nothing did."""
    rows = of_simulation(run, handovers.TABLE, name)
    if not len(rows) or not set(handovers.COLUMNS) <= set(rows.columns):
        return None
    kinds = [kind for kind in handovers.EVENTS if (rows["event"] == kind).any()]
    verdicts = [verdict for verdict in handovers.VERDICTS if rows[verdict].any()]
    table = []
    for node, own in rows.groupby("node", sort=False):
        counts = [int((own["event"] == kind).sum()) for kind in kinds] + [int(own[each].sum()) for each in verdicts]
        table.append([str(node), *map(str, counts), f"{1e3 * own['interruption_s'].sum():.4g} ms"])
    return {
        "heads": ["node", *kinds, *(verdict.replace("_", " ") for verdict in verdicts), "interruption, all together"],
        "rows": table,
    }


def _cost(column: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "-"
    unit = _UNITS.get(column.rpartition("_")[2], "")
    return si_bytes(float(value)) if unit == "B" else f"{value:.6g} {unit}".rstrip()


_WIDTHS: dict[str, Any] = {
    "from": np.uint16, "to": np.uint16, "node": np.uint16, "label": np.uint16, "kind": np.uint8, "bad": np.uint8,
    "count": np.uint32, "bytes": np.float32, "start": np.float64, "end": np.float64, "time": np.float64,
    "x": np.float32, "y": np.float32,
}  # fmt: skip
_DTYPES = {"<u2": "Uint16", "|u1": "Uint8", "<u4": "Uint32", "<f4": "Float32", "<f8": "Float64"}


def _narrow(name: str, values: Any) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(values, dtype=_WIDTHS[name])


def _pack(columns: dict[str, np.ndarray[Any, Any]]) -> str:
    """Pack the columns one after the other, each at a multiple of 8 bytes, deflated, in base64."""
    block = bytearray()
    for values in columns.values():
        block += values.tobytes()
        block += bytes(-len(block) % 8)
    return base64.b64encode(zlib.compress(bytes(block), 6)).decode("ascii")
