# SPDX-License-Identifier: GPL-2.0-only
"""Tables of a run as Parquet, written while the run goes on.

A Parquet file without its footer cannot be read, so a growing table is a folder of small complete files,
``<name>.parts/000000.parquet``, ``000001.parquet``, ... Closing the table compacts them into ``<name>.parquet``.
Readers take the compacted file if it is there, and the parts otherwise; both hold the same rows in the same order.

The compacted bytes depend only on the rows, not on when parts were written, nor on the wall clock.
"""

import contextlib
import dataclasses
import math
import re
import time
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from edgelam.errors import EdgelamError
from edgelam.files import digests
from edgelam.files.storage import StorageError, atomic_file, make_folder, sync_folder, write_atomically

ROWS_PER_PART = 4096
SECONDS_PER_PART = 2.0  # wall clock: how much a SIGKILL may cost of a run that keeps adding rows
ROWS_PER_GROUP = 1 << 16  # rows per group of the compacted file
COMPRESSION = "zstd"
_PART = "edgelam_part"  # what a part says about itself: run, table, number

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


class MissingTableError(StorageError, KeyError):
    """A run has no table of this name. It is a KeyError, so that ``get`` and ``in`` of a mapping work as they do."""

    __str__ = Exception.__str__  # that of KeyError shows a quoted text


def schema_of(record: type, **extra: type) -> pa.Schema:
    """Return the table schema of a flat dataclass with fields of str, int, float, bool, or such a type | None (null).

    `extra` columns come first: ``schema_of(TransferRecord, method=str, round=int)``.
    """
    hints = typing.get_type_hints(record)
    fields = dict(extra) | {field.name: hints[field.name] for field in dataclasses.fields(record)}
    return schema_from(fields)


def schema_from(columns: Mapping[str, Any]) -> pa.Schema:
    """Return a schema of column names and Python types (str, int, float, bool, each | None). All columns take null."""
    return pa.schema([pa.field(name, _arrow_type(name, hint)) for name, hint in columns.items()])


def _arrow_type(name: str, hint: Any) -> pa.DataType:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if typing.get_origin(hint) is typing.Literal:
        hint = type(typing.get_args(hint)[0])
    if hint not in _ARROW:
        raise EdgelamError(f"column {name!r} has type {hint}; a table takes str, int, float or bool, each | None")
    return _ARROW[hint]


class Tables:
    """Tables that grow together: when a row is added to one, rows that have waited too long in others are written, too.

    So a table with few rows (metrics) loses no more by a kill than one with many (transfers).
    """

    def __init__(self) -> None:
        """Begin without tables: each `TableWriter` made with this object adds itself."""
        self.writers: list[TableWriter] = []
        self.due_s = math.inf
        """Time of the monotonic clock until which no row has waited too long."""

    def flush_due(self, now_s: float) -> None:
        """Write the rows of each table whose oldest row is due by `now_s`. Raises StorageError."""
        for writer in self.writers:
            if writer.due_s <= now_s:
                writer.flush()
        self.due_s = min(writer.due_s for writer in self.writers)


class TableWriter:
    """Appends rows to one table of a run folder.

    Rows are kept in memory until there are `rows_per_part` of them, or the oldest is `seconds_per_part` wall seconds
    old, whichever comes first (this is checked when a row is added, to this table or another of `together`). It is not
    safe for several threads or processes: each table has one writer.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        schema: pa.Schema,
        *,
        rows_per_part: int = ROWS_PER_PART,
        seconds_per_part: float = SECONDS_PER_PART,
        together: Tables | None = None,
    ) -> None:
        """Start the table `name` in `folder`. Raises StorageError if it exists."""
        self.folder, self.name, self.schema = folder, name, schema
        self.rows_written = 0
        self.on_append: Callable[[str, int, Mapping[str, Any]], object] | None = None
        """Called with the table's name, the row's number and the row, for each row that `append` adds."""
        self._rows_per_part, self._seconds_per_part = rows_per_part, seconds_per_part
        self._rows: list[dict[str, Any]] = []  # follow those in _columns
        self._columns: list[pa.Table] = []
        self._waiting = 0  # rows in both
        self._parts = 0
        self.due_s = math.inf
        """Time of the monotonic clock at which the oldest row in memory must be written."""
        self._names = set(schema.names)
        self._closed = False
        if parts_folder(folder, name).exists() or table_file(folder, name).exists():
            raise StorageError(f"{folder} already has a table {name!r}; a table is written once")
        make_folder(parts_folder(folder, name))
        self._run = digests.run_of(folder)
        self._together = together or Tables()
        self._together.writers.append(self)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row: {column: value}; a column left out is null, an unknown one is refused."""
        self._check(row)
        if self.on_append is not None:
            self.on_append(self.name, self.rows_written + self._waiting, row)
        self._rows.append(dict(row))
        self._added(1)

    def extend(self, columns: Mapping[str, Any]) -> None:
        """Add many rows: {column: array}, all of one length; a column left out is null, an unknown one is refused."""
        self._check(columns)
        count = len(next(iter(columns.values()))) if columns else 0
        if count == 0:
            return
        self._columns_of_rows()
        with self._complaining():
            arrays = [
                pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
                for field in self.schema
            ]
            self._columns.append(pa.Table.from_arrays(arrays, schema=self.schema))
        self._added(count)

    def flush(self) -> None:
        """Write the rows in memory as one more part. Raises StorageError; the earlier parts stay complete."""
        if self._waiting:
            self._columns_of_rows()
            path = parts_folder(self.folder, self.name) / f"{self._parts:06d}.parquet"
            of = _part_of(self._run, self.name, self._parts)
            write_atomically(path, _part_bytes(pa.concat_tables(self._columns), of))
            self._parts += 1
            self.rows_written += self._waiting
            self._columns.clear()
            self._waiting = 0
            self.due_s = math.inf

    def _check(self, columns: Mapping[str, Any]) -> None:
        if self._closed:
            raise EdgelamError(f"table {self.name!r} is closed")
        if not self._names.issuperset(columns):
            unknown = ", ".join(sorted(set(columns) - self._names))
            raise EdgelamError(f"table {self.name!r} has no column {unknown}; it has {', '.join(self.schema.names)}")

    def _added(self, rows: int) -> None:
        now_s = time.monotonic()
        if not self._waiting:
            self.due_s = now_s + self._seconds_per_part
            self._together.due_s = min(self._together.due_s, self.due_s)
        self._waiting += rows
        if self._waiting >= self._rows_per_part:
            self.flush()
        if now_s >= self._together.due_s:
            self._together.flush_due(now_s)

    def _columns_of_rows(self) -> None:
        if self._rows:
            with self._complaining():
                self._columns.append(pa.Table.from_pylist(self._rows, schema=self.schema))
            self._rows.clear()

    @contextlib.contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise EdgelamError(f"table {self.name!r} ({self.schema}) cannot hold a row: {error}") from error

    def close(self) -> None:
        """Write the remaining rows, compact the parts into one file, and remove them."""
        self.compact()
        self.remove_parts()

    def compact(self) -> None:
        """Write the remaining rows, and compact the parts into one file beside them. A kill leaves the parts."""
        if self._closed:
            return
        self.flush()
        with (
            atomic_file(table_file(self.folder, self.name)) as file,
            pq.ParquetWriter(file, self.schema, compression=COMPRESSION) as writer,
        ):
            for group in _row_groups(self.schema, parts_folder(self.folder, self.name), self._run):
                writer.write_table(group)
        self._closed = True

    def remove_parts(self) -> None:
        """Remove the parts, whose rows the compacted file holds."""
        if not self._closed:
            return
        parts = parts_folder(self.folder, self.name)
        with contextlib.suppress(OSError):  # parts that cannot be removed do no harm
            for part in parts.iterdir():
                part.unlink()
            parts.rmdir()
            sync_folder(self.folder)


def parts_folder(folder: Path, name: str) -> Path:
    """Return the folder of the parts of a growing table."""
    return folder / f"{name}.parts"


def table_file(folder: Path, name: str) -> Path:
    """Return the file of the compacted table."""
    return folder / f"{name}.parquet"


def table_names(folder: Path) -> list[str]:
    """Return the names of the tables of a run folder, compacted or in parts, in alphabetical order.

    Missing tables whose digest is in the manifest are among them: reading one is an error, not an empty table.
    """
    whole = {path.stem for path in folder.glob("*.parquet")}
    recorded = {Path(name).stem for name in digests.recorded(folder) or () if re.fullmatch(r"[^/]+\.parquet", name)}
    return sorted(whole | recorded | {path.stem for path in folder.glob("*.parts") if path.is_dir()})


def read_arrow(folder: Path, name: str) -> pa.Table:
    """Read a table, compacted or in parts. A table without a single part yet has no rows and no columns.

    Raises StorageError if a file cannot be read, or is not what was written (by its digest in the manifest of `folder`,
    or in the part itself).
    """
    whole = table_file(folder, name)
    for _ in range(_TRIES):
        files = digests.recorded(folder)
        parts = sorted(parts_folder(folder, name).glob("[0-9]*.parquet"))
        with contextlib.suppress(_GoneError):
            if files is not None and whole.name in files:
                return _parse(_content(whole, files[whole.name]), whole).replace_schema_metadata(None)
            if whole.exists() and not (parts and files is not None):
                digests.say_unverified(whole)
                return _parse(_content(whole), whole).replace_schema_metadata(None)
            run = digests.run_of(folder)
            read = [_read_part(part, number, run) for number, part in enumerate(parts)]
            return _concatenated(read, parts)
    raise StorageError(f"{whole} is missing: the manifest has its digest, so it was there when the run ended")


_TRIES = 3  # a run that ends in the meantime replaces its parts


class _GoneError(Exception):
    """A file that existed does not exist any more."""


def _content(file: Path, recorded: str | None = None) -> bytes:
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise _GoneError from error
    except OSError as error:
        raise StorageError.of("read table", file, error) from error
    if recorded is not None:
        digests.check_content(content, recorded, file)
    return content


def _part_of(run: str, table: str, number: int) -> str:
    return f"{run} {table} {number}"


def _read_part(part: Path, number: int, run: str) -> pa.Table:
    """Read one part, without metadata. Raises StorageError if it is not this part of this table of this run."""
    if part.name != f"{number:06d}.parquet":
        raise StorageError(f"{part.parent} lacks part {number:06d}.parquet: the rows after it are not those of the run")
    content = _content(part)
    if not digests.check_seal(content, part):
        digests.say_unverified(part)
    table = _parse(content, part)
    said = (table.schema.metadata or {}).get(_PART.encode())
    if said is not None and said.decode("utf-8", "replace") != _part_of(run, part.parent.stem, number):
        raise StorageError(f"{part} is a part of another run or table, or another part of this one: it was moved here")
    return table.replace_schema_metadata(None)


def parsed(content: bytes) -> pa.Table:
    """Return a Parquet file, read only in this thread: if no other can be made (ulimit), Arrow waits for ever.

    Raises whatever a reader of damaged bytes raises.
    """
    with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as parquet:
        return parquet.read(use_threads=False)


def _parse(content: bytes, file: Path) -> pa.Table:
    try:
        return parsed(content)
    except Exception as error:  # whatever a reader of damaged bytes raises
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StorageError(f"table {file.stem!r} in {file.parent} is damaged: {file.name}: {reason}") from error


def _concatenated(read: list[pa.Table], parts: list[Path]) -> pa.Table:
    try:
        return pa.concat_tables(read) if read else pa.table({})
    except pa.ArrowException as error:
        raise StorageError(f"{parts[0].parent} is damaged: its parts do not fit together: {error}") from error


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return the table as pandas; integers with nulls stay integers (Int64, pd.NA), other nulls become NaN."""
    frame = table.to_pandas(use_threads=False)
    for column in table.schema.names:
        values = table[column]
        if pa.types.is_integer(values.type) and values.null_count:
            frame[column] = pd.array(values.to_pylist(), dtype="Int64")
    return frame


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read a table, compacted or in parts, as `to_pandas` gives it."""
    table = read_arrow(folder, name)
    try:
        return to_pandas(table)
    except Exception as error:  # for example, a column is not text: another program has written it
        raise StorageError(f"table {name!r} in {folder} is damaged: {type(error).__name__}: {error}") from error


def _row_groups(schema: pa.Schema, parts: Path, run: str) -> Iterator[pa.Table]:
    """Yield the rows of all parts, in tables of ROWS_PER_GROUP rows and a last one: never all rows are in memory."""
    waiting = schema.empty_table()
    for number, part in enumerate(sorted(parts.glob("[0-9]*.parquet"))):
        waiting = pa.concat_tables([waiting, _read_part(part, number, run).cast(schema)])
        for _ in range(waiting.num_rows // ROWS_PER_GROUP):
            yield waiting.slice(0, ROWS_PER_GROUP).combine_chunks()
            waiting = waiting.slice(ROWS_PER_GROUP)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _part_bytes(table: pa.Table, of: str) -> bytes:
    """Return a part as a file, with its digest; of: of what it is a part."""
    sink = pa.BufferOutputStream()
    sealed = table.combine_chunks().replace_schema_metadata({digests.KEY: digests.BLANK, _PART: of})
    pq.write_table(sealed, sink, compression=COMPRESSION)
    return digests.sealed(sink.getvalue().to_pybytes())
