# SPDX-License-Identifier: GPL-2.0-only
"""A user's own data: CSV or Parquet with columns `text,label`, or NPZ with `tokens,labels` (or `text,label`).

- `.csv`, `.parquet`: columns `text` (string) and `label` (string or integer); an optional column `split` holds
  "train" or "test" for every row. Other columns are ignored. In a CSV only an empty field is a missing value ("NA" and
  "null" are words), and text stays as it is written ("007").
- `.npz`: `tokens` [num_samples, num_tokens, num_features] (real numbers) and `labels` [num_samples] (string or
  integer),
  or `text` [num_samples] and `label`/`labels`; an optional `split` [num_samples]. Pickled objects are refused.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edgelam.data.task import Examples, Task, split_train_test
from edgelam.errors import ConfigurationError

SUFFIXES = (".csv", ".parquet", ".npz")


def load(path: Path, *, test_fraction: float = 0.2, seed: int = 0) -> Task:
    """Read a file into a Task. Raises ConfigurationError that names the file, the fault and what is legal."""
    columns = _read_npz(path) if path.suffix.lower() == ".npz" else _read_table(path)
    inputs = _inputs(path, columns)
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
            f"{path}: {len(labels)} samples in {len(label_names)} classes leave nothing to test on"
        )
    unseen = sorted({label_names[i] for i in set(labels[test].tolist()) - set(labels[train].tolist())})
    if unseen:
        raise ConfigurationError(
            f"{path}: the test set holds classes the training set does not: {', '.join(unseen[:5])}"
        )
    kind = "tokens" if isinstance(inputs, np.ndarray) else "text"
    return Task(path.stem, kind, every.subset(train), every.subset(test), label_names)  # type: ignore[arg-type]


def _read_table(path: Path) -> dict[str, Any]:
    try:
        frame = _read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except pd.errors.EmptyDataError:
        raise ConfigurationError(
            f"{path}: the file is empty; expected a header line with the columns text,label"
        ) from None
    except (OSError, ValueError) as error:  # pyarrow's and pandas' parser errors are ValueErrors
        kind = {".csv": "CSV (UTF-8 text)", ".parquet": "Parquet"}[path.suffix.lower()]
        raise ConfigurationError(f"{path}: cannot be read as {kind}: {_first_line(error)}") from None
    missing = [name for name in ("text", "label") if name not in frame.columns]
    if missing:
        raise ConfigurationError(
            f"{path}: no column {' and no column '.join(map(repr, missing))}; it has {_listing(frame.columns)}. "
            "Needed are text and label"
        )
    return {name: frame[name].to_numpy(dtype=object) for name in ("text", "label", "split") if name in frame.columns}


def _read_csv(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    if "label" in frame:
        # numbers, unless a sign or zero in front says that they are names: "01" is not "1"
        numbers = pd.to_numeric(frame["label"], errors="coerce")
        if (numbers.notna() == frame["label"].notna()).all() and not frame["label"].str.match(r"[+-]?0\d").any():
            frame["label"] = numbers
    return frame


def _read_npz(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise ConfigurationError(f"{path}: cannot be read as NPZ: it is not an archive of numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path}: cannot be read as NPZ: {_first_line(error)}") from None
    present = _listing(columns)
    if "labels" in columns:
        columns["label"] = columns.pop("labels")
    if "label" not in columns or not ("tokens" in columns or "text" in columns):
        raise ConfigurationError(f"{path}: it has {present}. Needed are labels, and tokens or text")
    return columns


def _inputs(path: Path, columns: dict[str, Any]) -> list[str] | NDArray[np.float32]:
    if "tokens" in columns:
        tokens = np.asarray(columns["tokens"])
        if tokens.ndim != 3 or tokens.shape[1] == 0 or tokens.shape[2] == 0:
            raise ConfigurationError(
                f"{path}: tokens has shape {tokens.shape}; legal is [num_samples, num_tokens, num_features]"
            )
        if not (np.issubdtype(tokens.dtype, np.floating) or np.issubdtype(tokens.dtype, np.integer)):
            raise ConfigurationError(f"{path}: tokens has dtype {tokens.dtype}; legal are real numbers")
        if len(tokens) == 0:
            raise ConfigurationError(f"{path}: no samples")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            tokens = np.ascontiguousarray(tokens, dtype=np.float32)
        bad = np.flatnonzero(~np.isfinite(tokens).all(axis=(1, 2)))
        if len(bad):
            raise ConfigurationError(
                f"{path}: tokens of sample {bad[0]} hold NaN, infinity, or what float32 cannot hold "
                f"({len(bad)} such samples)"
            )
        return tokens
    texts = columns["text"]
    if len(texts) == 0:
        raise ConfigurationError(f"{path}: no samples")
    for row, text in enumerate(texts):
        if pd.isna(text) or not str(text).strip():
            raise ConfigurationError(f"{path}: the text of row {row + 1} is empty or NaN")
    return [str(text) for text in texts]


def _labels(path: Path, values: Any) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    values = np.asarray(values).reshape(-1)
    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        raise ConfigurationError(
            f"{path}: the label of row {missing[0] + 1} is empty or NaN ({len(missing)} such rows)"
        )
    whole = [_whole_number(value) for value in values]
    if any(
        isinstance(value, (float, np.floating)) and number is None for value, number in zip(values, whole, strict=True)
    ):
        raise ConfigurationError(f"{path}: labels must be strings or whole numbers, not fractions")
    names = [str(value) if number is None else str(number) for value, number in zip(values, whole, strict=True)]
    numeric = all(number is not None for number in whole)
    label_names = tuple(sorted(set(names), key=int if numeric else None))
    if len(label_names) < 2:
        raise ConfigurationError(f"{path}: one class only ({label_names[0]!r}); at least two are needed")
    number_of = {name: index for index, name in enumerate(label_names)}
    return np.array([number_of[name] for name in names], dtype=np.int64), label_names


def _whole_number(value: object) -> int | None:
    """3, 3.0 (as pandas reads integers beside a gap) and np.int8(3) are 3; everything else is None."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (int, float, np.integer, np.floating)) and float(value).is_integer():
        return int(value)
    return None


def _given_split(path: Path, values: Any, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    split = np.array([str(value).strip().lower() for value in np.asarray(values).reshape(-1)])
    if len(split) != count:
        raise ConfigurationError(f"{path}: {count} samples but {len(split)} entries in split")
    odd = sorted(set(split.tolist()) - {"train", "test"})
    if odd:
        raise ConfigurationError(f"{path}: split holds {odd[0]!r}; legal are train and test")
    return np.flatnonzero(split == "train"), np.flatnonzero(split == "test")


def _listing(names: Any) -> str:
    found = [str(name) for name in names]
    return "the columns " + ", ".join(found[:8]) + (", ..." if len(found) > 8 else "") if found else "no columns"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
