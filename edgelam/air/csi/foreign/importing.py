# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam csi import``: arrays of CSI in files of other programs become a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.air.csi.foreign import arrays
from edgelam.air.csi.foreign.axes import OF_A_SAMPLE, PART, Samples, joined_parts, parse
from edgelam.air.csi.foreign.layouts import LAYOUTS
from edgelam.air.csi.new_file import NewFile, refuse_full_disk
from edgelam.air.csi.npz import NpzWriter
from edgelam.air.csi.settings import ImportSettings
from edgelam.air.csi.table import Array
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.output.progress import Progress

LINK = "imported"
UPLINK_PAST, UPLINK_FUTURE, DOWNLINK_FUTURE = "H_U_his", "H_U_pre", "H_D_pre"


def import_csi(settings: ImportSettings, progress: Progress | None = None) -> int:
    """Make a recording as `settings` say; return the number of its samples.

    A sample without any power (a user whom no path reaches) is left out. Raises ConfigurationError and EdgelamError
    for files and options that do not fit, and for values that are not finite; then no file is made.
    """
    settings.check()
    parts = _llm4cp(settings.files) if settings.layout == "llm4cp" else _parts(settings)
    shape = parts.shape
    speeds = _speeds(settings, parts)
    refuse_full_disk(settings.out, 8 * len(parts) * int(np.prod(shape)))
    chosen = _with_power(parts, progress)
    with NewFile(settings.out, overwrite=settings.overwrite) as new:
        writer = NpzWriter(new, len(chosen), tuple(shape))
        try:
            if progress is not None:
                progress.begin("writing", len(chosen), "samples")
            for done, number in enumerate(chosen, 1):
                writer.write(parts.sample(number))
                if progress is not None:
                    progress.step(done)
            writer.finish(_tones(settings, shape[-1]), _columns(chosen, speeds), _metadata(settings, parts))
        except BaseException:
            writer.abandon()
            raise
        new.commit()
    return len(chosen)


class _Joined:
    """Parts with the same samples, put together along one axis; or one after the other."""

    def __init__(self, parts: Sequence[Samples], axis: str) -> None:
        self._parts, self._axis = parts, axis
        first = parts[0]
        free = OF_A_SAMPLE.index(axis) if axis != "sample" else -1
        for part in parts[1:]:
            same = all(a == b for at, (a, b) in enumerate(zip(part.shape, first.shape, strict=True)) if at != free)
            if not same or (axis != "sample" and len(part) != len(first)):
                raise ConfigurationError(
                    f"{part.source} has {_said(part)}, and {first.source} {_said(first)}: they do not fit together "
                    f"along {axis}"
                )
        self.shape = list(first.shape)
        if free >= 0:
            self.shape[free] = sum(part.shape[free] for part in parts)
        self._length = sum(map(len, parts)) if axis == "sample" else len(first)
        self.rows = len(parts) if axis == "sample" and len(parts) > 1 else first.rows

    def __len__(self) -> int:
        return self._length

    def sample(self, number: int) -> Array:
        if self._axis != "sample":
            return np.concatenate([p.sample(number) for p in self._parts], axis=OF_A_SAMPLE.index(self._axis))
        for part in self._parts:
            if number < len(part):
                return part.sample(number)
            number -= len(part)
        raise IndexError(number)


class _TwoBands:
    """Uplink in the lower half of the subcarriers, downlink in the upper half, which is known of the future only."""

    def __init__(self, uplink: _Joined, downlink: Samples) -> None:
        snapshots, rx, tx, tones = uplink.shape
        if len(downlink) != len(uplink) or downlink.shape[1:] != (rx, tx, tones) or downlink.shape[0] > snapshots:
            raise ConfigurationError(
                f"{downlink.source} has {_said(downlink)}, which do not fit {len(uplink)} uplink samples of "
                f"{tuple(uplink.shape)}"
            )
        self._uplink, self._downlink = uplink, downlink
        self.shape, self.rows = [snapshots, rx, tx, 2 * tones], uplink.rows

    def __len__(self) -> int:
        return len(self._uplink)

    def sample(self, number: int) -> Array:
        csi = np.full(self.shape, np.nan, np.complex64)
        tones = self.shape[-1] // 2
        csi[..., :tones] = self._uplink.sample(number)
        future = self._downlink.sample(number)
        csi[len(csi) - len(future) :, ..., tones:] = future
        return csi


def _llm4cp(files: Sequence[Path]) -> _Joined | _TwoBands:
    """The variables of LLM4CP's data set, wherever they are: the past, and the future of uplink, downlink or both."""
    found: dict[str, Samples] = {}
    axes = LAYOUTS["llm4cp"].axes
    for path in files:
        for name, array in arrays.read(path).items():
            kind = next((k for k in (UPLINK_PAST, UPLINK_FUTURE, DOWNLINK_FUTURE) if name.startswith(k)), "")
            if kind in found:
                raise ConfigurationError(f"{path}: {name} is there a second time; {found[kind].source} has it already")
            if kind:
                found[kind] = _samples(array, axes, path, name)
    if UPLINK_PAST not in found or UPLINK_FUTURE not in found:
        raise ConfigurationError(
            f"the files have {', '.join(found) or 'no variables of LLM4CP'}; {UPLINK_PAST}_... and {UPLINK_FUTURE}_... "
            f"are needed, {DOWNLINK_FUTURE}_... beside them for FDD"
        )
    uplink = _Joined([found[UPLINK_PAST], found[UPLINK_FUTURE]], "time")
    return _TwoBands(uplink, found[DOWNLINK_FUTURE]) if DOWNLINK_FUTURE in found else uplink


def _parts(settings: ImportSettings) -> _Joined:
    layout = LAYOUTS.get(settings.layout)
    axes = parse(settings.axes) if layout is None else layout.axes
    joined = settings.join or ("time" if layout is None else layout.joined)
    found = []
    for path in settings.files:
        array = _choose(arrays.read(path), settings.variable, path)
        mine = axes
        if layout is not None and array.ndim == len(axes) - len(layout.left_out):
            mine = tuple(axis for axis in axes if axis not in layout.left_out)
        found.append(_samples(array, mine, path))
    return _Joined(found, joined)


def _samples(array: Array, axes: Sequence[str], path: Path, name: str = "") -> Samples:
    """MATLAB drops dimensions of length 1 at the end: they are put back."""
    source = f"{path}: {name}" if name else str(path)
    if path.suffix == ".mat" and array.ndim < len(axes):
        array = array.reshape(array.shape + (1,) * (len(axes) - array.ndim))
    if PART in axes:
        array, axes = joined_parts(array, axes, source)
    if array.dtype.kind != "c":
        raise ConfigurationError(
            f"{source} has real values of the shape {array.shape}, and CSI is complex; --layout axes reads real and "
            f"imaginary parts that are an axis of length 2, called {PART} in --axes"
        )
    return Samples(array, axes, source)


def _said(samples: Samples) -> str:
    return f"{len(samples)} samples of {' x '.join(map(str, samples.shape))} ({', '.join(OF_A_SAMPLE)})"


def _choose(found: dict[str, Array], variable: str, path: Path) -> Array:
    if variable:
        if variable not in found:
            raise ConfigurationError(f"{path} has no array {variable!r}; it has {', '.join(found) or 'none'}")
        return found[variable]
    large = {name: array for name, array in found.items() if array.dtype.kind == "c"}
    large = large or {name: array for name, array in found.items() if array.ndim > 2}
    if not large:
        raise ConfigurationError(
            f"{path} has no array that can be CSI; what is in cells, structs or objects (such as DeepMIMO_dataset of "
            "MATLAB) is not read: save the array itself"
        )
    if len(large) > 1:
        raise ConfigurationError(
            f"{path} has {len(large)} arrays that can be CSI: {', '.join(large)}; --variable names one"
        )
    return next(iter(large.values()))


def _with_power(parts: _Joined | _TwoBands, progress: Progress | None) -> list[int]:
    """Return the numbers of samples with power. Raises ConfigurationError for values that are not finite."""
    kept = []
    if progress is not None:
        progress.begin("reading", len(parts), "samples")
    for number in range(len(parts)):
        csi = parts.sample(number)
        known = csi[..., : csi.shape[-1] // 2] if isinstance(parts, _TwoBands) else csi
        power = float(np.vdot(known, known).real)
        if not np.isfinite(power):
            raise ConfigurationError(f"sample {number} has values that are not finite in single precision")
        if power > 0:
            kept.append(number)
        if progress is not None:
            progress.step(number + 1)
    if not kept:
        raise ConfigurationError("no sample has any power in single precision")
    if progress is not None and len(kept) < len(parts):
        progress.say(f"{len(parts) - len(kept)} of {len(parts)} samples have no power and are left out")
    return kept


def _speeds(settings: ImportSettings, parts: _Joined | _TwoBands) -> Array | None:
    """Return m/s [sample], or None: the rows of the samples' axis have speeds that are equally far apart."""
    if not settings.speeds_kmh:
        return None
    low, high = settings.speeds_kmh
    if len(parts) % parts.rows:
        raise ConfigurationError(f"--speeds-kmh: {len(parts)} samples are no whole number in each of {parts.rows} rows")
    if parts.rows == 1 and low != high:
        raise ConfigurationError(f"--speeds-kmh {low:g} {high:g}: all samples are in one row, which has one speed")
    return np.repeat(np.linspace(low, high, parts.rows), len(parts) // parts.rows) / 3.6


def _columns(kept: list[int], speeds: Array | None) -> dict[str, Array]:
    columns: dict[str, Array] = {"link": np.full(len(kept), LINK), "number": np.array(kept)}
    if speeds is not None:
        columns["speed_mps"] = speeds[kept]
    return columns


def _tones(settings: ImportSettings, count: int) -> Array:
    return (np.arange(count) - (count - 1) / 2) * settings.spacing_hz


def _metadata(settings: ImportSettings, parts: Any) -> dict[str, Any]:
    snapshots, rx, tx, _ = parts.shape
    ends = {"rx": _array(rx), "tx": _array(tx)}
    if settings.layout == "llm4cp" and tx % 2 == 0:
        side = int((tx // 2) ** 0.5)
        if side * side * 2 == tx:
            ends["tx"] = _array(tx, polarisations=2, rows=side, columns=side)
    return {
        "scenario": "imported",
        "options": {"layout": settings.layout, "files": [path.name for path in settings.files]},
        "seed": 0,
        "pilot_snr_db": None,
        "block_s": snapshots * settings.period_s,
        "axes": ["sample", *OF_A_SAMPLE],
        "links": {LINK: {"carrier_hz": settings.carrier_hz, "snapshot_period_s": settings.period_s, **ends}},
    }


def _array(count: int, *, polarisations: int = 1, rows: int = 1, columns: int = 0) -> dict[str, Any]:
    """Facts about an array; where its shape is not known its elements are in a row, and their spacing is not known."""
    known = columns > 0
    return {"rows": rows, "columns": columns or count, "polarisations": polarisations,
            "horizontal_spacing": 0.5 if known else None, "vertical_spacing": 0.5 if known else None}  # fmt: skip
