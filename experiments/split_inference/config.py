# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of split_inference and its recipes."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.runs.network import Network

Model = Literal["minilm", "efficientnet-lite0", "smollm2-135m", "minilm-lattice", "dinov2-lattice"]
WHOLE: tuple[Model, ...] = ("minilm", "efficientnet-lite0", "smollm2-135m")
"""Models without trained exits."""
Method = Literal["device-only", "edge-only", "cloud-only", "static", "neurosurgeon", "planner", "exits"]
Subject = Literal["minilm", "smollm2-135m", "dinov2-small", "whisper-tiny.en"]
Rounded = Literal["weights", "activations"]
DraftKind = Literal["distilled", "untrained"]
DecodingMethod = Literal["edge-only", "device-only", "co-located", "speculative", "adaptive", "pipelined", "cascade"]
SUBJECTS: tuple[Subject, ...] = Subject.__args__  # type: ignore[attr-defined]
METHODS: tuple[Method, ...] = Method.__args__[:-1]  # type: ignore[attr-defined]
"""Those that every model has."""
STREET = Network("nr-urban-micro", devices=("ue*=phone,flops_per_s=5e9", "edge0=jetson-orin", "cloud0=datacentre-gpu"))
"""A cell with a server at its site, and the cloud. Of a phone's processor, an application gets a small share."""


NOISE = "noise "
"""Before a share: what crosses has Gaussian noise of that share of its root mean square, and is sent in fp32."""


@dataclasses.dataclass(frozen=True)
class Leakage:
    """Attacks on what crosses the cuts, without a network."""

    models: tuple[Subject, ...] = ()
    """minilm, smollm2-135m: texts; dinov2-small: digits of MNIST; whisper-tiny.en: questions. Empty: no attacks."""
    protections: tuple[str, ...] = ("fp32", "int8", "noise 0.3", "noise 1")
    """Number formats, and "noise SHARE": Gaussian noise of that share of the root mean square."""
    cuts: int = 3
    """Cuts that are attacked, from behind the first stage to the last one before the head. At least 1."""
    texts: int = 300
    """Texts of the attacker, of 32 tokens; MiniLM's head is trained on them, too."""
    images: int = 200
    """Images of the attacker, of 64 patches; the head that tells digits is trained on them, too."""
    tests: int = 30
    """Texts or images of the device, on which success and agreement are measured. Questions: always 12."""
    hidden: int = 256
    """Units of the attacker's network."""
    steps: int = 150
    """Steps in which it is trained."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        from edgelam.inference.split.wire import check_format

        for name in ("cuts", "texts", "images", "tests", "hidden", "steps"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"leakage.{name} is {getattr(self, name)}; it must be at least 1")
        if not self.protections:
            raise ConfigurationError("leakage.protections are empty; fp32 is none")
        for protection in self.protections:
            if not protection.startswith(NOISE):
                check_format(protection)
                continue
            try:
                share = float(protection.removeprefix(NOISE))
            except ValueError:
                share = math.nan
            if not 0 <= share < math.inf:
                raise ConfigurationError(f"leakage.protections has {protection!r}; legal is {NOISE}SHARE, 0 or more")


@dataclasses.dataclass(frozen=True)
class Decoding:
    """Decoding with a small model on the device and SmolLM2 on a server."""

    methods: tuple[DecodingMethod, ...] = ()
    """edge-only, device-only: the whole model, token by token; co-located: speculative at the server alone;
    speculative: drafts of a fixed length; adaptive: of the length that pays; pipelined: that, drafting on while a
    draft is on its way; cascade: the small model writes where it is sure. Empty: no decoding."""
    drafts: tuple[DraftKind, ...] = ("distilled", "untrained")
    """The small model: the first 8 layers of SmolLM2 with what was distilled, or as they are. All are judged on texts;
    the first one decodes over the network."""
    texts: int = 16
    """Texts of each seed on which drafts are judged. At least 1."""
    delays_ms: tuple[float, ...] = (0.5, 5, 15, 40, 100)
    """Values of the network's option `delay`, one way; each is a simulation. Empty: the network as it is."""
    prompts: int = 2
    """Prompts of each seed that are decoded over the network, of 16 tokens. At least 1."""
    tokens: int = 32
    """Of an answer. At least 2."""
    draft_length: int = 4
    """Tokens of a draft, where that is fixed. At least 1."""
    threshold: float = 0.7
    """Confidence from which the small model of a cascade writes a token. 0 to 1."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        for name, least in (("texts", 1), ("prompts", 1), ("tokens", 2), ("draft_length", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"decoding.{name} is {getattr(self, name)}; it must be at least {least}")
        if not 0 <= self.threshold <= 1 or not all(0 <= delay < math.inf for delay in self.delays_ms):
            raise ConfigurationError(
                f"decoding.threshold is {self.threshold} and decoding.delays_ms {self.delays_ms}; legal are 0 to 1, "
                "and 0 or more, finite"
            )
        for name, least in (("methods", 0), ("drafts", 1), ("delays_ms", 0)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) < len(values):
                raise ConfigurationError(f"decoding.{name} are {values!r}; at least {least}, each once")


@dataclasses.dataclass(frozen=True)
class Rounding:
    """Weights, and what crosses the middle cut, in few bits, without a network."""

    models: tuple[Model, ...] = ()
    """Models that are measured. Empty: none."""
    formats: tuple[str, ...] = ("fp32", "fp16", "int8", "int4", "int4/32+16", "int3", "int2")
    """Number formats (docs/models.md); groups of 32, if nothing else is said."""
    inputs: int = 8
    """Of each of `num_seeds` groups, which have no input in common. At least 1."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        from edgelam.inference.split.wire import check_format

        if self.inputs < 1:
            raise ConfigurationError(f"rounding.inputs is {self.inputs}; it must be at least 1")
        for name, least in (("models", 0), ("formats", 1)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) < len(values):
                raise ConfigurationError(f"rounding.{name} are {values!r}; at least {least}, each once")
        for form in self.formats:
            check_format(form)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of split_inference. The defaults are the quick recipe."""

    seed: int = 1
    """Root of every random stream: inputs, network. 1 to 2147483647."""
    num_seeds: int = 5
    """Everything that crosses the network is done with so many seeds, from `seed` on."""
    network: Network = STREET
    """The network; users are of the role ue, and all models are also at a node of the role edge and at the cloud."""
    models: tuple[Model, ...] = WHOLE
    """minilm: a comment of ns-3 -> its module; efficientnet-lite0: a photo -> its ImageNet class; smollm2-135m: the
    beginning of a comment -> the next token; minilm-lattice, dinov2-lattice: a comment, or a digit, with trained exits
    after a third and two thirds of the layers."""
    methods: tuple[Method, ...] = METHODS
    """static: after half of the stages, fp16; neurosurgeon: the cut by regressions and bandwidth, fp32; planner: cut
    and number format of each request; exits: that, and the confidence from which an exit at the cut answers."""
    formats: tuple[str, ...] = ("fp32", "fp16", "int8", "int4/32+16")
    """Number formats of what crosses (docs/models.md)."""
    least_agreement: float = 0.95
    """The planner uses a format at a cut, and an exit, only if so many answers are those of the whole model. 0 to 1."""
    confidences: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    """From which an exit may answer. 0 to 1."""
    quality_samples: int = 12
    """Inputs on which that is measured."""
    users: int = 2
    """Devices that ask."""
    requests: int = 3
    """Requests of each user for each model, one after the other."""
    pause_s: float = 0.05
    """Mean pause between requests of a user (exponential)."""
    margin: float = 0.1
    """The planner changes its mind if it gains at least this share. 0 to less than 1."""
    sweep: bool = True
    """Also run every cut in every format, one user alone: what is really the fastest."""
    leakage: Leakage = Leakage()
    """What an attacker learns from what crosses."""
    rounding: Rounding = Rounding()
    """Quality beside bytes of weights and of what crosses."""
    decoding: Decoding = Decoding()
    """A small and a large language model together."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        from edgelam.inference.split.wire import check_format

        for name, least in (("num_seeds", 1), ("quality_samples", 1), ("users", 1), ("requests", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if not 1 <= self.seed <= 2**31 - self.num_seeds:
            raise ConfigurationError(f"seed is {self.seed}; with num_seeds it must be from 1 to 2147483647")
        for name in ("models", "methods", "formats"):
            values = getattr(self, name)
            others = self.leakage.models or self.decoding.methods or self.rounding.models
            least = 0 if others and name != "formats" else 1
            if len(values) < least or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least {least}, each once")
        for form in self.formats:
            check_format(form)
        for form, method in (("fp32", "neurosurgeon"), ("fp16", "static")):
            if method in self.methods and form not in self.formats:
                raise ConfigurationError(f"formats lack {form}, which method {method} uses")
        if not 0 <= self.least_agreement <= 1 or not 0 <= self.margin < 1:
            raise ConfigurationError(
                f"least_agreement is {self.least_agreement} and margin {self.margin}; legal are 0 to 1, and 0 to less "
                "than 1"
            )
        if not self.confidences or not all(0 <= confidence <= 1 for confidence in self.confidences):
            raise ConfigurationError(f"confidences are {self.confidences}; legal are 0 to 1, at least one")
        if "exits" in self.methods and set(self.models) & set(WHOLE):
            raise ConfigurationError(
                f"models {', '.join(sorted(set(self.models) & set(WHOLE)))} have no trained exits, which method exits "
                "uses; minilm-lattice and dinov2-lattice have"
            )
        if not self.pause_s > 0:
            raise ConfigurationError(f"pause_s is {self.pause_s}; it must be above 0")


def quick() -> Config:
    """Three models, six methods, five seeds: at most 4 minutes on 2 cores."""
    return Config()


def text() -> Config:
    """MiniLM alone, which needs no models to be fetched, one seed: a minute."""
    return Config(models=("minilm",), num_seeds=1)


def narrow() -> Config:
    """EfficientNet-Lite in a cell of 10 MHz, five seeds, where an inner cut is the fastest: a minute."""
    return Config(models=("efficientnet-lite0",), network=dataclasses.replace(STREET, options=("bandwidth=10",)))


def exits() -> Config:
    """MiniLM with trained exits on a phone of which an application gets more, five seeds: a planner with and without
    exits."""
    return Config(
        models=("minilm-lattice",), methods=("device-only", "edge-only", "planner", "exits"), sweep=False,
        quality_samples=100, requests=40, network=Network(
            "nr-urban-micro", devices=("ue*=phone,flops_per_s=4e10", "edge0=jetson-orin", "cloud0=datacentre-gpu")
        ),
    )  # fmt: skip


def leakage() -> Config:
    """Attacks on what crosses the cuts of four models, five seeds, without a network."""
    return Config(models=(), methods=(), sweep=False, leakage=Leakage(models=SUBJECTS))


def formats() -> Config:
    """Weights and what crosses in 8 to 2 bits: bytes beside agreement, accuracy and perplexity, five groups of inputs,
    without a network: five processor minutes."""
    return Config(models=(), methods=(), sweep=False, rounding=Rounding(models=WHOLE))


def decoding() -> Config:
    """SmolLM2 with a draft on a phone, over five delays and from a free and a shared server, five seeds."""
    star = Network(
        "wired-star", options=("rate=100Mbps",),
        devices=("ue*=phone", "edge0=jetson-orin", "edge1=jetson-orin,ways=8"),
    )  # fmt: skip
    return Config(
        models=(),
        methods=(),
        sweep=False,
        network=star,
        decoding=Decoding(methods=DecodingMethod.__args__),  # type: ignore[attr-defined]
    )


RECIPES = {
    "quick": quick,
    "text": text,
    "narrow": narrow,
    "exits": exits,
    "leakage": leakage,
    "formats": formats,
    "decoding": decoding,
}
