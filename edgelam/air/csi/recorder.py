# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam csi record`` writes the CSI of a scenario's links to a file.

It uses two threads. One follows the scenario, which goes on as soon as this thread has taken over a block. The other
adds noise, computes checksums and writes. So simulation and writing share two cores.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.air.csi.new_file import NewFile, refuse_full_disk
from edgelam.air.csi.noise import add_pilot_noise
from edgelam.air.csi.sampling import AHEAD_BYTES, Link, Sample, sample_csi
from edgelam.air.csi.settings import RecordSettings
from edgelam.air.csi.table import Array, field_of, flat_columns
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError
from edgelam.random_streams import derive_seed
from edgelam.text import parse_pairs

if TYPE_CHECKING:
    from edgelam.output.progress import Progress


def record(settings: RecordSettings, progress: Progress | None = None) -> None:
    """Record CSI as `settings` say. Raises ConfigurationError, StorageError, and what `cosim.simulate` raises.

    Whatever happens, the file `settings.out` is complete or does not exist.
    """
    settings.check()
    options = parse_pairs(settings.set, "--set")
    with NewFile(settings.out, overwrite=settings.overwrite) as new:
        recorder = _Recorder(settings, options, new, progress)
        try:
            sample_csi(
                settings.scenario,
                settings.samples,
                recorder.take,
                on_links=recorder.begin,
                options=options,
                links=settings.links,
                seed=settings.seed,
            )
            recorder.finish()
        finally:
            recorder.stop()
        new.commit()


class _Columns:
    """The columns beside the CSI, row by row."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.paths = flat_columns(links[0].state_dtype)
        self._link_dtype = np.array([link.name for link in links]).dtype
        self._dtypes: dict[str, Any] = {"link": self._link_dtype, "pilot_snr_db": np.dtype("f8")}
        for name, path in self.paths.items():
            self._dtypes[name] = _at(links[0].state_dtype, path)
        self._rows: list[tuple[Any, ...]] = []

    def row(self, sample: Sample, snr_db: float) -> None:
        values = () if sample.state is None else tuple(field_of(sample.state, path) for path in self.paths.values())
        self._rows.append((sample.link.name, snr_db, *values))

    def take(self) -> dict[str, Array]:
        """Return the rows so far as arrays [row] or [row, n], and forget them."""
        rows, self._rows = self._rows, []
        taken = list(zip(*rows, strict=True)) if rows else [()] * len(self._dtypes)
        columns = {}
        for (name, dtype), values in zip(self._dtypes.items(), taken, strict=True):
            columns[name] = np.array(values, dtype.base).reshape(len(rows), *dtype.shape)
        return columns


class _Npz:
    def __init__(self, new: NewFile, settings: RecordSettings, links: Sequence[Link], metadata: Any) -> None:
        from edgelam.air.csi.npz import NpzWriter

        self._writer = NpzWriter(new, settings.samples, links[0].shape)
        self._columns, self._tones, self._metadata = _Columns(links), links[0].tones_hz, metadata

    def write(self, sample: Sample, csi: Array, snr_db: float) -> None:
        self._columns.row(sample, snr_db)
        self._writer.write(csi)

    def finish(self) -> None:
        self._writer.finish(self._tones, self._columns.take(), self._metadata)

    def abandon(self) -> None:
        self._writer.abandon()


class _Arrow:
    def __init__(self, new: NewFile, settings: RecordSettings, links: Sequence[Link], metadata: Any) -> None:
        from edgelam.air.csi.arrow import ArrowWriter

        self._columns = _Columns(links)
        tones = links[0].tones_hz
        metadata = {**metadata, "tones_hz": None if tones is None else tones.tolist()}
        self._writer = ArrowWriter(new, links[0].shape, self._columns.take(), metadata)

    def write(self, sample: Sample, csi: Array, snr_db: float) -> None:
        self._columns.row(sample, snr_db)
        if self._writer.write(csi):
            self._writer.flush(self._columns.take())

    def finish(self) -> None:
        self._writer.flush(self._columns.take())
        self._writer.finish()

    def abandon(self) -> None:
        pass


class _Recorder:
    """Takes blocks from the scenario and passes them to the writing thread."""

    def __init__(
        self, settings: RecordSettings, options: dict[str, str], new: NewFile, progress: Progress | None
    ) -> None:
        self._settings, self._options, self._new, self._progress = settings, options, new, progress
        # Ctrl-C can raise anywhere in this thread: SimpleQueue stays consistent, the conditions of Queue do not
        self._queue: queue.SimpleQueue[Sample | None] = queue.SimpleQueue()
        self._room = 1
        self._thread: threading.Thread | None = None
        self._writer: _Npz | _Arrow | None = None
        self._error: BaseException | None = None
        self._stopped = False
        self._taken = 0
        self._noise_seed = derive_seed(settings.seed, "csi pilot noise")

    def begin(self, links: Sequence[Link]) -> None:
        """Check the links, which are known now, and begin the file."""
        settings = self._settings
        _refuse_different(links)
        sample_bytes = 8 * int(np.prod(links[0].shape))
        refuse_full_disk(self._new.path, settings.samples * sample_bytes)
        self._room = max(1, min(64, AHEAD_BYTES // sample_bytes))
        metadata = {
            "scenario": str(settings.scenario),
            "options": self._options,
            "seed": settings.seed,
            "pilot_snr_db": settings.snr_db,
            "block_s": links[0].block_s,
            "axes": ["sample", "time", "rx", "tx", "subcarrier"],
            "links": {link.name: link.info for link in links},
            "versions": _versions(),
        }
        kind = _Npz if settings.out.suffix == ".npz" else _Arrow
        self._writer = kind(self._new, settings, links, json.loads(json.dumps(metadata)))
        self._thread = threading.Thread(target=self._write_all, name="edgelam-csi-writer", daemon=True)
        self._thread.start()
        if self._progress is not None:
            self._progress.begin("csi", settings.samples, "samples")

    def take(self, sample: Sample) -> None:
        """Queue a block; while there is no room, wait (the clock stands still)."""
        self._put(sample)
        self._taken += 1
        if self._progress is not None and (self._taken % 50 == 0 or self._taken == self._settings.samples):
            time_s = None if sample.state is None else float(sample.state["time_s"])
            self._progress.step(self._taken, simulated_s=time_s)

    def finish(self) -> None:
        """Wait until all blocks, which have been taken, are written."""
        self._put(None)
        assert self._thread is not None
        self._thread.join()
        self._raise()

    def stop(self) -> None:
        """End the thread, whatever the queue holds."""
        self._stopped = True
        if self._thread is not None and self._thread.is_alive():
            while True:
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    break
            self._queue.put(None)
            self._thread.join()

    def _put(self, sample: Sample | None) -> None:
        self._raise()
        while self._queue.qsize() >= self._room:
            time.sleep(0.002)
            self._raise()
        self._queue.put(sample)

    def _raise(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, OSError):
            raise StorageError.of("write", self._new.path, self._error) from self._error
        raise self._error

    def _write_all(self) -> None:
        writer, snr_db = self._writer, self._settings.snr_db
        assert writer is not None
        try:
            number = 0
            while (sample := self._queue.get()) is not None:
                csi = sample.csi
                if snr_db is not None:
                    csi = add_pilot_noise(csi, snr_db, self._noise_seed, number)
                writer.write(sample, csi, np.inf if snr_db is None else snr_db)
                number += 1
            if not self._stopped:
                writer.finish()
                return
        except BaseException as error:  # reported by the other thread
            self._error = error
        writer.abandon()


def _refuse_different(links: Sequence[Link]) -> None:
    """Refuse links whose samples have different shapes: a file has samples of one shape."""
    first = links[0]
    for link in links:
        same_tones = (link.tones_hz is None) == (first.tones_hz is None) and (
            link.tones_hz is None or np.array_equal(link.tones_hz, first.tones_hz)  # type: ignore[arg-type]
        )
        if (link.shape, link.state_dtype, link.block_s) != (
            first.shape,
            first.state_dtype,
            first.block_s,
        ) or not same_tones:
            raise ConfigurationError(
                f"links {first.name} {first.shape} and {link.name} {link.shape} differ in shape, tones or period: one "
                "file takes one kind; choose with --links"
            )


def _at(dtype: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        dtype = dtype[name]
    return dtype


def _versions() -> dict[str, str | None]:
    from edgelam.host import versions

    return {name: version for name, version in versions().items() if name in ("edgelam", "ns3", "numpy", "python")}
