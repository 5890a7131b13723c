# SPDX-License-Identifier: GPL-2.0-only
"""A run as a trace for Perfetto (ui.perfetto.dev) or chrome://tracing: ``edgelam trace RUN``.

The file is JSON in the Trace Event Format. Each simulation is a process whose clock is simulated time, with tracks of
its nodes: computing, sending, receiving. One more process is the run by the wall clock: simulations, their rounds, and
how far simulated time had come. The two clocks share only an axis in the viewer.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from edgelam.files.storage import StorageError, atomic_file
from edgelam.report.simulations import collectives_of, ended, names_of, node_names, of_simulation
from edgelam.runs.folders.load import Run, load_run

Event = dict[str, Any]
CLOCKS = "each process's name tells its clock: simulated time, or the wall clock of the run"
WALL = 1  # the process of the wall clock; simulations follow
_TRANSFER_FACTS = ("source", "receiver", "protocol", "encoding", "status", "delivered_bytes", "retransmissions")
_COMPUTE_FACTS = ("flops", "traffic_bytes", "energy_j", "waited_s")


def write_trace(path: Path, out: Path) -> int:
    """Write the trace of the run folder `path` to `out`; returns the number of events. Raises StorageError."""
    run = load_run(path)
    if not names_of(run):
        raise StorageError(f"{path} has recorded no simulation, so there is nothing to trace")
    count = 0
    with atomic_file(out) as file:  # event by event: a long run may be larger than memory
        file.write(b'{"displayTimeUnit":"ms","otherData":')
        about = {"experiment": run.manifest["experiment"], "run": str(run.path), "clocks": CLOCKS}
        file.write(json.dumps(about).encode() + b',"traceEvents":[')
        for event in events(run):
            file.write((b",\n" if count else b"\n") + json.dumps(event, allow_nan=False).encode())
            count += 1
        file.write(b"\n]}\n")
    return count


def events(run: Run) -> Iterator[Event]:
    """Yield all events of a run; `ts` and `dur` are microseconds of the clock that the process's name gives."""
    names = names_of(run)
    yield from _wall(run, names)
    for pid, name in enumerate(names, start=WALL + 1):
        yield _about(pid, "process_name", name=f"{name} (simulated time)")
        yield _about(pid, "process_sort_index", sort_index=pid)
        yield from _simulation(run, pid, name)


def _wall(run: Run, names: list[str]) -> Iterator[Event]:
    yield _about(WALL, "process_name", name="the run (wall clock)")
    yield _about(WALL, "process_sort_index", sort_index=0)
    for tid, name in enumerate(names, start=1):
        rows = _timed(of_simulation(run, "wall", name), "wall_s", "simulated_s")
        if not len(rows):
            continue
        yield _about(WALL, "thread_name", tid, name=name)
        begin_s, end_s = float(rows["wall_s"].min()), float(rows["wall_s"].max())
        yield _slice((WALL, tid), name, "wall", (begin_s, end_s), {})
        before_s = begin_s
        for _, row in rows[rows["what"] == "round"].iterrows():
            facts = {"simulated_s": float(row["simulated_s"])}
            span_s = (before_s, float(row["wall_s"]))
            yield _slice((WALL, tid), f"round {row['round']:.0f}", "wall", span_s, facts)
            before_s = span_s[1]
        for wall_s, simulated_s in zip(rows["wall_s"], rows["simulated_s"], strict=True):
            yield {
                "ph": "C", "pid": WALL, "tid": tid, "name": f"simulated seconds of {name}", "cat": "wall",
                "ts": _us(wall_s), "args": {"simulated_s": float(simulated_s)},
            }  # fmt: skip


def _simulation(run: Run, pid: int, name: str) -> Iterator[Event]:
    nodes = of_simulation(run, "nodes", name)
    compute, transfers = of_simulation(run, "compute", name), of_simulation(run, "transfers", name)
    names = node_names(nodes, transfers, compute)
    if len(transfers):
        transfers = ended(transfers).rename(columns={"tag": "label"})
    compute, transfers = (_timed(rows, "start_s", "end_s") for rows in (compute, transfers))
    tid = 0
    for node in names:
        for rows, column, what, facts in (
            (compute, "node", "computing", _COMPUTE_FACTS),
            (transfers, "source", "sending", _TRANSFER_FACTS),
            (transfers, "receiver", "receiving", _TRANSFER_FACTS),
        ):
            own = rows[rows[column] == node] if len(rows) else rows
            for lane in _lanes(own):
                tid += 1
                yield _about(pid, "thread_name", tid, name=f"{node} {what}")
                yield _about(pid, "thread_sort_index", tid, sort_index=tid)
                for row in lane:
                    told = {fact: _plain(row[fact]) for fact in facts if fact in row}
                    label = row["label"] if isinstance(row["label"], str) else ""
                    yield _slice((pid, tid), label or what, what, (row["start_s"], row["end_s"]), told)
    collectives = collectives_of(run, name)
    for group in collectives["node"].unique() if len(collectives) else ():
        for lane in _lanes(collectives[collectives["node"] == group]):
            tid += 1
            yield _about(pid, "thread_name", tid, name=group)
            yield _about(pid, "thread_sort_index", tid, sort_index=tid)
            for row in lane:
                yield _slice((pid, tid), row["label"], "collective", (row["start_s"], row["end_s"]), {})


def _timed(rows: pd.DataFrame, *times: str) -> pd.DataFrame:
    """Return the rows whose times are known: a killed run may have rows without times."""
    return rows[rows[list(times)].abs().lt(float("inf")).all(axis=1)] if len(rows) else rows


def _lanes(rows: pd.DataFrame) -> list[list[dict[str, Any]]]:
    """Put rows into as few tracks as possible: no two overlap in one track."""
    lanes: list[list[dict[str, Any]]] = []
    free: list[tuple[float, int]] = []  # when a track's last slice ends, its number
    ordered: list[Any] = rows.sort_values(["start_s", "end_s"], kind="stable").to_dict("records") if len(rows) else []
    for row in ordered:
        if free and _us(free[0][0]) <= _us(row["start_s"]):
            _, number = heapq.heappop(free)
        else:
            number = len(lanes)
            lanes.append([])
        lanes[number].append(row)
        heapq.heappush(free, (row["end_s"], number))
    return lanes


def _slice(track: tuple[int, int], name: str, category: str, span_s: tuple[float, float], facts: Event) -> Event:
    (pid, tid), (start_s, end_s) = track, span_s
    return {
        "ph": "X", "pid": pid, "tid": tid, "name": name, "cat": category,
        "ts": _us(start_s), "dur": round(_us(end_s) - _us(start_s), 3), "args": facts,
    }  # fmt: skip


def _about(pid: int, what: str, tid: int = 0, **facts: Any) -> Event:
    return {"ph": "M", "pid": pid, "tid": tid, "name": what, "ts": 0, "args": facts}


def _us(seconds: float) -> float:
    return round(float(seconds) * 1e6, 3)  # to the nanosecond, as simulated time is kept


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value.item() if hasattr(value, "item") else value
