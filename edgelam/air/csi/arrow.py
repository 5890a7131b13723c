# SPDX-License-Identifier: GPL-2.0-only
"""CSI as .parquet and .arrow (Arrow IPC): one row per sample, in record batches, through pyarrow.

Arrow has no complex numbers: the column `csi` is a fixed-shape tensor of float32 with one more axis, (re, im). The
file's metadata under `edgelam_csi` are those of `CsiSet`, with the tones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edgelam.air.csi.new_file import NewFile
from edgelam.air.csi.table import Array, CsiSet
from edgelam.errors import EdgelamError
from edgelam.files import digests

BATCH_BYTES = 32 << 20
_KEY = b"edgelam_csi"


class ArrowWriter:
    """Collects samples and their columns, and writes them as record batches."""

    def __init__(self, new: NewFile, shape: tuple[int, ...], columns: Mapping[str, Array], metadata: Any) -> None:
        """shape: of a sample; columns: an empty array for each; metadata: as JSON, with `tones_hz`."""
        self._new = new
        self._tensor = pa.fixed_shape_tensor(
            pa.float32(), (*shape, 2), dim_names=("time", "rx", "tx", "subcarrier", "re_im")
        )
        fields = [pa.field("csi", self._tensor)]
        fields += [pa.field(name, _arrow_type(values)) for name, values in columns.items()]
        schema = pa.schema(fields, {_KEY: json.dumps(metadata).encode(), digests.KEY.encode(): digests.BLANK.encode()})
        self._rows = max(1, BATCH_BYTES // (8 * int(np.prod(shape))))
        self._buffer = np.empty((self._rows, *shape), np.complex64)
        self._filled = 0
        self._writer: Any
        if new.path.suffix == ".parquet":
            self._writer = pq.ParquetWriter(
                new.file, schema, compression="none", use_dictionary=False, write_statistics=False
            )
        else:
            self._writer = pa.ipc.new_file(new.file, schema)
        self._schema = schema

    def write(self, csi: Array) -> bool:
        """Add the next sample; return True if `flush` is due, with the columns of all samples since the last one."""
        self._buffer[self._filled] = csi
        self._filled += 1
        return self._filled == self._rows

    def flush(self, columns: Mapping[str, Array]) -> None:
        """Write the collected samples and their columns."""
        if self._filled == 0:
            return
        numbers = pa.array(self._buffer[: self._filled].reshape(-1).view(np.float32))
        storage = pa.FixedSizeListArray.from_arrays(numbers, self._buffer[0].size * 2)
        arrays = [pa.ExtensionArray.from_storage(self._tensor, storage)]
        arrays += [_to_arrow(values) for values in columns.values()]
        batch = pa.record_batch(arrays, schema=self._schema)
        if isinstance(self._writer, pq.ParquetWriter):
            self._writer.write_batch(batch, row_group_size=self._filled)
        else:
            self._writer.write_batch(batch)
        self._filled = 0
        self._new.sync()

    def finish(self) -> None:
        """Finish the file, after everything has been flushed. The caller commits it."""
        self._writer.close()


def load_arrow(path: Path) -> CsiSet:
    """Read what ArrowWriter wrote into memory. Raises EdgelamError."""
    try:
        return _load(path)
    except (EdgelamError, MemoryError):
        raise
    except Exception as error:  # the bytes may come from anybody; pyarrow, json and numpy have errors of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EdgelamError(
            f"{path} is not a whole {path.suffix} file ({reason}): cut off, or of another kind"
        ) from None


def _load(path: Path) -> CsiSet:
    if path.suffix == ".parquet":
        with pa.memory_map(os.fsencode(path)) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
            table = parquet.read(use_threads=False)  # if no thread can be made, Arrow waits for it for ever
    else:
        options = pa.ipc.IpcReadOptions(use_threads=False)
        with pa.memory_map(os.fsencode(path)) as source:
            table = pa.ipc.open_file(source, options=options).read_all()
    if _KEY not in (table.schema.metadata or {}) or "csi" not in table.column_names:
        raise EdgelamError(f"{path} is not a recording of CSI: it has the columns {', '.join(table.column_names)}")
    metadata = json.loads(table.schema.metadata[_KEY])
    tones = metadata.pop("tones_hz")
    shape = tuple(table.schema.field("csi").type.shape)[:-1]
    csi = np.empty((table.num_rows, *shape), np.complex64)
    row = 0
    for chunk in table.column("csi").chunks:
        values = chunk.storage.flatten().to_numpy(zero_copy_only=True)
        csi[row : row + len(chunk)] = values.view(np.complex64).reshape(-1, *shape)
        row += len(chunk)
    columns = {name: _from_arrow(table.column(name)) for name in table.column_names if name != "csi"}
    return CsiSet(csi, None if tones is None else np.array(tones), columns, metadata)


def _arrow_type(values: Array) -> pa.DataType:
    scalar = pa.string() if values.dtype.kind == "U" else pa.from_numpy_dtype(values.dtype)
    return scalar if values.ndim == 1 else pa.list_(scalar, values.shape[1])


def _to_arrow(values: Array) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _from_arrow(column: pa.ChunkedArray) -> Array:
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        parts = [chunk.flatten().to_numpy().reshape(-1, width) for chunk in column.chunks]
        return np.concatenate(parts) if parts else np.empty((0, width))
    return column.to_numpy()
