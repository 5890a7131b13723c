# SPDX-License-Identifier: GPL-2.0-only
"""The simplest channel prediction: the last snapshot is held. Its error is measured, and given in closed form.

The setting is that of LLM4CP (arXiv 2406.14440), TDD: the first 16 of 20 snapshots are known, and the next 4 are
predicted, on the lower half of the band; history and target have noise. With Y the noisy CSI, the error of a sample is

    sum_h |Y(15) - Y(15 + h)|^2 / sum_h |Y(15 + h)|^2,   h = 1..4, over all antennas and tones.

Closed form: a drop of rays with powers p_r and Doppler shifts nu_r has rho(tau) = sum_r p_r exp(j 2 pi nu_r tau) /
sum_r p_r, and so E|H(t + tau) - H(t)|^2 = 2 (1 - Re rho(tau)) E|H|^2. With noise of s = 10^(-snr/10) times the power on
both:

    (mean over h of 2 (1 - Re rho(h T)) + 2 s) / (1 + s)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.air.csi.noise import add_pilot_noise
from edgelam.air.csi.sampling import Sample, sample_csi
from edgelam.air.csi.settings import HoldLastSettings
from edgelam.air.csi.table import Array
from edgelam.errors import ConfigurationError
from edgelam.output.terminal import TextTable
from edgelam.random_streams import derive_seed
from edgelam.text import parse_pairs

if TYPE_CHECKING:
    from rich.console import Console

    from edgelam.output.progress import Progress

HISTORY, HORIZON, TONES = 16, 4, 48
PUBLISHED = {10.0: 0.066, 30.0: 0.259, 50.0: 0.593, 70.0: 1.02, 100.0: 1.67}
"""LLM4CP's "no prediction", TDD, for each speed in km/h; read from its figure, +-3 %."""


def prediction_error(
    csi: Array, history: int = HISTORY, horizon: int = HORIZON, tones: int = TONES, *, axis: str = "sample"
) -> Array:
    """Normalised squared error of holding the last of `history` snapshots for the next `horizon`, on the first `tones`.

    csi: complex64 [..., time, rx, tx, subcarrier]. Returns float64 [...], or with ``axis="antenna"`` [..., rx, tx]:
    each pair of antennas is normalised by itself, which gives more, since a faded antenna has little power.
    """
    if axis not in ("sample", "antenna"):
        raise ConfigurationError(f"axis = {axis!r}: legal are 'sample', 'antenna'")
    snapshots, subcarriers = csi.shape[-4], csi.shape[-1]
    if history < 1 or horizon < 1 or history + horizon > snapshots or not 1 <= tones <= subcarriers:
        raise ConfigurationError(
            f"history {history}, horizon {horizon}, {tones} tones: the CSI has {snapshots} snapshots of {subcarriers} "
            "tones"
        )
    last = csi[..., history - 1 : history, :, :, :tones]
    target = csi[..., history : history + horizon, :, :, :tones]
    over = (-4, -1) if axis == "antenna" else (-4, -3, -2, -1)
    error = np.sum(np.abs(target - last) ** 2, axis=over, dtype=np.float64)
    return np.asarray(error / np.sum(np.abs(target) ** 2, axis=over, dtype=np.float64))


def closed_form(
    gain: Array, doppler_hz: Array, period_s: float, snr_db: float | None = None, horizon: int = HORIZON
) -> float:
    """Return the error expected of one drop: rays with powers `gain` and shifts `doppler_hz`, both float64 [ray]."""
    weight = np.asarray(gain, np.float64) / np.sum(gain, dtype=np.float64)
    noise = 0.0 if snr_db is None else 10 ** (-snr_db / 10)
    delays_s = period_s * np.arange(1, horizon + 1)
    rho = np.cos(2 * np.pi * np.multiply.outer(delays_s, np.asarray(doppler_hz, np.float64))) @ weight
    return float((np.mean(2 * (1 - rho)) + 2 * noise) / (1 + noise))


def hold_last_at(settings: HoldLastSettings, speed_kmh: float, progress: Progress | None = None) -> dict[str, Any]:
    """Return all figures for one speed: measured (per sample, per antenna), standard error, closed form, published."""
    options = parse_pairs(settings.set, "--set")
    fixed = {"minSpeed": speed_kmh, "maxSpeed": speed_kmh, "rays": True}
    if twice := fixed.keys() & options.keys():
        raise ConfigurationError(f"--set {', '.join(sorted(twice))}: hold-last sets this itself; see --speeds-kmh")
    seed = derive_seed(settings.seed, "csi pilot noise")
    errors: list[float] = []
    by_antenna: list[float] = []
    expected: list[float] = []

    def take(sample: Sample) -> None:
        if sample.rays is None or not sample.link.info:
            raise ConfigurationError(f"scenario {settings.scenario!r} publishes no rays/{sample.link.name}")
        noisy = add_pilot_noise(sample.csi, settings.snr_db, seed, len(errors))
        errors.append(float(prediction_error(noisy)))
        by_antenna.append(float(prediction_error(noisy, axis="antenna").mean()))
        period_s = sample.link.info["snapshot_period_s"]
        expected.append(closed_form(sample.rays["gain"], sample.rays["doppler_hz"], period_s, settings.snr_db))
        if progress is not None:
            progress.step(len(errors), error=float(np.mean(errors)))

    if progress is not None:
        progress.begin(f"{speed_kmh:g} km/h", settings.samples, "samples")
    sample_csi(settings.scenario, settings.samples, take, options={**options, **fixed}, seed=settings.seed)
    return {
        "speed_kmh": speed_kmh,
        "samples": settings.samples,
        "measured": float(np.mean(errors)),
        "standard_error": float(np.std(errors) / np.sqrt(len(errors))),
        "closed_form": float(np.mean(expected)),
        "measured_per_antenna": float(np.mean(by_antenna)),
        "published": PUBLISHED.get(speed_kmh),
    }


def hold_last(settings: HoldLastSettings, console: Console, progress: Progress | None = None) -> list[dict[str, Any]]:
    """``edgelam csi hold-last``: measure at each speed, print a table or JSON, return the rows."""
    settings.check()
    rows = [hold_last_at(settings, speed, progress) for speed in settings.speeds_kmh]
    if settings.json:
        print(json.dumps({"snr_db": settings.snr_db, "seed": settings.seed, "speeds": rows}))
        return rows
    title = f"Error of holding the last snapshot, {settings.samples} samples per speed, {settings.snr_db:g} dB"
    heads = ("km/h", "measured", "closed form", "difference", "per antenna", "published")
    table = TextTable(title, *heads, left=0)
    for row in rows:
        difference = row["measured"] / row["closed_form"] - 1
        published = "" if row["published"] is None else f"{row['published']:.3f}"
        table.add_row(
            f"{row['speed_kmh']:g}",
            f"{row['measured']:.4f} +- {row['standard_error']:.4f}",
            f"{row['closed_form']:.4f}",
            f"{difference:+.1%}",
            f"{row['measured_per_antenna']:.4f}",
            published,
        )
    table.print(console)
    console.print(
        "measured: per sample, over all antennas; per antenna: each pair of antennas normalised by itself; published: "
        "LLM4CP, read off its figure (+-3 %)",
        highlight=False,
    )
    return rows
