# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam csi show``: prints what a recording holds, and draws one sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.air.csi import spectra
from edgelam.air.csi.files import load
from edgelam.air.csi.settings import ShowSettings
from edgelam.air.csi.table import CsiSet
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

RANGE_DB = 40.0  # shown below the strongest


def show(settings: ShowSettings, console: Console) -> list[Path]:
    """Print the contents of a recording and draw one sample. Returns the figure's files."""
    settings.check()
    data = load(settings.file)
    if not -len(data) <= settings.sample < len(data):
        raise ConfigurationError(
            f"--sample {settings.sample}: {settings.file} has samples 0 to {len(data) - 1} (negative: from the end)"
        )
    sample = settings.sample % len(data)
    _print(data, sample, console)
    out = settings.out or settings.file.with_name(f"{settings.file.stem}-sample-{sample}")
    if out.suffix in (".svg", ".png"):
        out = out.with_suffix("")
    draw(data, sample, out)
    files = [Path(f"{out}{suffix}") for suffix in (".svg", ".png")]
    for file in files:
        console.print(f"figure: {file}", markup=False, highlight=False, soft_wrap=True)
    return files


def draw(data: CsiSet, sample: int, path: Path) -> None:
    """Draw four panels of one sample, as ``path.svg`` and ``path.png``. Raises StorageError."""
    from edgelam.output.figures import PAGE_IN, figure

    csi = np.asarray(data.csi[sample])
    known = np.isfinite(csi).all(axis=(0, 1, 2))  # an imported downlink lacks its past
    csi, tones_hz = csi[..., known], None if data.tones_hz is None else data.tones_hz[known]
    info = data.info(sample)
    period_s = info.get("snapshot_period_s", data.metadata["block_s"] / csi.shape[0])
    with figure(path, width_in=PAGE_IN, height_in=4.6, rows=2, columns=2) as (_, axes):
        _draw_time_frequency(axes[0], csi, tones_hz, period_s)
        _draw_delay(axes[1], csi, tones_hz)
        _draw_angle(axes[2], csi, info)
        _draw_doppler(axes[3], csi, period_s, data, sample)


def _print(data: CsiSet, sample: int, console: Console) -> None:
    _, snapshots, rx, tx, tones = data.csi.shape
    meta, info = data.metadata, data.info(sample)
    lines = [
        f"{len(data)} samples of {snapshots} snapshots, {rx} receiving x {tx} transmitting antennas, "
        f"{tones} subcarriers",
        f"scenario {meta['scenario']}, seed {meta['seed']}, options {meta['options'] or 'as they come'}, "
        + ("no pilot noise" if meta["pilot_snr_db"] is None else f"pilot noise at {meta['pilot_snr_db']:g} dB"),
    ]
    if info:
        lines.append(
            f"carrier {info['carrier_hz'] / 1e9:g} GHz, a snapshot every {info['snapshot_period_s'] * 1e3:g} ms"
        )
    facts = [f"sample {sample}: link {data.columns['link'][sample]}"]
    for name, unit, scale in (("time_s", "s", 1.0), ("speed_mps", "km/h", 3.6), ("distance_3d_m", "m", 1.0),
                              ("los", "", 1.0), ("mean_gain_db", "dB", 1.0), ("snr_db", "dB", 1.0)):  # fmt: skip
        if name in data.columns:
            label = name.rpartition("_")[0] if unit else name
            facts.append(f"{label} {data.columns[name][sample] * scale:.4g} {unit}".rstrip())
    lines.append(", ".join(facts))
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _draw_time_frequency(axes: Axes, csi: Any, tones: Any, period_s: float) -> None:
    power = spectra.decibels(np.abs(csi[:, 0, 0, :]) ** 2)
    times_ms = np.arange(len(power)) * period_s * 1e3
    frequencies = np.arange(power.shape[1], dtype=float) if tones is None else tones / 1e6
    x, y = _edges(times_ms, period_s * 1e3), _edges(frequencies, 0.1)
    mesh = axes.pcolormesh(x, y, power.T, cmap="viridis", vmin=power.max() - RANGE_DB, rasterized=True)
    _bar(axes, mesh, "$|H|^2$ in dB of the largest")
    axes.set(xlabel="time in ms", title="first pair of antennas")
    axes.set_ylabel("subcarrier" if tones is None else "frequency from the carrier in MHz")
    axes.grid(visible=False)


def _draw_delay(axes: Axes, csi: Any, tones: Any) -> None:
    axes.set(xlabel="delay in µs", ylabel="power in dB of the largest", title="delay spectrum")
    if tones is None or len(tones) < 2:
        reason = "unknown frequencies" if tones is None else "one subcarrier"
        axes.text(0.5, 0.5, f"{reason}: no delays", transform=axes.transAxes, ha="center")
        return
    delays_s, power = spectra.delay_spectrum(csi, tones)
    axes.plot(delays_s * 1e6, spectra.decibels(power), color="#0072B2")
    axes.set_ylim(-RANGE_DB, 2)
    axes.set_xlim(delays_s[0] * 1e6, delays_s[-1] * 1e6)


def _draw_angle(axes: Axes, csi: Any, info: Any) -> None:
    axes.set(xlabel="horizontal direction cosine", ylabel="vertical direction cosine")
    axes.set_title("angle spectrum of the larger array")
    spectrum = spectra.angle_spectrum(csi, info)
    if spectrum is None:
        axes.text(0.5, 0.5, "no planar array of several elements", transform=axes.transAxes, ha="center")
        return
    horizontal, vertical, power, end = spectrum
    axes.set_title(f"angle spectrum of the {'receiving' if end == 'rx' else 'transmitting'} array")
    level = spectra.decibels(power)
    mesh = axes.pcolormesh(horizontal, vertical, level, cmap="viridis", vmin=-RANGE_DB / 2, rasterized=True)
    _bar(axes, mesh, "power in dB of the largest")
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color="white", linewidth=0.6)  # real directions lie inside
    axes.set_aspect("equal")
    axes.grid(visible=False)


def _draw_doppler(axes: Axes, csi: Any, period_s: float, data: CsiSet, sample: int) -> None:
    axes.set(xlabel="Doppler shift in Hz", ylabel="power in dB of the largest", title="Doppler spectrum")
    if len(csi) < 2:
        axes.text(0.5, 0.5, "one snapshot: no Doppler shifts", transform=axes.transAxes, ha="center")
        return
    shifts_hz, power = spectra.doppler_spectrum(csi, period_s)
    axes.plot(shifts_hz, spectra.decibels(power), color="#0072B2")
    axes.set_ylim(-RANGE_DB, 2)
    info = data.info(sample)
    if info and "speed_mps" in data.columns:
        largest = float(data.columns["speed_mps"][sample]) / 299_792_458 * info["carrier_hz"]
        for shift in (-largest, largest):
            axes.axvline(shift, color="#D55E00", linestyle="--", linewidth=0.8)
        axes.text(0.98, 0.93, "dashed: speed / wavelength", transform=axes.transAxes, ha="right", fontsize=7)


def _bar(axes: Axes, mesh: Any, label: str) -> None:
    assert axes.figure is not None
    axes.figure.colorbar(mesh, ax=axes).set_label(label)


def _edges(centres: Any, width: float) -> Any:
    """The borders of cells around equally spaced centres."""
    step = centres[1] - centres[0] if len(centres) > 1 else width
    return np.append(centres - step / 2, centres[-1] + step / 2)
