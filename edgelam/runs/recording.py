# SPDX-License-Identifier: GPL-2.0-only
"""What a run records of its simulations, whatever the experiment: the tables from which reports and traces are made.

simulations  one row for each simulation, in the order in which they ran: scenario, its options, seed
nodes        one row for each node of a simulation: role, device
transfers    one row for each transfer and receiver
compute      one row for each computation on a node
positions    where the nodes were, if the scenario publishes it (see places.py)
devices      one row for each node that took part: what the simulation cost it (see ledger.py)
handovers    one row for each handover and failure of a network of cells, if there were any (see handovers.py)
wall         wall-clock readings, seconds since the run began; everything above is in simulated time

All begin with the column `simulation`, the name of the simulation within its run, and the labels of the experiment.
Recording asks for nothing that changes the simulation: all its times are the same without recording.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from edgelam.cosim.observer import looking_on
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.runs import handovers, ledger
from edgelam.runs.folders.folder import RunFolder
from edgelam.runs.folders.tables import TableWriter, read_arrow, schema_from, schema_of
from edgelam.runs.places import OBSERVABLE, follow_places

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation
    from edgelam.runs.folders.load import Run

Label = str | int
CLOCK_EVERY_S = 0.05  # wall: of the readings of both clocks, at first
CLOCK_READINGS = 256  # then at intervals twice as long, and so on: a long run keeps few

_RENAMED = {"id": "transfer", "bytes": "traffic_bytes"}  # functions that a record calls in the context of its class
_SIMULATION = {"scenario": str, "options": str, "seed": int}
_NODE = {"node": str, "role": str, "device": str}
_WALL = {"what": str, "round": int, "simulated_s": float, "wall_s": float}


class SimulationRecorder:
    """Writes the tables of one simulation under its name.

    `Network.simulate` does all of this. Around `cosim.simulate` it is used like this::

        recorder = SimulationRecorder(folder, "split FedFT", {"method": "split FedFT"})

        async def main(sim):
            async with recorder.following(sim, options):
                ...

        cosim.simulate(main, ..., on_transfer=recorder.on_transfer, on_compute=recorder.on_compute)
        recorder.done()
    """

    def __init__(
        self,
        folder: RunFolder,
        name: str,
        labels: Mapping[str, Label] | None = None,
        *,
        facts: Mapping[str, type] | None = None,
    ) -> None:
        """Write to `folder`. labels: more columns and their values (text or whole numbers), the same in a whole run.

        facts: columns that the workload adds to the ledger, with `ledger.note`.
        """
        self.folder, self.name = folder, name
        self.ledger = ledger.Ledger()
        """The cost of the simulation for each node."""
        self._facts = dict(facts or {})
        self.nodes: Mapping[str, Any] = {}
        """The simulation's nodes by name, after it has begun."""
        self.labels: Mapping[str, Label] = labels or {}
        """More columns of its tables, and their values."""
        self._labels: dict[str, Any] = {"simulation": name, **self.labels}
        self._types: dict[str, type] = {column: type(value) for column, value in self._labels.items()}
        self._simulated_s = 0.0
        self._readings, self._read_at, self._read_every_s = 0, 0.0, CLOCK_EVERY_S
        self.wall("begin")

    @contextlib.asynccontextmanager
    async def following(self, sim: Simulation, options: Mapping[str, Any] | None = None) -> AsyncIterator[None]:
        """Note which nodes `sim` has, and where they are while the body runs. options: those of the scenario."""
        self.nodes = sim.nodes
        text = " ".join(f"{name}={value}" for name, value in (options or {}).items())
        self._append("simulations", _SIMULATION, {"scenario": sim.scenario, "options": text, "seed": sim.seed})
        for node in sim.nodes.values():
            self._append("nodes", _NODE, {"node": node.name, "role": node.role, "device": node.device.name})
        for table in (
            "simulations",
            "nodes",
        ):  # others need it: it exists from now on, also after a kill
            self.folder.table(table).flush()
        with looking_on():  # a replay follows its own positions
            places = self._follow_places(sim)
        radio: dict[str, dict[str, Any]] = {}
        try:
            yield
            with looking_on():
                radio = await ledger.read_radio(sim)
                for row in await handovers.read(sim):
                    self._append(handovers.TABLE, handovers.COLUMNS, row)
        finally:  # also if the body fails: then nothing is awaited
            with looking_on():
                if places is not None:
                    places.cancel()
            self.write_devices(self.ledger.rows(sim.nodes.values(), sim.now_ns / 1e9, radio))

    def _follow_places(self, sim: Simulation) -> asyncio.Task[None] | None:
        if OBSERVABLE not in sim.observables:
            return None
        follow = follow_places(sim, self.folder, self._labels, self._types, self._clock)
        return asyncio.create_task(follow, name="positions of the nodes")

    def write_devices(self, rows: list[dict[str, Any]]) -> None:
        """Write the ledger. If the experiment has a table of this name, it keeps its own, and there is no ledger."""
        schema = schema_from({**self._types, **ledger.COLUMNS, **self._facts})
        table = self.folder.table(ledger.TABLE, schema)
        if set(ledger.COLUMNS) <= set(table.schema.names):
            for row in rows:
                table.append({**self._labels, **row})

    def on_transfer(self, record: TransferRecord) -> None:
        """Record a finished transfer."""
        self.ledger.transfer(record)
        row = {"direction": self.direction(record)} | _fields(record)
        self._transfers.append({**self._labels, **row})
        self._clock(record.acknowledged_s)

    def on_compute(self, record: ComputeRecord) -> None:
        """Record a finished computation."""
        self.ledger.compute(record)
        self._compute.append(self._labels | _fields(record))
        self._clock(record.end_s)

    def direction(self, record: TransferRecord) -> str:
        """Return ``uplink`` from a user device, ``downlink`` to one, or ``other`` between servers."""
        if self.nodes[record.source].role == "ue":
            return "uplink"
        return "downlink" if self.nodes[record.receiver].role == "ue" else "other"

    def wall(self, what: str, round_number: int | None = None, simulated_s: float | None = None) -> None:
        """Note the wall clock: `what` has just happened (by default at the latest simulated time seen)."""
        at_s = self._simulated_s if simulated_s is None else float(simulated_s)
        row = {"what": what, "round": round_number, "simulated_s": at_s, "wall_s": self.folder.wall_s}
        self._append("wall", _WALL, row)

    def done(self) -> None:
        """Finish the records of a simulation that has ended."""
        self.wall("end")

    @functools.cached_property
    def _transfers(self) -> TableWriter:
        return self.folder.table("transfers", _schema(TransferRecord, self._types | {"direction": str}))

    @functools.cached_property
    def _compute(self) -> TableWriter:
        return self.folder.table("compute", _schema(ComputeRecord, self._types))

    def _clock(self, simulated_s: float) -> None:
        """Take the simulated time, and note both clocks from time to time."""
        self._simulated_s = max(self._simulated_s, float(simulated_s))  # unchanged if that is NaN
        now = time.monotonic()
        if now - self._read_at >= self._read_every_s:
            self.wall("clock")
            self._read_at = now
            self._readings += 1
            if self._readings % CLOCK_READINGS == 0:
                self._read_every_s *= 2

    def _append(self, table: str, columns: Mapping[str, type], row: Mapping[str, Any]) -> None:
        self.folder.table(table, schema_from({**self._types, **columns})).append({**self._labels, **row})


def recorded_names(run: Run) -> dict[int, tuple[str, dict[str, Label]]]:
    """Return number of a simulation in the order in which they ran -> its name and labels, as a run recorded them."""
    if "simulations" not in run:
        return {}
    found: dict[int, tuple[str, dict[str, Label]]] = {}
    for number, row in enumerate(read_arrow(run.path, "simulations").to_pylist()):
        labels = dict(itertools.takewhile(lambda column: column[0] != "scenario", row.items()))
        found[number] = (labels.pop("simulation"), labels)
    return found


def _fields(record: Any) -> dict[str, Any]:
    return {_RENAMED.get(field.name, field.name): getattr(record, field.name) for field in dataclasses.fields(record)}


def _schema(kind: type, extra: Mapping[str, type]) -> pa.Schema:
    return pa.schema([field.with_name(_RENAMED.get(field.name, field.name)) for field in schema_of(kind, **extra)])
