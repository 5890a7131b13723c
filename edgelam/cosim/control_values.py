# SPDX-License-Identifier: GPL-2.0-only
"""Values of controls, from what a user writes: numbers, arrays, and structs as tuples, dicts or NumPy records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def as_array(value: Any, dtype: np.dtype[Any], ndim: int) -> np.ndarray[Any, Any]:
    """Return `value` as an array of `dtype` with `ndim` dimensions; if it has another number of dimensions, with that.

    No value is changed: no number wraps around or is cut off, no text becomes a number, and no number becomes a
    struct. Raises ValueError with the reason.
    """
    if dtype.fields is None:
        return _plain(value, dtype)
    if isinstance(value, (np.ndarray, np.void)) and value.dtype == dtype:
        return np.asarray(value)
    if ndim == 0:
        return _struct(value, dtype)
    if isinstance(value, (Mapping, str, bytes)) or not hasattr(value, "__len__"):
        raise ValueError(f"{value!r} is not a list of structs, each with {_fields(dtype)}")
    items = [as_array(item, dtype, ndim - 1) for item in value]
    return np.stack(items) if items else np.zeros((0,) * ndim, dtype)


def _plain(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    kinds = "SU" if dtype.kind == "S" else "biufc"
    try:
        array = np.asarray(value)
        fits = array.dtype.kind in kinds and _holds(array, dtype)
    except (TypeError, ValueError):  # lists of different lengths
        fits = False
    if not fits:
        raise ValueError(f"{value!r} is not of dtype {dtype}{_legal(dtype)}")
    return array.astype(dtype)


def _holds(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> bool:
    """Return whether `dtype` can hold the elements without change (except rounding)."""
    if np.iscomplexobj(array) and dtype.kind != "c":
        return False
    if dtype.kind == "b":
        return bool(np.isin(array, (0, 1)).all())
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return all(limits.min <= each <= limits.max and each == int(each) for each in array.ravel().tolist())
    return dtype.kind != "S" or array.astype("S").itemsize <= dtype.itemsize


def _legal(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return f", {limits.min} to {limits.max}"
    return "; legal are True and False, 1 and 0" if dtype.kind == "b" else ""


def _struct(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return one struct."""
    record = np.zeros((), dtype)
    for name, each in _by_name(value, dtype).items():
        field = dtype[name]
        base, shape = field.subdtype or (field, ())
        try:
            array = as_array(each, base, len(shape))
        except ValueError as error:
            raise ValueError(f"field {name!r}: {error}") from None
        if array.shape != shape:
            raise ValueError(f"field {name!r} has shape {shape}, not {array.shape}")
        record[name] = array
    return record


def _by_name(value: Any, dtype: np.dtype[Any]) -> Mapping[str, Any]:
    """Return the fields of a struct that is given as a mapping, as a record, or as a sequence in the fields' order."""
    names = dtype.names or ()
    if isinstance(value, (np.ndarray, np.void)) and value.dtype.names and value.ndim == 0:
        value = {name: value[name] for name in value.dtype.names}
    if isinstance(value, Mapping):
        missing = [name for name in names if name not in value]
        unknown = [name for name in value if name not in names]
        if missing or unknown:
            wrong = [f"there is no field {name!r}" for name in unknown] + [
                f"field {name!r} is missing" for name in missing
            ]
            raise ValueError(f"{', '.join(wrong)}; the struct's fields are {_fields(dtype)}")
        return value
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise ValueError(f"{value!r} is not a struct; give a tuple or a dict of {_fields(dtype)}")
    if len(value) != len(names):
        raise ValueError(f"{value!r} has {len(value)} values; the struct's fields are {_fields(dtype)}")
    return dict(zip(names, value, strict=True))


def _fields(dtype: np.dtype[Any]) -> str:
    """Return the fields of a struct as text: "ue (uint32), to (float64, shape (3,))"."""
    texts = []
    for name in dtype.names or ():
        base, shape = dtype[name].subdtype or (dtype[name], ())
        kind = f"({_fields(base)})" if base.fields else f"({base}{f', shape {shape}' if shape else ''})"
        texts.append(f"{name} {kind}")
    return ", ".join(texts)
