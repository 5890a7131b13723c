# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam csi export``: recordings become files that the programs of other data sets read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgelam.air.csi.files import load
from edgelam.air.csi.foreign import arrays
from edgelam.air.csi.foreign.axes import OF_A_SAMPLE, Samples
from edgelam.air.csi.foreign.importing import DOWNLINK_FUTURE, UPLINK_FUTURE, UPLINK_PAST
from edgelam.air.csi.foreign.layouts import LAYOUTS
from edgelam.air.csi.new_file import refuse_full_disk
from edgelam.air.csi.settings import ExportSettings
from edgelam.air.csi.table import Array, CsiSet
from edgelam.errors import ConfigurationError
from edgelam.files.storage import atomic_file, make_folder


def export_csi(settings: ExportSettings) -> list[Path]:
    """Write files as `settings` say and return them: each is whole, or it is not there.

    Raises ConfigurationError for recordings that do not fit the layout, EdgelamError for damaged ones, StorageError.
    """
    settings.check()
    recordings = [load(path) for path in settings.files]
    for path, data in zip(settings.files[1:], recordings[1:], strict=True):
        if data.csi.shape != recordings[0].csi.shape:
            raise ConfigurationError(
                f"{path} has the shape {data.csi.shape} and {settings.files[0]} {recordings[0].csi.shape}: each is a "
                "row of the same array"
            )
    total = 8 * sum(data.csi.size for data in recordings)
    make_folder(settings.out)
    if not settings.overwrite and (there := [path for path in _names(settings) if path.exists()]):
        raise ConfigurationError(f"{there[0]} is there already; --overwrite replaces it")
    refuse_full_disk(settings.out / "any", total)
    return _llm4cp(settings, recordings) if settings.layout == "llm4cp" else _one(settings, recordings)


def _names(settings: ExportSettings) -> list[Path]:
    """The files that a layout can have."""
    if settings.layout == "llm4cp":
        return [settings.out / f"{name}_{settings.part}.mat" for name in (UPLINK_PAST, UPLINK_FUTURE, DOWNLINK_FUTURE)]
    suffix = ".npy" if settings.layout == "deepmimo" else ".mat"
    return [settings.out / f"{LAYOUTS[settings.layout].variable}{suffix}"]


def _llm4cp(settings: ExportSettings, recordings: list[CsiSet]) -> list[Path]:
    snapshots, rx, tx, subcarriers = recordings[0].csi.shape[1:]
    past, future = settings.history, settings.horizon
    turned = rx != 1 and tx == 1  # the base station's array receives: the same channel seen from the other end
    if turned:
        rx, tx = tx, rx
    if rx != 1:
        raise ConfigurationError(f"llm4cp has one antenna at the user, and the recording {rx} x {tx} antennas")
    if past + future > snapshots:
        raise ConfigurationError(f"history {past} + horizon {future}: the recording has {snapshots} snapshots")
    if settings.tones > subcarriers:
        raise ConfigurationError(f"tones {settings.tones}: the recording has {subcarriers} subcarriers")
    end = "rx" if turned else "tx"
    array = recordings[0].info(0).get(end, {"polarisations": 1, "rows": 1, "columns": tx})
    rows, each = _rows(settings, recordings)
    cuts = {
        UPLINK_PAST: (slice(0, past), slice(0, settings.tones)),
        UPLINK_FUTURE: (slice(past, past + future), slice(0, settings.tones)),
    }
    if 2 * settings.tones <= subcarriers:
        cuts[DOWNLINK_FUTURE] = (slice(past, past + future), slice(subcarriers - settings.tones, subcarriers))
    written = []
    for name, (times, tones) in cuts.items():
        shape = (rows, each, times.stop - times.start, settings.tones, array["columns"], array["rows"],
                 array["polarisations"])  # fmt: skip
        whole, samples = _empty(shape, "llm4cp")
        for number in range(rows * each):
            csi = _sample(recordings, number)[times, ..., tones]
            samples.put(number, np.swapaxes(csi, 1, 2) if turned else csi)
        path = settings.out / f"{name}_{settings.part}.mat"
        written.append(_write(path, path.stem, whole))
    return written


def _one(settings: ExportSettings, recordings: list[CsiSet]) -> list[Path]:
    layout = LAYOUTS[settings.layout]
    lengths = dict(zip(OF_A_SAMPLE, recordings[0].csi.shape[1:], strict=True))
    lengths["sample"] = sum(map(len, recordings))
    whole, samples = _empty(tuple(lengths[axis] for axis in layout.axes), settings.layout)
    for number in range(lengths["sample"]):
        samples.put(number, _sample(recordings, number))
    return [_write(path, layout.variable, whole) for path in _names(settings)]


def _empty(shape: tuple[int, ...], layout: str) -> tuple[Array, Samples]:
    """Return an array in the order of its file, and the view of it with the layout's axes."""
    axes = LAYOUTS[layout].axes
    if layout == "deepmimo":
        whole = np.empty(shape, np.complex64)
        return whole, Samples(whole, axes, layout)
    whole = np.empty(shape[::-1], np.complex64)  # MATLAB 7.3: reversed
    return whole, Samples(whole.T, axes, layout)


def _rows(settings: ExportSettings, recordings: list[CsiSet]) -> tuple[int, int]:
    """Return rows and samples of each: a row for each file, or `rows` of one file."""
    if len(recordings) > 1:
        return len(recordings), len(recordings[0])
    count = len(recordings[0])
    rows = settings.rows or count // 10
    if rows < 1 or count % rows:
        raise ConfigurationError(
            f"the recording has {count} samples, which make no {rows} rows of the same length; give --rows a number "
            f"that divides {count}"
        )
    return rows, count // rows


def _sample(recordings: list[CsiSet], number: int) -> Array:
    return np.asarray(recordings[number // len(recordings[0])].csi[number % len(recordings[0])])


def _write(path: Path, variable: str, whole: Array) -> Path:
    with atomic_file(path) as file:
        if path.suffix == ".npy":
            np.save(file, whole)
        else:
            arrays.write_mat(file, {variable: whole})
    return path
