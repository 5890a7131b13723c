# SPDX-License-Identifier: GPL-2.0-only
"""An array of CSI with axes in any order, whose samples are read one by one as [time, rx, tx, subcarrier]."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from edgelam.air.csi.table import Array
from edgelam.errors import ConfigurationError

OF_A_SAMPLE = ("time", "rx", "tx", "subcarrier")
NAMES = ("sample", *OF_A_SAMPLE)
PART = "part"
"""An axis of length 2: the real and the imaginary part."""


def parse(text: str) -> tuple[str, ...]:
    """Return the names of axes in `text`, such as ``"rx tx subcarrier time sample"``.

    A name that is there several times, with numbers (``tx1 tx2``), is one axis in parts; the part of the smallest
    number is the slowest. Raises ConfigurationError for other names and for a name that is there twice.
    """
    axes = tuple(text.replace(",", " ").split())
    for axis in axes:
        if axis != PART and not re.fullmatch(rf"({'|'.join(NAMES)})\d?", axis):
            raise ConfigurationError(
                f"--axes {text!r}: {axis!r} is no axis; legal are {', '.join(NAMES)}, in parts as tx1 tx2 (the first "
                f"is the slowest), and {PART} for real and imaginary parts"
            )
    if len(set(axes)) < len(axes):
        raise ConfigurationError(f"--axes {text!r}: each may be there once; parts of one axis have numbers: tx1 tx2")
    return axes


def joined_parts(array: Array, axes: Sequence[str], source: str) -> tuple[Array, tuple[str, ...]]:
    """Return complex64 and the axes without `part`, from real and imaginary parts along that axis.

    source: what errors call the array. Raises ConfigurationError if it is complex, or the axis has another length.
    """
    at = axes.index(PART)
    if array.ndim != len(axes) or array.shape[at] != 2 or array.dtype.kind == "c":
        raise ConfigurationError(
            f"{source} has the shape {array.shape} and {array.dtype} values; the axes {' '.join(axes)} want "
            f"{len(axes)} dimensions of real values, 2 along {PART}"
        )
    real, imaginary = np.moveaxis(array, at, 0)
    values = np.empty(real.shape, np.complex64)
    values.real, values.imag = real, imaginary
    return values, tuple(axis for axis in axes if axis != PART)


class Samples:
    """Samples of CSI in an array; an axis that it lacks has length 1."""

    def __init__(self, array: Array, axes: Sequence[str], source: str) -> None:
        """array: complex, one dimension for each of `axes`; source: what errors call it."""
        if array.ndim != len(axes):
            raise ConfigurationError(
                f"{source} has the shape {array.shape}; the axes {' '.join(axes)} want {len(axes)} dimensions"
            )
        if not array.size:
            raise ConfigurationError(f"{source} has the shape {array.shape}: there is nothing in it")
        self._array, self.source = array, source
        parts = {name: sorted(a for a in axes if a.rstrip("0123456789") == name) for name in NAMES}
        self._order = [axes.index(axis) for name in NAMES for axis in parts[name]]
        lengths = {name: [array.shape[axes.index(axis)] for axis in parts[name]] for name in NAMES}
        self._rows = tuple(lengths["sample"])
        self.shape = tuple(math.prod(lengths[name]) for name in OF_A_SAMPLE)

    def __len__(self) -> int:
        """Number of samples."""
        return math.prod(self._rows)

    @property
    def rows(self) -> int:
        """Number of rows: the length of the slowest part of the samples' axis."""
        return self._rows[0] if len(self._rows) > 1 else 1

    def sample(self, number: int) -> Array:
        """Return a sample as complex64 [time, rx, tx, subcarrier]."""
        view = self._array.transpose(self._order)[np.unravel_index(number, self._rows)] if self._rows else self._array
        if not self._rows:
            view = view.transpose(self._order)
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            return np.ascontiguousarray(view, np.complex64).reshape(self.shape)

    def put(self, number: int, csi: Array) -> None:
        """Write a sample [time, rx, tx, subcarrier] into the array."""
        whole = self._array.transpose(self._order)
        at = np.unravel_index(number, self._rows) if self._rows else ()
        whole[at] = csi.reshape(whole.shape[len(self._rows) :])
