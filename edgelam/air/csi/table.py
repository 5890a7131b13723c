# SPDX-License-Identifier: GPL-2.0-only
"""Recorded CSI in memory (`CsiSet`), and the columns that a recording has beside the CSI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class CsiSet:
    """Recorded CSI. ``torch.from_numpy(data.csi)`` takes it as it is.

    All other facts about each sample are in `columns`, and are attributes, too: ``data.speed_mps``.
    """

    csi: Array
    """complex64 [sample, time, rx, tx, subcarrier]; from .npz memory-mapped, copy-on-write."""
    tones_hz: Array | None
    """float64 [subcarrier]: offsets from the carrier."""
    columns: Mapping[str, Array]
    """Arrays [sample] or [sample, 3]: link, time_s, rx_position_m, rx_velocity_mps, ..., los, snr_db; see docs."""
    metadata: Mapping[str, Any]
    """scenario, options, seed, snr_db, versions, and `links`: carrier, period and arrays of each link."""

    def __getattr__(self, name: str) -> Array:
        """A column by its name."""
        columns = object.__getattribute__(self, "columns")
        if name not in columns:
            raise AttributeError(f"this recording has no {name!r}; it has: csi, tones_hz, {', '.join(columns)}")
        return columns[name]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.csi)

    def incomplete(self) -> str:
        """Return as text what is missing in a recording; empty if it is complete."""
        known = ("scenario", "options", "seed", "pilot_snr_db", "block_s", "links")
        missing = [name for name in known if name not in self.metadata]
        if missing:
            return f"its metadata lack {', '.join(missing)}"
        links = self.metadata["links"]
        if not isinstance(links, dict) or not all(isinstance(facts, dict) for facts in links.values()):
            return "its metadata say nothing of the links"
        if odd := [name for name, values in self.columns.items() if values.ndim not in (1, 2)]:
            return f"its columns {', '.join(odd)} are none"
        short = [name for name, values in self.columns.items() if len(values) != len(self)]
        if short or "link" not in self.columns:
            return f"its columns {', '.join(short) or 'lack the link'} do not fit {len(self)} samples"
        unknown = set(self.columns["link"].tolist()) - set(self.metadata["links"])
        return f"nothing is known of link {min(unknown)}" if unknown else ""

    def info(self, sample: int) -> Mapping[str, Any]:
        """Return the facts about the link of a sample: carrier_hz, snapshot_period_s, rx and tx (the arrays)."""
        links: Mapping[str, Mapping[str, Any]] = self.metadata["links"]
        return links[str(self.columns["link"][sample])]


def flat_columns(dtype: np.dtype[Any] | None, prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Return the columns of a struct, whose nested structs are taken apart: name -> path of field names."""
    columns: dict[str, tuple[str, ...]] = {}
    for name in () if dtype is None else dtype.names or ():
        field = dtype[name]  # type: ignore[index]
        if field.names:
            inner = flat_columns(field)
            columns |= {key: (name, *path) for key, path in inner.items()}
        else:
            columns[name] = (name,)
    return columns


def field_of(state: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of field names."""
    for name in path:
        state = state[name]
    return state
