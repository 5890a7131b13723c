# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of channel-prediction."""

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

from .across.settings import AcrossSettings, options_of
from .in_loop.settings import PERFECT, LoopSettings, loop_needs
from .tasks.settings import TasksSettings

CSI = "csi"  # the installed scenario of that name
FIXED = ("hold-last", "prony")
EQUAL = "cnn-equal"
LEARNED = ("rnn", "lstm", "gru", "cnn", EQUAL, "transformer", "lam", "lam-random", "lam-full")
PLACES = ("local", "pooled", "federated")
SMALL_LAM = LamSettings(channels=8, blocks=1, layers=2, lora=LoraSettings(rank=4, alpha=8.0))
"""For processors: a small pre-encoder, two layers."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of channel-prediction. The defaults are the quick recipe."""

    methods: tuple[str, ...] = ("hold-last", "gru-local", "lam-local", "lam-federated")
    """The methods to compare: hold-last, prony, or MODEL-PLACE. MODEL is rnn, lstm, gru, cnn, cnn-equal (with as many
    trained parameters as the LAM), transformer, lam, lam-random (the LAM with random weights), or lam-full (all weights
    of its layers are trained, without adapters). PLACE is local (each server trains alone; the result is the mean),
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
    search_beyond: int = 0
    """How often the search may go on past its ends, while the best factor is the least or the largest."""
    test_snr_db: float = 18.0
    """SNR of the past in tests, dB; the future with which predictions are compared has no noise."""

    backbone: str = "minilm"
    """The LAM's backbone: "minilm" (works offline), a model folder, or a model in the local hub cache such as gpt2."""
    lam: LamSettings = SMALL_LAM
    """The size of the parts around the backbone."""
    loop: LoopSettings = dataclasses.field(default_factory=LoopSettings)
    """Predictors in a cell: with loop.predictors, and no methods, the network is the cell that they drive."""
    across: AcrossSettings = dataclasses.field(default_factory=AcrossSettings)
    """One model for several configurations beside a model for each: with across.seen, and no methods."""
    tasks: TasksSettings = dataclasses.field(default_factory=TasksSettings)
    """One backbone for prediction and beamforming: with tasks.steps, and no methods."""

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
        if self.search_beyond < 0:
            raise ConfigurationError(f"search_beyond is {self.search_beyond}; it must be 0 or more")
        studies = {
            "methods": self.methods, "loop.predictors": self.loop.predictors, "across.seen": self.across.seen,
            "tasks.steps": self.tasks.steps,
        }  # fmt: skip
        if len(chosen := [f"{name} are {value}" for name, value in studies.items() if value]) > 1:
            raise ConfigurationError(f"{' and '.join(chosen)}; a run has one of {', '.join(studies)}")
        if self.loop.predictors:
            self._check_loop()
        elif self.across.seen:
            self._check_across()
        elif not self.tasks.steps and (not self.methods or len(set(self.methods)) < len(self.methods)):
            raise ConfigurationError(f"methods are {', '.join(self.methods) or 'none'}; at least one, each once")
        if self.lam.residual == "prony" and self.window.duplex == "fdd":
            raise ConfigurationError("lam.residual prony cannot predict another band; legal with duplex fdd are others")
        legal = [*FIXED, *(f"{model}-{place}" for model in LEARNED for place in PLACES)]
        for method in self.methods:
            if method not in legal:
                raise ConfigurationError(f"no method is called {method!r}; {suggest(method, legal)}")
            if method in FIXED and self.window.duplex == "fdd":
                raise ConfigurationError(
                    f"method {method} cannot predict another band; legal with duplex fdd are others"
                )

    def _check_loop(self) -> None:
        for name in self.loop.predictors:
            if name not in (legal := (PERFECT, *FIXED, *LEARNED)):
                raise ConfigurationError(f"loop.predictors: no predictor is called {name!r}; {suggest(name, legal)}")
        if self.window.duplex == "fdd":
            raise ConfigurationError("window.duplex is fdd; a loop has tdd: pilots tell of the band that is sent on")

    def _check_across(self) -> None:
        if self.recording or self.csi_scenario != CSI:
            raise ConfigurationError(f"across.seen: the samples come from scenario {CSI}, and not from others")
        for name in self.across.models:
            if name not in LEARNED:
                raise ConfigurationError(f"across.models: no model is called {name!r}; {suggest(name, LEARNED)}")
        for text in (*self.across.seen, *self.across.unseen):
            if twice := options_of(text).keys() & self.csi_options().keys():
                raise ConfigurationError(f"--csi {', '.join(sorted(twice))}: configuration {text!r} sets it, too")

    @property
    def has_speeds(self) -> bool:
        """Whether the samples can be chosen by speed and site: options of scenario csi say so."""
        return not self.recording and self.csi_scenario == CSI

    def csi_options(self) -> dict[str, str]:
        """`csi` as a dict."""
        return parse_pairs(self.csi, "--csi")


def needs(config: Config, servers: int | None = None) -> Needs:
    """Edge servers, as many as `servers` says (None: as at the most), and an aggregator; devices that stand still.

    With a loop: a cell whose precoders come from outside, with `servers` UEs (None: as in the loop).
    """
    if config.loop.predictors:
        return loop_needs(config.loop, servers)
    if config.across.seen:
        servers = len(config.across.seen)
    role = "ue" if config.attach == "radio" else "edge"
    still = config.attach == "radio" and config.network.scenario == "nr-urban-micro"
    roles = {role: max(config.servers) if servers is None else servers, "cloud": 1}
    return Needs(roles, options={"speed": "0"} if still else {})


def check(config: Config) -> None:
    """Refuse what cannot be run here: a scenario without CSI, an option that it does not have, backbone, recording."""
    from edgelam.models import check_backbone

    if config.loop.predictors:
        from .in_loop.checking import check_loop

        check_loop(config)
    for text in ("", *config.across.seen, *config.across.unseen):
        options = config.csi_options() | (options_of(text) if text else {})
        check_scenario(config.csi_scenario, options, f"configuration {text}" if text else "--csi")
    if config.csi_scenario != CSI:
        from .data import check_csi

        check_csi(config.csi_scenario, config.csi, config.window)
    across = config.across.models if config.across.seen else ()
    named = (*config.methods, *config.loop.predictors, *across, *(["lam"] if config.tasks.steps else []))
    if any(name.startswith(("lam", EQUAL)) for name in named):
        check_backbone(config.backbone)
    for recording in filter(None, (config.recording, *config.test_recordings)):
        if not Path(recording).is_file():
            raise ConfigurationError(f"recording {recording!r}: no such file; edgelam csi record makes one")
