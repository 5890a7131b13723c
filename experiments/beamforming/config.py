# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of beamforming and its recipes."""

import dataclasses
import math
import re
from typing import Literal

from edgelam.air.beamforming.learned.settings import KINDS, Kind, PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError
from edgelam.runs import Needs, Network

Rule = Literal["mrt", "zf", "rzf", "wmmse-1-start", "wmmse", "max-min"]


@dataclasses.dataclass(frozen=True)
class Test:
    """Channels on which all methods are judged."""

    users: int
    antennas: int
    snr_db: float


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """The closed loop: every method drives the network of the options --scenario and so on."""

    ues: int = 6
    """UEs, all of which are sent to at once, a layer each; 1 to 12."""
    ages_ms: tuple[float, ...] = (0.0, 10.0)
    """How old channels are when the gNB gets them, ms; everything is measured for each."""
    pilot_snr_db: float = math.inf
    """SNR of the estimates of channels, dB; inf: they are exact."""
    period_ms: float = 1.0
    """Time between two decisions, ms."""
    filling_ms: float = 30.0
    """Time with full buffers before goodput is measured, ms."""
    measured_ms: float = 120.0
    """Time over which goodput is measured, ms."""
    watch_ms: float = 1.5
    """Mean time between two looks at channels and weights for the predicted rates, ms."""
    tensors: int = 5
    """Tensors that each UE gets afterwards, for latencies."""
    tensor_kb: float = 98.304
    """Size of a tensor, kB: as by default 64 hidden states of MiniLM, 384 values of four bytes."""
    longest_ms: float = 1000.0
    """A tensor that takes longer is given up, and counts with this time, ms."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 1 <= self.ues <= 12:
            raise ConfigurationError(f"loop.ues is {self.ues}; legal are 1 to 12, a layer each (docs/antennas.md)")
        if not self.ages_ms or len(set(self.ages_ms)) < len(self.ages_ms):
            raise ConfigurationError(f"loop.ages_ms are {self.ages_ms}; at least one, each once")
        for age_ms in self.ages_ms:
            if not 0 <= age_ms <= 1000:
                raise ConfigurationError(f"loop.ages_ms have {age_ms:g}; legal are 0 to 1000 ms")
        for name in ("period_ms", "measured_ms", "watch_ms", "tensor_kb", "longest_ms"):
            if not 0.1 <= getattr(self, name) <= 1e5:
                raise ConfigurationError(f"loop.{name} is {getattr(self, name):g}; legal are 0.1 to 100000")
        if not 0 <= self.filling_ms <= 1e5:
            raise ConfigurationError(f"loop.filling_ms is {self.filling_ms:g}; legal are 0 to 100000")
        if self.tensors < 0:
            raise ConfigurationError(f"loop.tensors is {self.tensors}; it must be 0 or more")
        if math.isnan(self.pilot_snr_db) or self.pilot_snr_db < -40:
            raise ConfigurationError(f"loop.pilot_snr_db is {self.pilot_snr_db:g}; legal are -40 dB and more, or inf")


@dataclasses.dataclass(frozen=True)
class SurfaceSettings:
    """The cell with a surface: 8 antennas, 100 elements, 3 users (arXiv 2009.14404)."""

    samples: int = 0
    """Cells on which all methods are judged; 0: no surfaces."""
    pilots: tuple[int, ...] = ()
    """Numbers of pilots from which channels are estimated, multiples of 3."""
    rounds: int = 8
    """surface-POLICY: rounds of precoder and phases, each with a step of its own."""
    policy_steps: int = 100
    """surface-POLICY: optimiser steps, from the policy without surface on."""
    policy_batch_size: int = 32
    """surface-POLICY: cells in a step."""
    draws: int = 1000
    """Cells of the past: what LMMSE and the pilot encoder know before."""
    codes: int = 3000
    """pilot-encoder: how many of the users of the past it remembers, 3 of each cell."""
    steps: int = 600
    """pilot-encoder: optimiser steps."""
    batch_size: int = 96
    """pilot-encoder: cells in a step."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("samples", 0), ("rounds", 1), ("policy_steps", 1), ("policy_batch_size", 1), ("draws", 2),
                            ("codes", 1), ("steps", 1), ("batch_size", 1)):  # fmt: skip
            if getattr(self, name) < least:
                raise ConfigurationError(f"surface.{name} is {getattr(self, name)}; it must be at least {least}")
        if self.codes > 3 * self.draws:
            raise ConfigurationError(f"surface.codes is {self.codes}; legal are 1 to {3 * self.draws}, 3 of each draw")
        for count in self.pilots:
            if count < 3 or count % 3:
                raise ConfigurationError(f"surface.pilots have {count}; legal are multiples of 3, one of each user")


@dataclasses.dataclass(frozen=True)
class HybridSettings:
    """Precoders of several users behind phase shifters."""

    samples: int = 0
    """Channels on which all methods are judged; 0: none."""
    users: int = 4
    """Users, a stream each; there are as many RF chains, then twice as many, and as many in parts of the antennas."""
    antennas: int = 16
    """Antennas, at least twice as many as users."""
    snr_db: float = 10.0
    """Power over noise, dB."""
    policy_steps: int = 100
    """hybrid-POLICY: optimiser steps, from the policy without phase shifters on."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("samples", 0), ("users", 1), ("policy_steps", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"hybrid.{name} is {getattr(self, name)}; it must be at least {least}")
        if self.antennas < 2 * self.users:
            raise ConfigurationError(f"hybrid.antennas is {self.antennas}; it must be at least {2 * self.users}")
        if not -40 <= self.snr_db <= 40:
            raise ConfigurationError(f"hybrid.snr_db is {self.snr_db:g}; legal are -40 to 40 dB")


@dataclasses.dataclass(frozen=True)
class FederatedSettings:
    """Federated averaging of policies over sites."""

    sites: int = 0
    """Sites, the nodes of role ue of the network, whose cell is their backhaul; 0: none."""
    rounds: int = 5
    """Rounds of training at all sites and averaging at the node of role cloud."""
    steps: int = 20
    """Optimiser steps of a site in a round."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("sites", 0), ("rounds", 1), ("steps", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"federated.{name} is {getattr(self, name)}; it must be at least {least}")


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of beamforming. The defaults are the quick recipe."""

    seed: int = 1
    """Root of every random stream: weights, channels of training and of tests. 1 to 2147483647."""
    num_seeds: int = 1
    """Everything is done with so many seeds, from `seed` on."""
    learned: tuple[Kind, ...] = ("graph-lam", "gnn", "unrolled-wmmse")
    """Policies to train. graph-lam: GNN, pre-trained frozen transformer with adapters; graph-lam-full: the same without
    adapters, all weights of the transformer are trained; graph-lam-random: the same with
    random weights of the transformer; no-backbone: without the transformer; gnn: message passing with as many trained
    parameters as graph-lam; unrolled-wmmse: iterations of WMMSE with trained steps."""
    rules: tuple[Rule, ...] = ("mrt", "zf", "rzf", "wmmse-1-start", "wmmse")
    """Classical methods; wmmse is the best of ten starts, wmmse-1-start that of RZF; max-min: the largest rate that all
    users can have at once."""
    tests: tuple[str, ...] = ("4x4@10", "8x8@10", "3x3@10")
    """Test sets, as USERSxANTENNAS@SNR in dB: channels CN(0, 1)."""
    test_samples: int = 400
    """Channels of each test set."""
    policy: PolicySettings = dataclasses.field(default_factory=PolicySettings)
    """The size of the policies."""
    training: TrainingSettings = dataclasses.field(
        default_factory=lambda: TrainingSettings(steps=300, batch_size=48, learning_rate=2e-3)
    )
    """How they are trained."""
    policies: str = ""
    """A folder with policies of an earlier run (its folder policies), which are not trained again; empty: all are
    trained."""
    network: Network = dataclasses.field(default_factory=lambda: Network(scenario="none"))
    """The network that methods drive; none: rates by the formula are all that is measured."""
    loop: LoopSettings = dataclasses.field(default_factory=LoopSettings)
    """The closed loop, if there is a network."""
    surface: SurfaceSettings = dataclasses.field(default_factory=SurfaceSettings)
    """Joint active and passive beamforming, also from pilots."""
    hybrid: HybridSettings = dataclasses.field(default_factory=HybridSettings)
    """Hybrid precoding."""
    federated: FederatedSettings = dataclasses.field(default_factory=FederatedSettings)
    """Training over sites; with sites, the network carries what they send, and there is no closed loop."""
    threads: int = 0
    """Number of PyTorch threads; 0: PyTorch's choice. The same seed gives the same bytes only with the same number."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        if not 1 <= self.seed < 2**31:
            raise ConfigurationError(f"seed is {self.seed}; legal is 1 to 2147483647")
        for name, least in (("num_seeds", 1), ("test_samples", 1), ("threads", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name, least in (("learned", 0), ("rules", 0), ("tests", 0)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least {least}, each once")
        if self.federated.sites and not self.learned:
            raise ConfigurationError("federated.sites train nothing: learned is empty")
        others = bool(self.surface.samples or self.hybrid.samples or self.federated.sites)
        if not self.learned and not self.rules and not others:
            raise ConfigurationError("learned and rules are both empty: there is nothing to run")
        if not self.tests and self.network.is_ideal and not others:
            raise ConfigurationError(
                "tests are empty, there is no network to drive, and surface.samples and hybrid.samples are 0: there is "
                "nothing to run"
            )
        for name in self.tests:
            test_of(name)
            if "zf" in self.rules and test_of(name).users > test_of(name).antennas:
                raise ConfigurationError(f"test {name}: zf needs an antenna for each user; leave it out of rules")


def test_of(name: str) -> Test:
    """Return what a test set's name says. Raises ConfigurationError if it says nothing legal."""
    found = re.fullmatch(r"(\d+)x(\d+)@(-?\d+(?:\.\d+)?)", name)
    if not found or min(int(found[1]), int(found[2])) < 1 or abs(float(found[3])) > 40:
        raise ConfigurationError(f"test {name!r}; legal are USERSxANTENNAS@SNR, such as 4x4@10, with -40 to 40 dB")
    return Test(int(found[1]), int(found[2]), float(found[3]))


def needs(config: Config) -> Needs:
    """A cell whose precoders come from outside, with a layer for each UE, and a server that sends; or sites."""
    if config.federated.sites:
        return Needs({"ue": config.federated.sites, "cloud": 1}, options={"speed": "0"})
    if config.network.is_ideal:
        return Needs()
    return Needs(
        {"ue": config.loop.ues, "edge|cloud": 1},
        observables=("cell", "ue_channel", "ue_block_counts", "ue_backlog_bytes"),
        controls=("precoder",),
        options={"beams": "external", "selection": "external", "maxLayers": "1", "ueAntennas": "1",
                 "gnbPower": "20", "ueNoiseFigure": "9"},
    )  # fmt: skip


def pilots_name(count: int) -> str:
    """Return how a test with so many pilots is called in tables."""
    return f"surface, {count} pilots"


def hybrid_name(chains: int, structure: str) -> str:
    """Return how a test of hybrid precoding is called in tables."""
    return f"hybrid, {chains} chains, {structure} connected"


def site_name(site: int, users: int, antennas: int, snr_db: float) -> str:
    """Return how the test of a site is called in tables."""
    return f"site {site}: {users}x{antennas}@{snr_db:g}"


def age_name(age_ms: float) -> str:
    """Return how an age of CSI is called in tables."""
    return f"{age_ms:g} ms"


def quick() -> Config:
    """Graph LAM, GNN and unrolled WMMSE, trained for a minute each, beside five rules: at most 5 minutes on 2 cores."""
    return Config()


def digital() -> Config:
    """All policies, 450 steps, five seeds, sizes and SNRs that are not trained on: about half an hour on one core."""
    return Config(
        num_seeds=5, learned=KINDS, training=TrainingSettings(steps=450, batch_size=32, learning_rate=2e-3),
        tests=("4x4@10", "8x8@10", "3x3@10", "4x4@0", "4x4@20", "4x8@10", "6x6@25"),
    )  # fmt: skip


def fair() -> Config:
    """Policies trained on the least rate of a user, beside the optimum (max-min) and rules for sums, three seeds."""
    return Config(
        num_seeds=3, learned=("no-backbone",), rules=("rzf", "wmmse", "max-min"), tests=("4x4@10", "6x6@10", "8x8@10"),
        test_samples=200, training=TrainingSettings(steps=400, batch_size=64, objective="max-min", learning_rate=3e-3),
    )  # fmt: skip


def federated() -> Config:
    """A graph LAM trained over three sites, whose adapters cross a cell, beside local and pooled, three seeds."""
    return Config(
        num_seeds=3, learned=("graph-lam",), rules=(), tests=(), test_samples=200, federated=FederatedSettings(sites=3),
        training=TrainingSettings(batch_size=32, learning_rate=2e-3), network=Network(devices=("*=cpu-server",)),
    )  # fmt: skip


def closed_loop() -> Config:
    """Six methods drive a cell of nr-indoor, with new and with old CSI, three seeds: about 10 minutes on 2 cores."""
    return Config(
        num_seeds=3, learned=("graph-lam", "unrolled-wmmse"), rules=("mrt", "zf", "rzf", "wmmse"), tests=(),
        training=TrainingSettings(steps=300, batch_size=64, extra_antennas=(0, 4), gain_range_db=20.0),
        network=Network(
            scenario="nr-indoor",
            options=("bandwidth=20", "joined=5", "gnbRows=1", "gnbColumns=8", "gnbPolarisations=1", "speed=0.4",
                     "edgelam::nr::Cell::GnbDelay=0", "edgelam::nr::Cell::CsiDelay=0",
                     "edgelam::RadioChannel::CoherenceDistance=0"),
        ),
    )  # fmt: skip


def surface() -> Config:
    """Phases of a surface and precoder together, with known channels; policies and BCD, three seeds."""
    return Config(
        num_seeds=3, learned=("unrolled-wmmse",), rules=(), tests=(), surface=SurfaceSettings(samples=200),
        training=TrainingSettings(steps=100, batch_size=64),
    )  # fmt: skip


def pilots() -> Config:
    """The same from 9, 15 and 30 pilots: the pilot encoder beside LMMSE, both with BCD, three seeds."""
    return Config(
        num_seeds=3, learned=(), rules=(), tests=(), surface=SurfaceSettings(samples=200, pilots=(9, 15, 30)),
    )  # fmt: skip


def hybrid() -> Config:
    """Precoders behind phase shifters: policies with a projection beside PE-AltMin and MO-AltMin, three seeds."""
    return Config(
        num_seeds=3, learned=("no-backbone", "unrolled-wmmse"), rules=(), tests=(), hybrid=HybridSettings(samples=200),
        training=TrainingSettings(steps=300, batch_size=64, users=(4, 4), extra_antennas=(0, 12), snr_db=(10.0, 10.0)),
    )  # fmt: skip


RECIPES = {"quick": quick, "digital": digital, "fair": fair, "hybrid": hybrid, "surface": surface,
           "pilots": pilots, "federated": federated, "closed_loop": closed_loop}  # fmt: skip
