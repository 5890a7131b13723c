# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of radio-validation and its recipes."""

import dataclasses
from typing import Literal, get_args

from edgelam.errors import ConfigurationError, EdgelamError

Case = Literal[
    "bler", "peak", "delay", "distance", "schedulers", "rlc", "tcp", "geometry", "evaluations", "large_scale",
    "interference", "precoders", "dense_urban",
]  # fmt: skip
ALL_CASES: tuple[Case, ...] = get_args(Case)
CASES: tuple[Case, ...] = tuple(case for case in ALL_CASES if case != "dense_urban")
"""Those that end in minutes."""

Evaluation = Literal[
    "urllc_4ghz", "urllc_4ghz_b", "urllc_700mhz", "mmtc_500m", "mmtc_1732m", "rural_700mhz", "rural_4ghz",
    "rural_lmlc", "hotspot_12", "hotspot_12_b", "hotspot_36", "dense_urban_4ghz",
]  # fmt: skip
"""Evaluations of RP-180524; evaluations.py has their options."""
ALL_EVALUATIONS: tuple[Evaluation, ...] = get_args(Evaluation)

Csi = Literal["band", "subband", "etype2"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of radio-validation. The defaults are the quick recipe."""

    seed: int = 1
    """Root of every random stream. 1 to 1000000."""
    cases: tuple[Case, ...] = CASES
    """The cases to measure."""
    processes: int = 2
    """Number of simulations that run at the same time, at least 1."""

    peak_seconds: float = 0.4
    """Simulated time for each peak rate, s."""
    arrivals: int = 20
    """Delay: number of arrivals in each slot of the pattern."""
    street_distances: tuple[float, ...] = (20, 50, 100, 200, 400, 800)
    """UMi: distances on the ground, m."""
    hall_distances: tuple[float, ...] = (5, 10, 20, 40, 70, 110)
    """InF-DH: distances on the ground, m."""
    drops: int = 40
    """Number of places and channels at each distance, at least 2."""
    drop_seconds: float = 0.1
    """Measured simulated time of each drop, s."""
    fading_ues: tuple[int, ...] = (1, 2, 4, 8)
    """Schedulers, equal Rayleigh fading: numbers of UEs."""
    fading_snr_db: tuple[float, ...] = (2.0, 15.0)
    """Schedulers, equal Rayleigh fading: mean SNR, dB."""
    fading_seconds: float = 4.0
    """Schedulers, equal Rayleigh fading: simulated time of each run, s."""
    street_ues: int = 10
    """Schedulers, street: number of UEs in the cell."""
    street_drops: int = 12
    """Schedulers, street: number of drops (places and channels), at least 2."""
    street_seconds: float = 0.5
    """Schedulers, street: measured simulated time of each drop, s."""
    rlc_packets: int = 10000
    """RLC: number of packets, one per millisecond."""
    tcp_delays_ms: tuple[float, ...] = (5.0, 20.0, 50.0)
    """TCP: one-way delays between the UPF and the cloud, ms."""
    tcp_bytes: int = 10_000_000
    """TCP: bytes of each transfer."""
    geometry_drops: int = 10
    """Geometry: number of drops, at least 2."""
    geometry_ues: int = 570
    """Geometry: number of UEs in each drop of 57 cells."""
    evaluations: tuple[Evaluation, ...] = ALL_EVALUATIONS
    """The evaluations of IMT-2020 to measure."""
    evaluation_drops: int = 1
    """Evaluations of IMT-2020: number of drops of each."""
    evaluation_ues: int = 171
    """Evaluations of IMT-2020: number of UEs in each drop."""
    large_scale_drops: int = 1
    """Large-scale calibration of TR 38.901: number of drops of each deployment and frequency."""
    large_scale_ues: int = 570
    """Large-scale calibration of TR 38.901: number of UEs in each drop."""
    precoder_snr_db: tuple[float, ...] = (0.0, 10.0, 20.0)
    """Precoders: mean SNR of one antenna, dB."""
    precoder_ages: tuple[int, ...] = (4, 16)
    """Precoders: ages of the channels that they are computed from at the highest SNR, slots of 0.5 ms."""
    precoder_periods: int = 10
    """Precoders: periods of five slots that are counted for each."""
    precoder_drops: int = 3
    """Precoders: number of drops."""
    sharing_snr_db: tuple[float, ...] = (10.0, 20.0)
    """Precoders: SNR of each of two UEs that are sent to in turn, and at once, dB."""

    dense_urban_csi: tuple[Csi, ...] = ("subband", "etype2")
    """Dense urban: what UEs report; docs/antennas.md has the names."""
    dense_urban_rings: int = 2
    """Dense urban: rings of sites around the one in the middle; 2 are 57 cells, with 10 UEs each."""
    dense_urban_drops: int = 3
    """Dense urban: number of drops for each kind of report."""
    dense_urban_begin: float = 0.3
    """Dense urban: simulated time before anything is counted, s."""
    dense_urban_seconds: float = 1.0
    """Dense urban: simulated time that is counted in each drop, s."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        whole = {"seed": (1, 1_000_000), "processes": (1, 1000), "arrivals": (1, 10_000), "drops": (2, 100_000)}
        whole |= {"street_ues": (2, 300), "street_drops": (2, 10_000), "rlc_packets": (100, 10_000_000)}
        whole |= {"tcp_bytes": (100_000, 1_000_000_000), "geometry_drops": (2, 10_000), "geometry_ues": (57, 20_000)}
        whole |= {"evaluation_drops": (1, 10_000), "evaluation_ues": (57, 20_000)}
        whole |= {"dense_urban_rings": (0, 4), "dense_urban_drops": (1, 10_000)}
        whole |= {"precoder_periods": (1, 10_000), "precoder_drops": (1, 10_000)}
        whole |= {"large_scale_drops": (1, 10_000), "large_scale_ues": (57, 20_000)}
        real = {"peak_seconds": (0.05, 10), "drop_seconds": (0.01, 10), "fading_seconds": (0.1, 1000)}
        real |= {"street_seconds": (0.05, 100)}
        real |= {"dense_urban_begin": (0.01, 100), "dense_urban_seconds": (0.01, 100)}
        for name, (least, most) in (whole | real).items():
            if not least <= getattr(self, name) <= most:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; legal is {least} to {most}")
        lists = {"street_distances": (10, 5000), "hall_distances": (1, 1000), "fading_ues": (1, 300)}
        lists |= {"fading_snr_db": (-30, 60), "tcp_delays_ms": (0, 1000)}
        lists |= {"precoder_snr_db": (-30, 60), "precoder_ages": (1, 1000), "sharing_snr_db": (-30, 60)}
        for name, (least, most) in lists.items():
            values = getattr(self, name)
            if not values or sorted(set(values)) != list(values) or not least <= values[0] <= values[-1] <= most:
                raise ConfigurationError(f"{name} are {values}; legal are numbers from {least} to {most}, ascending")
        sets: dict[str, tuple[str, ...]] = {
            "cases": ALL_CASES, "evaluations": ALL_EVALUATIONS, "dense_urban_csi": get_args(Csi)
        }  # fmt: skip
        for name, legal in sets.items():
            chosen = getattr(self, name)
            if not chosen or len(set(chosen)) < len(chosen):
                raise ConfigurationError(f"{name} are {chosen}; legal is each of {', '.join(legal)} at most once")
        if self.fading_ues[0] != 1:
            raise ConfigurationError(f"fading_ues are {self.fading_ues}; the first is 1, which others are compared to")


def check(config: Config) -> None:
    """Refuse to begin where the executable that measures is not installed."""
    from .runner import executable

    if not executable().is_file():
        raise EdgelamError(f"{executable()} is not there; run 'make build' or 'pip install .'")


def quick() -> Config:
    """Every curve; at most 4 minutes on 2 cores."""
    return Config()


def full() -> Config:
    """The same curves with more drops, more UEs and more points."""
    return Config(
        arrivals=100,
        street_distances=(20, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800),
        hall_distances=(5, 10, 20, 30, 40, 55, 70, 90, 110),
        drops=400,
        drop_seconds=0.2,
        fading_ues=(1, 2, 4, 8, 16),
        fading_snr_db=(2.0, 8.0, 15.0),
        fading_seconds=30.0,
        street_drops=60,
        street_seconds=1.0,
        rlc_packets=100_000,
        tcp_delays_ms=(2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
        geometry_drops=100,
        evaluation_drops=10,
        evaluation_ues=570,
        large_scale_drops=10,
        precoder_snr_db=(-5.0, 0.0, 5.0, 10.0, 15.0, 20.0),
        precoder_ages=(1, 2, 4, 8, 16, 32),
        precoder_periods=40,
        precoder_drops=10,
        sharing_snr_db=(0.0, 5.0, 10.0, 15.0, 20.0),
    )


def dense_urban() -> Config:
    """Spectral efficiency of Dense Urban eMBB, three drops of 57 cells with each kind of report; long."""
    return Config(cases=("dense_urban",))


def dense_urban_small() -> Config:
    """One short drop of 21 cells with each kind of report: what the recipe dense-urban does, in minutes."""
    return Config(
        cases=("dense_urban",),
        dense_urban_rings=1,
        dense_urban_drops=1,
        dense_urban_begin=0.2,
        dense_urban_seconds=0.1,
    )


RECIPES = {"quick": quick, "full": full, "dense-urban": dense_urban, "dense-urban-small": dense_urban_small}
