# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of beamforming and its recipes."""

import dataclasses
import re
from typing import Literal

from edgelam.air.beamforming.learned.settings import KINDS, Kind, PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError
from edgelam.runs import Needs, Network

from .settings import (
    CoordinatedSettings,
    EnergySettings,
    FederatedSettings,
    HybridSettings,
    LearningSettings,
    LoopSettings,
    SensingSettings,
    SeveralSettings,
    StreamSettings,
    SurfaceSettings,
)

Rule = Literal["mrt", "zf", "rzf", "wmmse-1-start", "wmmse", "wmmse-backlog", "max-min"]


@dataclasses.dataclass(frozen=True)
class Test:
    """Channels on which all methods are judged."""

    users: int
    antennas: int
    snr_db: float
    street: bool = False
    """Whether channels are those of a street of TR 38.901, instead of CN(0, 1)."""


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
    users can have at once; wmmse-backlog: in the closed loop, WMMSE from one start whose weights are the bytes that
    wait for each UE, elsewhere the same as wmmse-1-start."""
    tests: tuple[str, ...] = ("4x4@10", "8x8@10", "3x3@10")
    """Test sets, as USERSxANTENNAS@SNR in dB: channels CN(0, 1); USERSxANTENNAS@SNR/street: of a street of TR 38.901,
    for up to 40 users, with that SNR for each user."""
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
    coordinated: CoordinatedSettings = dataclasses.field(default_factory=CoordinatedSettings)
    """Several cells that coordinate."""
    energy: EnergySettings = dataclasses.field(default_factory=EnergySettings)
    """Bits per joule."""
    streams: StreamSettings = dataclasses.field(default_factory=StreamSettings)
    """Users with several antennas and streams."""
    sensing: SensingSettings = dataclasses.field(default_factory=SensingSettings)
    """The error of a beam pattern against the rate."""
    several: SeveralSettings = dataclasses.field(default_factory=SeveralSettings)
    """One model for several problems."""
    checkpoints: str = ""
    """A folder for checkpoints of training: what is trained there is not trained again. Empty: none are kept."""
    time_limit_s: float = 0.0
    """Wall seconds after which training stops at a checkpoint, 40 of which a training has (over sites: one, its end);
    the same command with the same `checkpoints` goes on. 0: no limit."""
    device: str = "cpu"
    """PyTorch's device for training: cpu, cuda, cuda:1, ... Methods are judged on the CPU."""
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
        if "policy" in self.loop.phases and not (self.learned and self.surface.samples):
            raise ConfigurationError(
                f"loop.phases have policy, but learned is {self.learned!r} and surface.samples is "
                f"{self.surface.samples}; policies with surfaces are trained with both"
            )
        if self.federated.sites and not self.learned:
            raise ConfigurationError("federated.sites train nothing: learned is empty")
        if self.several.samples and "unrolled-wmmse" in self.learned:
            raise ConfigurationError("learned has unrolled-wmmse, which is for one cell only; several has several")
        self._refuse_kept()
        parts = (self.surface, self.hybrid, self.coordinated, self.energy, self.streams, self.sensing, self.several)
        others = bool(self.federated.sites or any(part.samples for part in parts))
        if not self.learned and not self.rules and not others:
            raise ConfigurationError("learned and rules are both empty: there is nothing to run")
        if not self.tests and self.network.is_ideal and not others:
            raise ConfigurationError(
                "tests are empty, there is no network to drive, and the samples of surface, hybrid, coordinated, "
                "energy, streams, sensing and several are 0: there is nothing to run"
            )
        for name in self.tests:
            test_of(name)
            if "zf" in self.rules and test_of(name).users > test_of(name).antennas:
                raise ConfigurationError(f"test {name}: zf needs an antenna for each user; leave it out of rules")

    def _refuse_kept(self) -> None:
        if not 0.0 <= self.time_limit_s < float("inf") or (self.time_limit_s and not self.checkpoints):
            raise ConfigurationError(f"time_limit_s is {self.time_limit_s}; it must be 0, or positive with checkpoints")
        if not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d+)?", self.device):
            raise ConfigurationError(f"device is {self.device!r}; legal are PyTorch's: cpu, cuda, cuda:1, ...")


def test_of(name: str) -> Test:
    """Return what a test set's name says. Raises ConfigurationError if it says nothing legal."""
    found = re.fullmatch(r"(\d+)x(\d+)@(-?\d+(?:\.\d+)?)(/street)?", name)
    if not found or min(int(found[1]), int(found[2])) < 1 or abs(float(found[3])) > 40:
        raise ConfigurationError(
            f"test {name!r}; legal are USERSxANTENNAS@SNR, such as 4x4@10, with -40 to 40 dB, and 4x4@10/street"
        )
    test = Test(int(found[1]), int(found[2]), float(found[3]), street=bool(found[4]))
    if test.street and not (test.users <= MOST_STREET[0] and test.antennas <= MOST_STREET[1]):
        raise ConfigurationError(f"test {name!r}; legal are up to {MOST_STREET[0]} users and {MOST_STREET[1]} antennas")
    return test


def needs(config: Config) -> Needs:
    """A cell whose precoders come from outside, with a layer for each UE, and a server that sends; or sites."""
    if config.federated.sites:
        return Needs({"ue": config.federated.sites, "cloud": 1}, options={"speed": "0"})
    if config.network.is_ideal:
        return Needs()
    loop = config.loop
    options = {"beams": "external", "selection": "external", "maxLayers": "1", "ueAntennas": "1", "gnbPower": "20",
               "ueNoiseFigure": "9"}  # fmt: skip
    options |= {"surfaces": "1"} if loop.phases else {}
    options |= {"csiPairs": "all"} if loop.coordinated else {}
    return Needs(
        {"ue": loop.ues, "edge|cloud": 1},
        observables=("cell", "ue_channel", "ue_block_counts", "ue_backlog_bytes",
                     *(("direct_channel", "surface_*_channel", "ris_phase") if loop.phases else ())),
        controls=("precoder", *(("ris_phase",) if loop.phases else ())),
        options=options,
    )  # fmt: skip


MOST_STREET = (40, 64)
"""Users and antennas of a test in a street."""
WITHOUT_DELAY = (
    "edgelam::nr::Cell::GnbDelay=0", "edgelam::nr::Cell::CsiDelay=0", "edgelam::nr::Cell::CsiPeriod=1",
    "edgelam::RadioChannel::CoherenceDistance=0",
)  # fmt: skip
"""Options with which the cell itself knows channels as they are, and chooses the MCS by them in every slot: what is
late are precoders only."""


def pilots_name(count: int) -> str:
    """Return how a test with so many pilots is called in tables."""
    return f"surface, {count} pilots"


def hybrid_name(chains: int, structure: str) -> str:
    """Return how a test of hybrid precoding is called in tables."""
    return f"hybrid, {chains} chains, {structure} connected"


def cells_name(cells: int, users: int, antennas: int, snr_db: float) -> str:
    """Return how a test of several cells is called in tables."""
    return f"{cells} cells of {users}x{antennas}@{snr_db:g}"


def energy_name(users: int, antennas: int, snr_db: float) -> str:
    """Return how a test of energy efficiency is called in tables."""
    return f"energy {users}x{antennas}@{snr_db:g}"


def streams_name(users: int, received: int, antennas: int, streams: int, snr_db: float) -> str:
    """Return how a test of users with several antennas is called in tables."""
    return f"{users} users of {received}x{antennas}, {streams} streams each@{snr_db:g}"


def site_name(site: int, users: int, antennas: int, snr_db: float) -> str:
    """Return how the test of a site is called in tables."""
    return f"site {site}: {users}x{antennas}@{snr_db:g}"


def phases_name(method: str, rule: str) -> str:
    """Return how a method is called in tables if the phases of surfaces are decided by a rule."""
    return f"{method}, {rule} phases"


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
    """Six methods drive a cell of nr-indoor, with new and with old CSI, five seeds."""
    return Config(
        num_seeds=5, learned=("graph-lam", "unrolled-wmmse"), rules=("mrt", "zf", "rzf", "wmmse"), tests=(),
        training=TrainingSettings(steps=150, batch_size=32, extra_antennas=(0, 4), gain_range_db=20.0),
        loop=LoopSettings(filling_ms=20.0, measured_ms=60.0, tensors=2),
        network=Network(
            scenario="nr-indoor",
            options=("bandwidth=20", "joined=5", "gnbRows=1", "gnbColumns=8", "gnbPolarisations=1", "speed=0.4",
                     *WITHOUT_DELAY),
        ),
    )  # fmt: skip


def closed_surface() -> Config:
    """Precoders and phases of a surface beside the gNB are decided in the loop, two seeds."""
    config = closed_loop()
    return dataclasses.replace(
        config, num_seeds=2, learned=("graph-lam",), rules=("rzf", "wmmse"),
        loop=LoopSettings(ues=3, ages_ms=(0.0,), period_ms=5.0, measured_ms=60.0, tensors=2,
                          phases=("random", "bcd", "policy")),
        surface=SurfaceSettings(samples=50),
        network=dataclasses.replace(
            config.network,
            options=("bandwidth=20", "joined=5", "gnbRows=1", "gnbColumns=4", "gnbPolarisations=1", "speed=0.4",
                     "los=Never", "surfaces=1", "surfacePlaces=0/2/6/-90", "surfaceRows=12", "surfaceColumns=12",
                     "gnbPower=10", *WITHOUT_DELAY),
        ),
    )  # fmt: skip


def coordinated() -> Config:
    """Cells that coordinate: WMMSE of all, of each alone, and policies; by formula, then in three cells of ns-3."""
    config = closed_loop()
    return dataclasses.replace(
        config, learned=("graph-lam",), rules=("mrt", "rzf", "wmmse"), coordinated=CoordinatedSettings(samples=200),
        loop=LoopSettings(ues=6, ages_ms=(0.0,), period_ms=2.0, measured_ms=80.0, tensors=2, coordinated=True),
        network=Network(
            scenario="nr-urban-grid",
            options=("sites=3", "sectors=1", "siteDistance=150", "carFraction=0", "bandwidth=20", "gnbRows=1",
                     "gnbColumns=4", "gnbPolarisations=1", "gnbPower=30", "speed=0.4", *WITHOUT_DELAY),
        ),
    )  # fmt: skip


def fine_tuning() -> Config:
    """Split-fedft on three of six UEs under each precoder, the others with full buffers: simulated time of rounds."""
    config = closed_loop()
    return dataclasses.replace(
        config, learned=("graph-lam",), rules=("mrt", "zf", "rzf", "wmmse", "wmmse-backlog"),
        loop=LoopSettings(ages_ms=(0.0,), period_ms=4.0, measured_ms=60.0, tensors=0,
                          learning=LearningSettings(method="split-fedft", devices=3)),
        network=dataclasses.replace(config.network, devices=("ue*=jetson-orin",)),
    )  # fmt: skip


def geometry() -> Config:
    """Policies that are trained on channels CN(0, 1), judged on those of a street of TR 38.901, three seeds."""
    return Config(
        num_seeds=3, learned=("graph-lam", "no-backbone", "unrolled-wmmse"), test_samples=200,
        tests=("4x4@10", "4x4@10/street", "4x16@10/street", "6x8@10/street", "8x16@15/street"),
        training=TrainingSettings(steps=300, batch_size=32, learning_rate=2e-3),
    )  # fmt: skip


def problems() -> Config:
    """Energy efficiency, users with two streams, sensing beside sending: classical methods, a policy, three seeds."""
    return Config(
        num_seeds=3, learned=("no-backbone",), rules=(), tests=(), training=TrainingSettings(steps=200, batch_size=64),
        energy=EnergySettings(samples=100), streams=StreamSettings(samples=100), sensing=SensingSettings(samples=30),
    )  # fmt: skip


def several() -> Config:
    """One model for the downlink, few RF chains, streams and cells, beside a model for each of them, five seeds."""
    return Config(
        num_seeds=5, learned=("no-backbone",), rules=(), tests=(), several=SeveralSettings(samples=200),
        training=TrainingSettings(steps=150, batch_size=64, learning_rate=3e-3),
    )  # fmt: skip


def paper() -> Config:
    """All policies in sizes for a GPU (--device cuda), five seeds; give --checkpoints and --time-limit-s for slices."""
    return dataclasses.replace(
        digital(), policy=PolicySettings(layers=6, width=128, depth=3, looks=4), test_samples=2000,
        training=TrainingSettings(steps=20000, batch_size=1024),
    )  # fmt: skip


def surface() -> Config:
    """Phases of a surface and precoder together, with known channels; policies and BCD, five seeds."""
    return Config(
        num_seeds=5, learned=("graph-lam", "unrolled-wmmse"), rules=(), tests=(),
        surface=SurfaceSettings(samples=200, rounds=6, policy_batch_size=16),
        training=TrainingSettings(steps=200, batch_size=32, users=(3, 4), extra_antennas=(2, 5), gain_range_db=20.0,
                                  learning_rate=2e-3),
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
           "pilots": pilots, "federated": federated, "closed_loop": closed_loop, "closed_surface": closed_surface,
           "coordinated": coordinated, "fine_tuning": fine_tuning,
           "geometry": geometry, "problems": problems, "several": several, "paper": paper}  # fmt: skip
