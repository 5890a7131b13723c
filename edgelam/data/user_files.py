# SPDX-License-Identifier: GPL-2.0-only
"""A user's own data: CSV or Parquet with columns `text,label`, or NPZ with `tokens,labels` (or `text,label`).

- `.csv` (UTF-8, commas), `.parquet`: columns `text` (strings) and `label` (strings, whole numbers or truth values); an
  optional column `split` holds "train" or "test" for every row. Other columns are ignored. In a CSV, everything is
  taken as it is written: "NA" and "null" are words, "007" is a text, and "01" is a class that is not "1".
- `.npz`: `tokens` [num_samples, num_tokens, num_features] (real numbers) and `labels` [num_samples] (as `label`), or
  `text` [num_samples] and `label`/`labels`; an optional `split` [num_samples]. Pickled objects are refused.

Nothing is guessed: bytes are text if they are UTF-8, [num_samples, 1] is [num_samples], and everything else that is not
of these types is refused with its column, its row and its type.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgelam.data.csv_files import read_rows
from edgelam.data.task import Examples, Task, split_train_test
from edgelam.errors import ConfigurationError
from edgelam.files import refuse_git_lfs_pointer

SUFFIXES = (".csv", ".parquet", ".npz")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,29}")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_EXACT_FLOAT32 = 2**24  # above this, float32 does not have all whole numbers
_EXACT_FLOAT64 = 2**53


def load(path: Path, *, test_fraction: float = 0.2, seed: int = 0) -> Task:
    """Read a file into a Task. Raises ConfigurationError that names the file, the fault and what is legal."""
    refuse_git_lfs_pointer(path)
    kind = path.suffix.lower()
    if kind == ".npz":
        columns: Mapping[str, Iterable[Any]] = _read_npz(path)
    else:
        columns = _read_csv(path) if kind == ".csv" else _read_parquet(path)
    inputs = _tokens(path, np.asarray(columns["tokens"])) if "tokens" in columns else _texts(path, columns["text"])
    labels, label_names = _labels(path, columns["label"])
    if len(inputs) != len(labels):
        raise ConfigurationError(f"{path}: {len(inputs)} samples but {len(labels)} labels")
    every = Examples(inputs, labels)
    if "split" in columns:
        train, test = _given_split(path, columns["split"], len(labels))
    else:
        train, test = split_train_test(labels, test_fraction, seed)
    if len(test) == 0:
        raise ConfigurationError(
            f"{path}: {len(labels)} samples in {len(label_names)} classes leave no samples for testing"
        )
    unseen = sorted({label_names[i] for i in set(labels[test].tolist()) - set(labels[train].tolist())})
    if unseen:
        raise ConfigurationError(
            f"{path}: the test set has classes that the training set does not have: {', '.join(unseen[:5])}"
        )
    return Task(
        path.stem, "tokens" if "tokens" in columns else "text", every.subset(train), every.subset(test), label_names
    )


def _read_csv(path: Path) -> dict[str, list[str]]:
    rows = read_rows(path)
    names = next(rows, None)
    if names is None:
        raise ConfigurationError(f"{path}: the file is empty; expected a header line with the columns text,label")
    _check_columns(path, names)
    wanted = {name: names.index(name) for name in ("text", "label", "split") if name in names}
    columns: dict[str, list[str]] = {name: [] for name in wanted}
    for fields in rows:
        for name, place in wanted.items():
            columns[name].append(fields[place])
    return columns


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    """Return the columns as Python values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            names = file.schema_arrow.names
            _check_columns(path, names)
            wanted = [name for name in ("text", "label", "split") if name in names]
            table = file.read(columns=wanted, use_threads=False)  # without threads: runs/folders/tables.py says why
        columns = {name: table.column(name) for name in wanted}
        for name, column in columns.items():
            if pa.types.is_dictionary(column.type):
                columns[name] = column.cast(column.type.value_type)
        return {name: _parquet_values(path, name, column) for name, column in columns.items()}
    except ConfigurationError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ConfigurationError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None


def _parquet_values(path: Path, name: str, column: Any) -> list[Any]:
    from pyarrow import types

    legal = [types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary,
             types.is_binary_view, types.is_fixed_size_binary, types.is_null]  # fmt: skip
    if name == "label":
        legal += [types.is_integer, types.is_floating, types.is_boolean]
    if not any(is_legal(column.type) for is_legal in legal):
        raise ConfigurationError(f"{path}: column {name} holds {column.type}; {_legal(name)}")
    values: list[Any] = column.to_pylist()
    return values


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays that are known, [num_samples] except for tokens."""
    if not zipfile.is_zipfile(path):
        raise ConfigurationError(f"{path}: cannot be read as NPZ: it is not an archive of numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            for these in (("label", "labels"), ("tokens", "text")):
                if set(these) <= set(names):
                    raise ConfigurationError(f"{path}: it has both {these[0]} and {these[1]}; only one is legal")
            _refuse_twice(path, names, ("text", "tokens", "label", "labels", "split"))
            known = [name for name in ("text", "tokens", "label", "labels", "split") if name in names]
            columns = {name: archive[name] for name in known}
    except ConfigurationError:
        raise
    except Exception as error:  # zipfile, zlib and the parser of array headers each have errors of their own
        raise ConfigurationError(f"{path}: cannot be read as NPZ: {_first_line(error)}") from None
    if "labels" in columns:
        columns["label"] = columns.pop("labels")
    if "label" not in columns or not ("tokens" in columns or "text" in columns):
        raise ConfigurationError(f"{path}: it has {_listing(names)}. Needed are labels, and tokens or text")
    for name in columns.keys() - {"tokens"}:
        if columns[name].ndim == 2 and columns[name].shape[1] == 1:
            columns[name] = columns[name][:, 0]
        values = columns[name]
        if values.ndim != 1:
            raise ConfigurationError(f"{path}: {name} has shape {values.shape}; legal is [num_samples]")
        if values.dtype.kind not in ("USiufb" if name == "label" else "US"):
            raise ConfigurationError(f"{path}: {name} has dtype {values.dtype}; {_legal(name)}")
    return columns


def _check_columns(path: Path, names: Sequence[str]) -> None:
    """Refuse a table without text and label, or with two columns of one name."""
    missing = [name for name in ("text", "label") if name not in names]
    if missing:
        raise ConfigurationError(
            f"{path}: no column {' and no column '.join(map(repr, missing))}; it has {_listing(names)}. "
            "Needed are text and label"
        )
    _refuse_twice(path, names, ("text", "label", "split"))


def _refuse_twice(path: Path, names: Sequence[str], known: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1 and name in known]
    if twice:
        raise ConfigurationError(f"{path}: there are {names.count(twice[0])} columns {twice[0]!r}; only one is legal")


def _tokens(path: Path, tokens: NDArray[Any]) -> NDArray[np.float32]:
    if tokens.ndim != 3 or tokens.shape[1] == 0 or tokens.shape[2] == 0:
        raise ConfigurationError(
            f"{path}: tokens has shape {tokens.shape}; legal is [num_samples, num_tokens, num_features]"
        )
    if tokens.dtype.kind not in "fiu":
        raise ConfigurationError(f"{path}: tokens has dtype {tokens.dtype}; legal are real numbers")
    if len(tokens) == 0:
        raise ConfigurationError(f"{path}: no samples")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        real = np.ascontiguousarray(tokens, dtype=np.float32)
    good = np.isfinite(real)
    if tokens.dtype.kind != "f":
        good &= (tokens <= _EXACT_FLOAT32) & (tokens >= -_EXACT_FLOAT32)
    bad = np.flatnonzero(~good.all(axis=(1, 2)))
    if len(bad):
        raise ConfigurationError(
            f"{path}: tokens of row {bad[0] + 1} hold NaN, infinity, or what float32 cannot hold "
            f"({len(bad)} such samples)"
        )
    return real


def _texts(path: Path, values: Iterable[Any]) -> list[str]:
    texts = []
    for row, value in enumerate(values, start=1):
        text = _string(path, "text", row, value)
        if text is None or not text.strip():
            raise ConfigurationError(f"{path}: the text of row {row} is empty or NaN")
        texts.append(text)
    if not texts:
        raise ConfigurationError(f"{path}: no samples")
    return texts


def _labels(path: Path, values: Iterable[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers from 0 and their names, in the order of the names: by size if all are whole numbers, else as text."""
    names: list[str] = [_label(path, row, value) for row, value in enumerate(values, start=1)]
    if any("." in name for name in names) and all(_DECIMAL.fullmatch(name) for name in names):
        fraction = next(row for row, name in enumerate(names, start=1) if "." in name)
        raise ConfigurationError(
            f"{path}: the label of row {fraction} is {names[fraction - 1]}; labels must be strings or whole numbers, "
            "not fractions (nor written as such)"
        )
    whole = all(_WHOLE.fullmatch(name) for name in names)
    label_names = tuple(sorted(set(names), key=int)) if whole else tuple(sorted(set(names)))
    if len(label_names) < 2:
        only = repr(label_names[0]) if label_names else "none"
        raise ConfigurationError(f"{path}: there is only one class ({only}); at least two are needed")
    like: dict[str, str] = {}
    for name in label_names:
        if (other := like.setdefault(name.strip(), name)) != name:
            raise ConfigurationError(f"{path}: labels {other!r} and {name!r} differ in spaces only; write them alike")
    number_of = {name: index for index, name in enumerate(label_names)}
    return np.array([number_of[name] for name in names], dtype=np.int64), label_names


def _label(path: Path, row: int, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)) and not np.isnan(value):
        # pandas writes whole numbers so if a value is missing
        if np.isinf(value) or int(value) != value or abs(float(value)) > _EXACT_FLOAT64:
            raise ConfigurationError(
                f"{path}: the label of row {row} is {value!r}; labels must be strings or whole numbers, not fractions"
            )
        return str(int(value))
    name = None if isinstance(value, (float, np.floating)) else _string(path, "label", row, value)
    if name is None or not name.strip():
        raise ConfigurationError(f"{path}: the label of row {row} is empty or NaN")
    return name


def _string(path: Path, column: str, row: int, value: Any) -> str | None:
    """Return a string as it is, or bytes decoded; None if it is neither."""
    if value is None:
        return None
    fault = f"is {type(value).__name__}"
    try:
        if isinstance(value, bytes):
            return bytes(value).decode()
        if isinstance(value, str):
            value.encode()
            return str(value)
    except UnicodeError as error:
        fault = f"is not UTF-8 ({error})"
    raise ConfigurationError(f"{path}: the {column} of row {row} {fault}; {_legal(column)}")


def _legal(column: str) -> str:
    return "legal are strings" + (", whole numbers and truth values" if column == "label" else "")


def _given_split(path: Path, values: Iterable[Any], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    split = [_string(path, "split", row, value) or "" for row, value in enumerate(values, start=1)]
    if len(split) != count:
        raise ConfigurationError(f"{path}: {count} samples but {len(split)} entries in split")
    given = np.array([value.strip().lower() for value in split])
    odd = np.flatnonzero((given != "train") & (given != "test"))
    if len(odd):
        raise ConfigurationError(f"{path}: split holds {split[odd[0]]!r} in row {odd[0] + 1}; legal are train and test")
    return np.flatnonzero(given == "train"), np.flatnonzero(given == "test")


def _listing(names: Sequence[str]) -> str:
    found = [name if name.isidentifier() else repr(name) for name in names]
    return "the columns " + ", ".join(found[:8]) + (", ..." if len(found) > 8 else "") if found else "no columns"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
