# SPDX-License-Identifier: GPL-2.0-only
"""The options of ``edgelam csi record``, ``show`` and ``hold-last``. Imports nothing heavy."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from edgelam.errors import ConfigurationError

SUFFIXES = (".npz", ".parquet", ".arrow")


@dataclass(frozen=True)
class RecordSettings:
    """Record the CSI of a scenario's links to a file."""

    out: Path
    """The file: FILE.npz (NumPy), FILE.parquet or FILE.arrow (Arrow IPC). It appears only when it is complete."""
    scenario: str = "csi"
    """An installed scenario (edgelam list), or the path of a program; it must publish observables csi/NAME."""
    samples: int = 9000
    """Number of CSI blocks to record over all links together, in the order of blocks, and within a block of links."""
    snr_db: float | None = None
    """Add complex Gaussian pilot noise of 10^(-snr/10) times each sample's mean power; None: no noise."""
    set: tuple[str, ...] = ()
    """Options of the scenario, as NAME=VALUE (its --help lists them)."""
    links: tuple[str, ...] = ("*",)
    """Links to record, as names or patterns: ue0, ue*."""
    seed: int = 1
    """Seed of the scenario and of the noise, 1 to 2147483647. The same seed gives the same arrays, byte for byte."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace the file if it exists."""

    def check(self) -> None:
        """Raise ConfigurationError for a value that is not legal."""
        check_suffix(f"--out {self.out}", self.out)
        if self.samples < 1:
            raise ConfigurationError(f"--samples {self.samples}: legal are whole numbers from 1")
        check_snr(self.snr_db)
        if not self.links:
            raise ConfigurationError("--links names no link; '*' is all of them")
        if self.out.is_dir():
            raise ConfigurationError(f"--out {self.out} is a folder; give a file in it")
        check_folder("--out", self.out)
        if self.out.exists() and not self.overwrite:
            raise ConfigurationError(f"--out {self.out} is there already; --overwrite replaces it")


@dataclass(frozen=True)
class ShowSettings:
    """Draw a recorded sample (|H|, and delay, angle and Doppler spectra) and print what the file contains."""

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """A file that edgelam csi record has written."""
    sample: int = 0
    """Number of the sample to draw, from 0; a negative number counts from the end."""
    out: Path | None = None
    """The figure, written as .svg and .png; None: FILE-sample-K beside the file."""

    def check(self) -> None:
        """Raise ConfigurationError for a value that is not legal."""
        if self.out is not None:
            check_folder("--out", self.out)


@dataclass(frozen=True)
class HoldLastSettings:
    """Measure the error of the simplest channel prediction, holding the last snapshot, and its closed form."""

    samples: int = 500
    """Number of samples for each speed."""
    speeds_kmh: tuple[float, ...] = (10.0, 30.0, 50.0, 70.0, 100.0)
    """Speeds of the users, km/h."""
    snr_db: float = 18.0
    """Pilot noise on history and target, dB below each sample's mean power."""
    scenario: str = "csi"
    """A scenario that publishes csi/NAME and rays/NAME and has options minSpeed, maxSpeed and rays."""
    set: tuple[str, ...] = ()
    """More options of the scenario, as NAME=VALUE."""
    seed: int = 1
    """Seed of the scenario and of the noise."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON instead of a table."""

    def check(self) -> None:
        """Raise ConfigurationError for a value that is not legal."""
        if self.samples < 1:
            raise ConfigurationError(f"--samples {self.samples}: legal are whole numbers from 1")
        if not self.speeds_kmh or not all(math.isfinite(v) and v >= 0 for v in self.speeds_kmh):
            raise ConfigurationError(f"--speeds-kmh {self.speeds_kmh}: legal are speeds from 0, at least one")
        check_snr(self.snr_db)


def check_snr(snr_db: float | None) -> None:
    """Raise ConfigurationError unless it is a number that a noise power can be made of."""
    if snr_db is not None and not -200 <= snr_db <= 200:  # NaN too
        raise ConfigurationError(f"--snr-db {snr_db}: legal are -200 to 200 dB")


def check_folder(option: str, path: Path) -> None:
    """Raise ConfigurationError unless the folder that the file will be in is there."""
    if not path.parent.is_dir():
        raise ConfigurationError(f"{option} {path}: there is no folder {path.parent}")


def check_suffix(what: str, path: Path) -> None:
    """Raise ConfigurationError unless the file's name says which of the formats it is."""
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(f"{what}: the name of a recording ends in one of {', '.join(SUFFIXES)}")
