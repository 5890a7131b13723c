# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of split_inference and its recipes."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.runs.network import Network

Model = Literal["minilm", "efficientnet-lite0", "smollm2-135m"]
Method = Literal["device-only", "edge-only", "cloud-only", "static", "neurosurgeon", "planner"]
Subject = Literal["minilm", "smollm2-135m", "dinov2-small", "whisper-tiny.en"]
SUBJECTS: tuple[Subject, ...] = Subject.__args__  # type: ignore[attr-defined]
METHODS: tuple[Method, ...] = Method.__args__  # type: ignore[attr-defined]
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
class Config:
    """Everything that decides a run of split_inference. The defaults are the quick recipe."""

    seed: int = 1
    """Root of every random stream: inputs, network. 1 to 2147483647."""
    num_seeds: int = 5
    """Everything that crosses the network is done with so many seeds, from `seed` on."""
    network: Network = STREET
    """The network; users are of the role ue, and all models are also at a node of the role edge and at the cloud."""
    models: tuple[Model, ...] = ("minilm", "efficientnet-lite0", "smollm2-135m")
    """minilm: a comment of ns-3 -> its module; efficientnet-lite0: a photo -> its ImageNet class; smollm2-135m: the
    beginning of a comment -> the next token."""
    methods: tuple[Method, ...] = METHODS
    """static: after half of the stages, fp16; neurosurgeon: the cut by regressions and bandwidth, fp32; planner: cut
    and number format of each request."""
    formats: tuple[str, ...] = ("fp32", "fp16", "int8", "int4/32+16")
    """Number formats of what crosses (docs/models.md)."""
    least_agreement: float = 0.95
    """The planner uses a format at a cut only if so many answers are those of the whole model. 0 to 1."""
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
            least = 0 if self.leakage.models and name != "formats" else 1
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


def leakage() -> Config:
    """Attacks on what crosses the cuts of four models, five seeds, without a network."""
    return Config(models=(), methods=(), sweep=False, leakage=Leakage(models=SUBJECTS))


RECIPES = {"quick": quick, "text": text, "narrow": narrow, "leakage": leakage}
