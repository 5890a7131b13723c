# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of channel-prediction and its recipes."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Literal

import tyro

from edgelam.air.prediction.settings import LamSettings, TrainingSettings, WindowSettings
from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network
from edgelam.scenarios.asking import check_scenario
from edgelam.text import parse_pairs, suggest

CSI = "csi"  # the installed scenario of that name
FIXED = ("hold-last", "prony")
LEARNED = ("rnn", "lstm", "gru", "cnn", "transformer", "lam", "lam-random")
PLACES = ("local", "pooled", "federated")


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of channel-prediction. The defaults are the quick recipe."""

    methods: tuple[str, ...] = ("hold-last", "gru-local", "lam-local", "lam-federated")
    """The methods to compare: hold-last, prony, or MODEL-PLACE. MODEL is rnn, lstm, gru, cnn, transformer, lam, or
    lam-random (the LAM with random weights). PLACE is local (each server trains alone; the result is the mean),
    pooled (all servers send their CSI to the aggregator), or federated."""
    servers: tuple[int, ...] = (2,)
    """Numbers of edge servers for federated training; local and pooled training use the largest number."""
    partition: Literal["iid", "place"] = "iid"
    """iid: every server has samples from everywhere; place: each server has its own site, and there is one more site
    that no server has seen."""
    samples_per_server: int = 120
    """Samples of CSI that each server holds, at least 1. (LLM4CP has 8,100 for training; 5 % of them are 405.)"""
    test_samples: int = 100
    """Samples of each test set, at least 1."""
    test_speeds_kmh: tuple[float, ...] = (30.0, 100.0)
    """Speeds of further test sets, each of which has one speed, km/h."""
    csi_scenario: str = CSI
    """The scenario that makes the samples: csi, or a file .cc or .py of your own that publishes CSI (observables csi/*;
    docs/writing-a-scenario.md). With one of your own, there are no tests at one speed, and partition must be iid."""
    csi: tuple[str, ...] = ("gnbRows=1", "gnbColumns=1")
    """Options of that scenario, as NAME=VALUE; '--csi' alone gives none."""
    recording: str = ""
    """A recording (edgelam csi record) from which the samples are taken instead; they are drawn again for each seed.
    With a recording, there are no tests at one speed, and partition must be iid. Empty: no recording."""
    test_recordings: tuple[str, ...] = ()
    """Recordings on which all predictors are tested, too, with at most `test_samples` of each. One whose samples have a
    few speeds is one test set for each speed. edgelam csi import makes recordings of other programs' data sets."""

    window: Annotated[WindowSettings, tyro.conf.arg(name="")] = dataclasses.field(default_factory=WindowSettings)
    """What a predictor knows and what it predicts."""
    training: Annotated[TrainingSettings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=lambda: TrainingSettings(batch_size=8)
    )
    """How every method is trained; the search multiplies its learning rate."""
    epochs: int = 18
    """Passes of each server over its samples, at least 1; federated training merges after every `local_epochs`."""
    local_epochs: int = 1
    """Epochs between two merges; must divide `epochs`."""
    evaluations: int = 3
    """How many times each model is tested during training, evenly spaced, the last time at the end; at least 1."""
    aggregation: Literal["fedit", "ffa-lora", "fedex-lora", "flora"] = "fedit"
    """How the servers' adapters are combined; all other trained parameters are averaged."""
    search_factors: tuple[float, ...] = ()
    """Factors of the search: every model tries the configured learning rate times each factor. Empty: no search."""
    search_epochs: int = 10
    """Epochs of each try, at least 1. A try uses four fifths of one server's samples; the last fifth judges it. The LAM
    learns little in its first hundred steps, so a shorter search selects rates that are too large."""
    test_snr_db: float = 18.0
    """SNR of the past in tests, dB; the future with which predictions are compared has no noise."""

    backbone: str = "minilm"
    """The LAM's backbone: "minilm" (works offline), a model folder, or a model in the local hub cache such as gpt2."""
    lam: LamSettings = dataclasses.field(
        default_factory=lambda: LamSettings(channels=8, blocks=1, layers=2, lora=LoraSettings(rank=4, alpha=8.0))
    )
    """The size of the parts around the backbone."""

    seed: int = 1
    """Root of every random stream: CSI, noise, model, network. 1 to 2147483647."""
    repeats: int = 1
    """Number of seeds, from `seed` on, at least 1. For one seed, all methods use the same data."""

    network: Network = Network(devices=("*=cpu-server",))
    """The network over which federated and pooled training run."""
    network_repeats: int = 0
    """How many of the repeats, from the first on, use the network; the others train without it. 0: all use it. What is
    learned does not depend on the network, and simulating packets takes most of the time."""
    attach: Literal["radio", "wired"] = "radio"
    """How an edge server reaches the aggregator (the node of role cloud). radio: the server is node ue0, ue1, ..., and
    the cell is its backhaul; wired: the server is node edge0, edge1, ..."""

    checkpoints: str = ""
    """A folder for checkpoints: finished work in it is not repeated. Empty: no checkpoints are kept."""
    time_limit_s: float = 0.0
    """Wall seconds after which training stops at the end of an epoch; `checkpoints` can continue it. 0: no limit."""
    device: str = "cpu"
    """PyTorch's device for training: cpu, cuda, cuda:1, ..."""
    threads: int = 0
    """Number of PyTorch threads; 0: PyTorch's choice. The same seed gives the same bytes only with the same number."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        least = (
            "samples_per_server",
            "test_samples",
            "epochs",
            "local_epochs",
            "evaluations",
            "search_epochs",
            "repeats",
        )
        for name in least:
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 1 <= self.seed < 2**31:
            raise ConfigurationError(f"seed is {self.seed}; it must be a whole number from 1 to 2147483647")
        if self.epochs % self.local_epochs:
            raise ConfigurationError(f"local_epochs is {self.local_epochs}; it must divide epochs, {self.epochs}")
        if not self.servers or min(self.servers) < 1 or len(set(self.servers)) < len(self.servers):
            raise ConfigurationError(f"servers are {self.servers}; each must be at least 1 and given once")
        if any(not 0.0 < factor < float("inf") for factor in self.search_factors):
            raise ConfigurationError(f"search_factors are {self.search_factors}; they must be positive numbers")
        if any(not 0.0 < speed <= 1000.0 for speed in self.test_speeds_kmh):
            raise ConfigurationError(f"test_speeds_kmh are {self.test_speeds_kmh}; legal are above 0 and up to 1000")
        if self.recording and self.csi_scenario != CSI:
            raise ConfigurationError(
                f"recording is {self.recording!r} and csi_scenario is {self.csi_scenario!r}; the samples come from one "
                "of them"
            )
        if not self.has_speeds and self.partition != "iid":
            raise ConfigurationError(
                f"partition is {self.partition}; with a recording, or with a csi_scenario other than {CSI}, iid is "
                "legal"
            )
        if self.time_limit_s < 0 or (self.time_limit_s > 0 and not self.checkpoints):
            raise ConfigurationError(f"time_limit_s is {self.time_limit_s}; it must be 0, or positive with checkpoints")
        if self.network_repeats < 0:
            raise ConfigurationError(f"network_repeats is {self.network_repeats}; it must be 0 (all) or more")
        if not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d+)?", self.device):
            raise ConfigurationError(f"device is {self.device!r}; legal are PyTorch's: cpu, cuda, cuda:1, ...")
        if self.threads < 0:
            raise ConfigurationError(f"threads is {self.threads}; it must be 0 (PyTorch's choice) or more")
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ConfigurationError(f"methods are {', '.join(self.methods) or 'none'}; at least one, each once")
        legal = [*FIXED, *(f"{model}-{place}" for model in LEARNED for place in PLACES)]
        for method in self.methods:
            if method not in legal:
                raise ConfigurationError(f"no method is called {method!r}; {suggest(method, legal)}")
            if method in FIXED and self.window.duplex == "fdd":
                raise ConfigurationError(
                    f"method {method} cannot predict another band; legal with duplex fdd are others"
                )

    @property
    def has_speeds(self) -> bool:
        """Whether the samples can be chosen by speed and site: options of scenario csi say so."""
        return not self.recording and self.csi_scenario == CSI

    def csi_options(self) -> dict[str, str]:
        """`csi` as a dict."""
        return parse_pairs(self.csi, "--csi")


def needs(config: Config, servers: int | None = None) -> Needs:
    """Edge servers, as many as `servers` says (None: as at the most), and an aggregator; devices that stand still."""
    role = "ue" if config.attach == "radio" else "edge"
    still = config.attach == "radio" and config.network.scenario == "nr-urban-micro"
    roles = {role: max(config.servers) if servers is None else servers, "cloud": 1}
    return Needs(roles, options={"speed": "0"} if still else {})


def check(config: Config) -> None:
    """Refuse what cannot be run here: a scenario without CSI, an option that it does not have, backbone, recording."""
    from edgelam.models import check_backbone

    check_scenario(config.csi_scenario, config.csi_options(), "--csi")
    if config.csi_scenario != CSI:
        from .data import check_csi

        check_csi(config.csi_scenario, config.csi, config.window)
    if any(method.startswith("lam") for method in config.methods):
        check_backbone(config.backbone)
    for recording in filter(None, (config.recording, *config.test_recordings)):
        if not Path(recording).is_file():
            raise ConfigurationError(f"recording {recording!r}: no such file; edgelam csi record makes one")


def quick() -> Config:
    """Federated LAM, and GRU and LAM on local data; two servers, two antennas: at most 5 minutes on 2 cores."""
    return Config()


def paper() -> Config:
    """The case study: RNN, GRU and LLM4CP on local data, federated LAM of 2, 5 and 10 servers, 50 epochs. For a GPU."""
    return Config(
        methods=(
            "hold-last", "rnn-local", "gru-local", "lam-local", "rnn-federated", "gru-federated", "lam-federated",
            "gru-pooled", "lam-pooled",
        ),
        servers=(2, 5, 10),
        samples_per_server=405,
        test_samples=900,
        csi=(),
        training=TrainingSettings(precision="bf16"),
        epochs=50,
        search_factors=(0.3, 1.0, 3.0),
        repeats=5,
        network_repeats=1,
        lam=LamSettings(),
    )  # fmt: skip


def small() -> Config:
    """The case study scaled down to two processor cores: two antennas, a small pre-encoder, 2 layers; a few hours."""
    return dataclasses.replace(
        paper(),
        csi=("gnbRows=1", "gnbColumns=1"),
        samples_per_server=100,
        test_samples=400,
        training=TrainingSettings(batch_size=4),
        epochs=16,
        search_epochs=16,
        lam=LamSettings(channels=8, blocks=1, layers=2, lora=LoraSettings(rank=4, alpha=8.0)),
    )


def speeds() -> Config:
    """Error over speed, 10 to 100 km/h, of all predictors, trained on all servers' samples in one place."""
    return dataclasses.replace(
        small(),
        methods=("hold-last", "prony", *(f"{model}-pooled" for model in LEARNED)),
        servers=(5,),
        test_speeds_kmh=(10.0, 30.0, 50.0, 70.0, 100.0),
        network=Config().network.ideal(),
        repeats=1,
    )


RECIPES = {"quick": quick, "paper": paper, "small": small, "speeds": speeds}
