# SPDX-License-Identifier: GPL-2.0-only
"""Requests of users: drawn from the tasks of a workload, or read from a trace.

Every user and task has a random stream of its own, so a further user changes no request of the others.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError
from edgelam.inference.arrivals import Arrivals
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.text import suggest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from edgelam.inference.graph import Graph

Inputs = Callable[["np.random.Generator"], dict[str, "Tensor"]]
"""Draws what a request brings."""
TRACE_COLUMNS = ("time_s", "user", "graph", "deadline_s")
OPTIONAL_COLUMNS = ("priority",)


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """One request."""

    id: int
    user: str
    """Name of the node that asks, and that gets the answer."""
    graph: str
    arrive_s: float
    """Simulated time at which it comes, from the time at which serving begins."""
    inputs: Mapping[str, Tensor]
    deadline_s: float = math.inf
    """Seconds after its arrival in which the answer must be there to be on time."""
    priority: int = 0
    """0 to 7: its class in queues of instances, higher ones first, and of its transfers."""
    task: str = ""
    """The task of the workload, for tables."""

    def __post_init__(self) -> None:
        """Refuse a time, a deadline or a priority that is not legal."""
        if not 0 <= self.arrive_s < math.inf:
            raise ConfigurationError(
                f"request {self.id}: arrive_s is {self.arrive_s!r}; it must be 0 or more, and finite"
            )
        _check(self.deadline_s, self.priority, f"request {self.id}")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a user of a workload asks, and when."""

    name: str
    graph: str
    arrivals: Arrivals
    deadline_s: float
    inputs: Inputs
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse a deadline or a priority that is not legal."""
        _check(self.deadline_s, self.priority, f"task {self.name!r}")


def drawn(tasks: Mapping[str, Sequence[Task]], duration_s: float, seed: int, limit: int | None = None) -> list[Request]:
    """Return the requests of all users in [0, duration_s), in order of arrival.

    Args:
        tasks: user -> its tasks.
        duration_s: for how long requests come.
        seed: of the streams ``requests of USER, TASK``.
        limit: keep only so many, the first ones.
    """
    if not (duration_s > 0 and math.isfinite(duration_s)):
        raise ConfigurationError(f"duration_s is {duration_s!r}; it must be above 0 and finite")
    found = []
    for user, mine in tasks.items():
        for task in mine:
            rng = from_numbers(derive_seed(seed, f"requests of {user}, {task.name}"))
            times = task.arrivals.times(duration_s, rng)
            draws = from_numbers(derive_seed(seed, f"inputs of {user}, {task.name}"))
            found += [(time, user, task, task.inputs(draws)) for time in times]
    found.sort(key=lambda each: each[0])
    return [
        Request(i, user, task.graph, time, inputs, task.deadline_s, task.priority, task.name)
        for i, (time, user, task, inputs) in enumerate(found[:limit])
    ]


@dataclasses.dataclass(frozen=True)
class TraceRow:
    """A row of a trace."""

    arrive_s: float
    user: str
    graph: str
    deadline_s: float
    priority: int


def read_trace(path: Path, graphs: Iterable[str], users: Sequence[str]) -> list[TraceRow]:
    """Return the rows of a CSV file with the columns `TRACE_COLUMNS` and, if wanted, `OPTIONAL_COLUMNS`, by time.

    Args:
        path: the file, in UTF-8. ``time_s``: seconds from the time at which serving begins; ``deadline_s``: seconds
            after that, empty: none; ``priority``: 0 to 7, empty: 0.
        graphs: the graphs that may be named.
        users: the nodes that may be named.

    Raises ConfigurationError, with the line, for a value that is not legal, and for a column that is not known.
    """
    known = [*TRACE_COLUMNS, *OPTIONAL_COLUMNS]
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            has = f"a trace has {','.join(TRACE_COLUMNS)} and may have {','.join(OPTIONAL_COLUMNS)}"
            for name in TRACE_COLUMNS:
                if name not in columns:
                    raise ConfigurationError(
                        f"{path} has no column {name!r}; {has}; it has: {', '.join(columns) or 'none'}"
                    )
            for name in columns:
                if name not in known:
                    raise ConfigurationError(f"{path}: column {name!r} is not known; {has}")
                if columns.count(name) > 1:
                    raise ConfigurationError(f"{path} has the column {name!r} twice")
            rows = [_row(f"{path}, line {reader.line_num}", row, list(graphs), users) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"trace {path} cannot be read: {error}") from None
    if not rows:
        raise ConfigurationError(f"{path} has no requests")
    return sorted(rows, key=lambda row: row.arrive_s)


def from_trace(
    path: Path, graphs: Mapping[str, Graph], inputs: Mapping[str, Inputs], users: Sequence[str], seed: int
) -> list[Request]:
    """Return the requests of a trace (`read_trace`, which raises ConfigurationError).

    Args:
        path: the file.
        graphs: the graphs that may be named.
        inputs: graph -> draws what a request brings (from the stream ``inputs of USER, GRAPH``).
        users: the nodes that may be named.
        seed: of these streams.
    """
    streams: dict[tuple[str, str], np.random.Generator] = {}
    found = []
    for i, row in enumerate(read_trace(path, graphs, users)):
        key = (row.user, row.graph)
        if key not in streams:
            streams[key] = from_numbers(derive_seed(seed, f"inputs of {key[0]}, {key[1]}"))
        brings = inputs[row.graph](streams[key])
        found.append(
            Request(i, row.user, row.graph, row.arrive_s, brings, row.deadline_s, row.priority, task=row.graph)
        )
    return found


def _row(where: str, row: Mapping[Any, Any], graphs: Sequence[str], users: Sequence[str]) -> TraceRow:
    if row.get(None):
        raise ConfigurationError(f"{where}: {', '.join(row[None])!r} is beyond the last column")
    arrive_s = _number(where, "time_s", row["time_s"])
    if not 0 <= arrive_s < math.inf:
        raise ConfigurationError(f"{where}: time_s is {row['time_s']}; it must be 0 or more, and finite")
    for name, known in (("user", users), ("graph", graphs)):
        if not row[name]:
            raise ConfigurationError(f"{where} has no {name}")
        if row[name] not in known:
            raise ConfigurationError(f"{where}: {name} {row[name]!r} is not known; {suggest(str(row[name]), known)}")
    deadline_s = _number(where, "deadline_s", row["deadline_s"]) if row["deadline_s"] else math.inf
    priority = _number(where, "priority", row["priority"]) if row.get("priority") else 0.0
    _check(deadline_s, int(priority) if priority.is_integer() else priority, where)
    return TraceRow(arrive_s, row["user"], row["graph"], deadline_s, int(priority))


def _number(where: str, name: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise ConfigurationError(f"{where}: {name} is {text!r}, which is not a number") from None
    if math.isnan(value):
        raise ConfigurationError(f"{where}: {name} is {text!r}, which is not a number")
    return value


def _check(deadline_s: float, priority: float, where: str) -> None:
    if not deadline_s > 0:
        raise ConfigurationError(f"{where}: deadline_s is {deadline_s!r}; it must be above 0")
    if priority not in range(8):
        raise ConfigurationError(f"{where}: priority is {priority!r}; legal are whole numbers from 0 to 7")
