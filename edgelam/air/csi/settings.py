# SPDX-License-Identifier: GPL-2.0-only
"""The options of ``edgelam csi record``, ``show``, ``hold-last``, ``import`` and ``export``. Imports nothing heavy."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

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


@dataclass(frozen=True)
class ImportSettings:
    """Make a recording of CSI in files of other programs: data sets for LLM4CP, QuaDRiGa and DeepMIMO, any array."""

    files: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")]
    """Files .mat (MATLAB 5 to 7.3), .npy or .npz. Several are put together along one axis."""
    out: Path
    """The recording, FILE.npz. It appears only when it is complete."""
    carrier_hz: float
    """Carrier frequency, Hz."""
    spacing_hz: float
    """Distance of two subcarriers, Hz; they lie around the carrier."""
    period_s: float
    """Time between two snapshots, s."""
    layout: Literal["llm4cp", "quadriga", "deepmimo", "axes"] = "llm4cp"
    """How the axes lie. llm4cp: variables H_U_his, H_U_pre and, for FDD, H_D_pre, [row, sample, time, subcarrier,
    antenna's column, antenna's row, polarisation]; quadriga: [rx, tx, subcarrier, time] (qd_channel.fr), with a fifth
    axis for samples; deepmimo: [sample, rx, tx, subcarrier], each file one snapshot, or [sample, rx, tx, subcarrier,
    time]; axes: as --axes says."""
    axes: str = ""
    """The array's axes in order, in layout axes: of "sample time rx tx subcarrier". An axis in parts has numbers, the
    slowest first: "sample1 sample2 time subcarrier tx3 tx2 tx1" is llm4cp. An axis part of length 2 has real and
    imaginary parts."""
    variable: str = ""
    """Which array of a file, if it has several that can be CSI."""
    join: Literal["", "time", "sample", "tx", "rx", "subcarrier"] = ""
    """Along which axis several files are put together. Empty: sample in layout quadriga, otherwise time."""
    speeds_kmh: tuple[float, float] | None = None
    """Speeds of the first and of the last row (llm4cp), or file (join sample); those between are equally far apart."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace the recording if it exists."""

    def check(self) -> None:
        """Raise ConfigurationError for a value that is not legal."""
        if not self.files:
            raise ConfigurationError("no files are named")
        if self.out.suffix != ".npz":
            raise ConfigurationError(f"--out {self.out}: an imported recording ends in .npz")
        check_folder("--out", self.out)
        for name in ("carrier_hz", "spacing_hz", "period_s"):
            if not 0 < getattr(self, name) < math.inf:
                option = name.replace("_", "-")
                raise ConfigurationError(f"--{option} {getattr(self, name)}: legal are finite numbers above 0")
        if (self.layout == "axes") != bool(self.axes):
            raise ConfigurationError(
                f"--axes {self.axes!r} with --layout {self.layout}: layout axes needs it, others have their own"
            )
        if self.layout == "llm4cp" and (self.join or self.variable):
            raise ConfigurationError("--layout llm4cp knows its variables: --join and --variable are for other layouts")
        if self.speeds_kmh and not all(0 <= speed <= 1000 for speed in self.speeds_kmh):
            raise ConfigurationError(f"--speeds-kmh {self.speeds_kmh}: legal are 0 to 1000")


@dataclass(frozen=True)
class ExportSettings:
    """Write recordings as files that programs for other data sets read."""

    files: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")]
    """Recordings of the same shape. In llm4cp, each of several is a row (a speed)."""
    out: Path
    """The folder of the files."""
    layout: Literal["llm4cp", "quadriga", "deepmimo"] = "llm4cp"
    """llm4cp: H_U_his_PART.mat, H_U_pre_PART.mat and, with enough subcarriers, H_D_pre_PART.mat; quadriga: H.mat, [rx,
    tx, subcarrier, time, sample]; deepmimo: channel.npy, [sample, rx, tx, subcarrier, time]."""
    part: Literal["train", "test"] = "train"
    """llm4cp: what the variables are for."""
    rows: int = 0
    """llm4cp: rows into which the samples of one recording are put in order; 0: a tenth of the samples."""
    history: int = 16
    """llm4cp: snapshots of the past."""
    horizon: int = 4
    """llm4cp: snapshots of the future."""
    tones: int = 48
    """llm4cp: subcarriers, the first ones for uplink and the last ones for downlink."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace files that exist."""

    def check(self) -> None:
        """Raise ConfigurationError for a value that is not legal."""
        if not self.files:
            raise ConfigurationError("no recordings are named")
        for name, least in (("rows", 0), ("history", 1), ("horizon", 1), ("tones", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"--{name} {getattr(self, name)}: legal are whole numbers from {least}")


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
