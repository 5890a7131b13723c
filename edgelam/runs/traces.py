# SPDX-License-Identifier: GPL-2.0-only
"""Traces of a scenario as tables of the run folder: what happened in the network, record by record.

A scenario that has traces publishes observables ``trace_NAME`` of shape [record], which hold what has happened since
they were last read (an NR cell has blocks, csi, packets; see docs/nr-network.md). Each becomes the table
``trace_NAME``, with the types of the scenario; units are in the metadata of the Parquet fields. If nobody asks for a
trace, nothing is kept, here or in the scenario. Asking for it changes no simulated time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from edgelam.cosim.observer import looking_on
from edgelam.errors import ConfigurationError
from edgelam.runs.folders.folder import RunFolder
from edgelam.runs.folders.tables import TableWriter, schema_from
from edgelam.text import suggest

if TYPE_CHECKING:
    from edgelam.cosim.observables import Observable
    from edgelam.cosim.records import Reading
    from edgelam.cosim.simulation import Simulation

PREFIX = "trace_"
PERIOD_S = 0.1  # simulated: the period of fetching records, the most that the scenario keeps
_UNITS = {"ns": "ns", "s": "s", "db": "dB", "dbm": "dBm", "hz": "Hz", "bps": "bit/s", "bits": "bit", "bytes": "byte"}


def names_of(sim: Simulation) -> list[str]:
    """Return the names of a scenario's traces."""
    return [name.removeprefix(PREFIX) for name in sim.observables if name.startswith(PREFIX)]


def refuse_unknown(names: Sequence[str], sim: Simulation) -> None:
    """Raise ConfigurationError for a trace that the scenario does not have."""
    there = names_of(sim)
    for name in names:
        if not there:
            raise ConfigurationError(f"traces {', '.join(names)}: scenario {sim.scenario} has no traces")
        if name not in there:
            raise ConfigurationError(f"scenario {sim.scenario} has no trace {name!r}; {suggest(name, there)}")


@contextlib.asynccontextmanager
async def recording(
    sim: Simulation, names: Iterable[str], folder: RunFolder, *, labels: Mapping[str, str | int] | None = None
) -> AsyncIterator[None]:
    """Write the traces `names` into `folder` while the body runs, up to its end.

    labels: first columns and their value in all these rows, {"method": "split FedFT"}, if several simulations write
    into one folder. Raises ConfigurationError if the scenario does not have a trace.
    """
    wanted = list(names)
    if not wanted:
        yield
        return
    refuse_unknown(wanted, sim)
    with looking_on():  # a replay has no traces
        recorders = [_Recorder(sim.observable(PREFIX + name), folder, labels or {}) for name in wanted]
    try:
        async with asyncio.TaskGroup() as group:
            with looking_on():
                tasks = [group.create_task(recorder.follow()) for recorder in recorders]
            try:
                yield
                with looking_on():
                    for recorder in recorders:
                        await recorder.finish()
            finally:
                for recorder in recorders:
                    recorder.subscription.close()
            with looking_on():
                await asyncio.gather(*tasks)
    except BaseExceptionGroup as group_error:  # what the body has raised, unchanged
        if len(group_error.exceptions) == 1:
            raise group_error.exceptions[0] from None
        raise


class _Recorder:
    """Writes one trace into one table."""

    def __init__(self, trace: Observable, folder: RunFolder, labels: Mapping[str, str | int]) -> None:
        self.trace, self.labels = trace, labels
        self.subscription = aiter(trace.subscribe(PERIOD_S))  # begins now
        self.table: TableWriter = folder.table(trace.name, _schema(trace, self.labels))
        self.last: Reading | None = None

    async def follow(self) -> None:
        """Write records when they come, until the subscription is closed, and then the last ones."""
        async for reading in self.subscription:
            self._write(reading)
        if self.last is not None:
            self._write(self.last)

    async def finish(self) -> None:
        """Fetch what has come since the last period."""
        self.last = await self.trace.read()

    def _write(self, reading: Reading) -> None:
        count = len(reading.value)
        columns = {name: [value] * count for name, value in self.labels.items()}
        self.table.extend(columns | {name: reading.value[name] for name in reading.value.dtype.names or ()})


def _schema(trace: Observable, labels: Mapping[str, str | int]) -> pa.Schema:
    fields = list(schema_from({name: type(value) for name, value in labels.items()}))
    for name in trace.dtype.names or ():
        unit = _UNITS.get(name.rpartition("_")[2])
        fields.append(pa.field(name, pa.from_numpy_dtype(trace.dtype[name]), metadata={"unit": unit} if unit else None))
    return pa.schema(fields, metadata={"axes": ", ".join(trace.axes), "help": trace.help})


def throughput(blocks: pd.DataFrame, window_s: float) -> pd.DataFrame:
    """Return the throughput of each UE from the trace of transport blocks.

    blocks: table trace_blocks of one simulation; window_s: length of the windows, from 0 on, above 0.
    Returns columns time_s (a window's start), ue, uplink (0, 1), throughput_bps: bits of decoded transport blocks,
    by the slot in which they were sent. Windows without a decoded block have no row.
    """
    if not window_s > 0:
        raise ConfigurationError(f"window_s = {window_s!r} must be positive")
    window = (blocks["time_ns"] // max(1, round(window_s * 1e9))).astype(np.int64)
    decoded = blocks.assign(time_s=window * window_s, throughput_bps=blocks["bits"] / window_s)[blocks["received"] == 1]
    return decoded.groupby(["time_s", "ue", "uplink"])["throughput_bps"].sum().reset_index()
