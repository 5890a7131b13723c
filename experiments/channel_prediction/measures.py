# SPDX-License-Identifier: GPL-2.0-only
"""How LLM4CP's code measures errors, beside how we do, on the same samples of scenario csi.

    ours      each sample has noise 18 dB below its own power, on the past only; mean over samples of error over power
    together  all samples have the same noise, 18 dB below the mean power of the test set, on past and future; the error
              of 64 samples over their power, mean over these batches. LLM4CP: the learned models, and no prediction
    apart     the same noise; mean over samples of error over power. LLM4CP: Prony's method (PAD)

Read in github.com/liuboxun/LLM4CP (test_tdd_full.py, metrics.py, data.py). Samples differ in power by their path loss
and shadowing. So with the noise of LLM4CP weak samples are mostly noise; they hardly count together, and as much as all
others apart. `python -m edgelam.experiments.channel_prediction.measures FILE.csv` writes the table of README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import tyro

from edgelam.air import csi, prediction
from edgelam.air.prediction import Predictor, WindowSettings
from edgelam.files.storage import write_atomically
from edgelam.random_streams import derive_seed, from_numbers

from .published import SPEEDS_KMH

BATCH = 64  # samples whose error is measured together
METHODS = ("hold-last", "prony")


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    out: Annotated[Path, tyro.conf.Positional]
    """The table."""
    speeds_kmh: tuple[float, ...] = SPEEDS_KMH
    """Speeds of the users."""
    seeds: int = 5
    """Number of seeds, from 1 on."""
    samples: int = 128
    """Samples for each speed and seed, of one antenna."""
    snr_db: float = 18.0
    """Of the noise."""


def measure(
    samples: np.ndarray, predictor: Predictor, snr_db: float, window: WindowSettings, seed: int
) -> dict[str, float]:
    """Return ours, together and apart. samples: complex [sample, time, antenna, tone], as received, without noise."""
    power = np.mean(np.abs(samples) ** 2, axis=(1, 2, 3), keepdims=True)
    own = _errors(samples, predictor, power / 10 ** (snr_db / 10), window, from_numbers(seed), noisy_target=False)
    same = np.full_like(power, power.mean() / 10 ** (snr_db / 10))
    errors, powers = _errors(samples, predictor, same, window, from_numbers(seed), noisy_target=True)
    batches = [slice(begin, begin + BATCH) for begin in range(0, len(samples), BATCH)]
    return {
        "ours": float(np.mean(own[0] / own[1])),
        "together": float(np.mean([errors[batch].sum() / powers[batch].sum() for batch in batches])),
        "apart": float(np.mean(errors / powers)),
    }


def _errors(
    samples: np.ndarray, predictor: Predictor, noise: np.ndarray, window: WindowSettings, rng: np.random.Generator, *,
    noisy_target: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return error and power of each sample's future [sample]; noise: its power, broadcast to `samples`."""
    drawn = rng.normal(size=samples.shape) + 1j * rng.normal(size=samples.shape)
    noisy = samples + np.sqrt(noise / 2) * drawn
    scale = np.sqrt(np.mean(np.abs(noisy[:, : window.history]) ** 2, axis=(1, 2, 3), keepdims=True))
    past = (noisy[:, : window.history] / scale).transpose(0, 2, 1, 3)
    with torch.no_grad():
        said = predictor(torch.from_numpy(past.astype(np.complex64))).numpy().transpose(0, 2, 1, 3) * scale
    target = (noisy if noisy_target else samples)[:, window.history : window.history + window.horizon]
    return np.sum(np.abs(said - target) ** 2, axis=(1, 2, 3)), np.sum(np.abs(target) ** 2, axis=(1, 2, 3))


def draw(speed_kmh: float, count: int, window: WindowSettings, seed: int) -> np.ndarray:
    """Return samples of scenario csi at one speed, [sample, time, antenna, tone], of the known band, as received."""
    found: list[np.ndarray] = []
    options = {"gnbRows": 1, "gnbColumns": 1, "minSpeed": speed_kmh, "maxSpeed": speed_kmh}

    def take(sample: csi.Sample) -> None:
        found.append(sample.csi[:, 0, :, : window.tones].astype(np.complex128))

    csi.sample_csi("csi", count, take, options=options, seed=derive_seed(seed, f"{speed_kmh:g} km/h") % 2**31 or 1)
    return np.stack(found)


def main(settings: Settings) -> None:
    """Write the table: one row for each speed, seed and method."""
    window = WindowSettings()
    rows = []
    for speed in settings.speeds_kmh:
        for seed in range(1, settings.seeds + 1):
            samples = draw(speed, settings.samples, window, seed)
            for name in METHODS:
                found = measure(samples, prediction.make(name, window), settings.snr_db, window, seed)
                rows.append({"speed_kmh": speed, "seed": seed, "method": name} | found)
    write_atomically(settings.out, pd.DataFrame(rows).to_csv(index=False, float_format="%.4g").encode())


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
