# SPDX-License-Identifier: GPL-2.0-only
"""The settings, with defaults, of split federated fine-tuning and of the methods with which it is compared.

A *step* is one optimiser step of the adapters with `batch_size * accumulation` samples of every device that takes
part. In split-fedft, a *round* is one step. The un-split methods do the same steps on the same samples in the same
order, so all methods have processed equally many samples at the end; fed-lora communicates once every `local_steps`
steps.
"""

from dataclasses import dataclass, field
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.federated.alignment.settings import AlignmentSettings
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.decomposition.settings import DecompositionSettings
from edgelam.learning.air_settings import AirSettings
from edgelam.learning.compressors.settings import CompressionSettings
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.learning.privacy.user import UserPrivacySettings
from edgelam.learning.robust.settings import RobustSettings
from edgelam.models.lora import LoraSettings

Encoding = Literal["fp64", "fp32", "fp16", "bf16", "int8"]
LARGEST_FLOAT32 = 3.4028234663852886e38


@dataclass(frozen=True)
class SplitFedFTSettings:
    """Everything that decides what is learned; the scenario decides network and machines."""

    task: str = "ns3-comments"
    """What to learn: "ns3-comments" (text, 12 classes), "digits" (images, 10 classes), fetched data ("mnist-5000":
    images, 10 classes; "basic-motions": series of two sensors, 4 classes; "accelerometer" or "gyroscope": one of them),
    or a file: .csv or .parquet with columns text,label, or .npz with tokens,labels."""
    objective: Literal["classification", "next-token", "contrastive"] = "classification"
    """classification: the class of a sample; next-token: each token of a text from those before it, with a decoder-only
    backbone, its own token table as frozen head, and cut tokens. Labels then only divide the data. contrastive
    (split-fedft only): vectors of two modalities of a sample that are near one another, as `alignment` says."""
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    """objective contrastive only: the second modality, and which devices have which."""
    test_fraction: float = 0.2
    """Share of a task's samples that is kept for testing, between 0 and 1. Tasks with their own split ignore it."""

    num_devices: int = 4
    """Number of devices that hold data; the scenario needs at least as many user devices."""
    partition: Literal["iid", "dirichlet"] = "dirichlet"
    """How the training set is divided: evenly at random, or with class shares drawn from Dirichlet(alpha)."""
    alpha: float = 1.0
    """Dirichlet parameter, positive. Small is uneven (0.1: few classes per device), large is even (100: nearly IID)."""

    labels_per_device: int = 0
    """Labelled samples that each device has, drawn from its part of the training set; 0: all of its part."""

    backbone: str = "minilm"
    """The transformer: "minilm" (installed, works offline), a fetched model ("smollm2-135m", or
    "dinov2-small", which reads images), a model folder, or a model in the local hub cache."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """Pre-trained weights, or the control: the same architecture with random weights, drawn from the seed."""
    lora: LoraSettings = field(default_factory=LoraSettings)
    """The low-rank adapters, the only weights that the server trains."""
    tuning: Literal["lora", "ia3", "full"] = "lora"
    """What is trained of the encoder. lora: low-rank adapters; ia3: vectors that scale keys, values and feed-forward
    layers; full: all weights. ia3 and full are averaged weight by weight (aggregation fedit)."""
    frozen_weights: Literal["plain", "int8", "int4"] = "plain"
    """The frozen weights: as they are, or rounded to integers in groups of 32 with a scale each, so that the model
    takes less to download and to hold."""
    installed: bool = False
    """Un-split methods: whether the frozen weights are on the devices beforehand, so that nothing is downloaded."""
    cut: Literal["tokens", "pooled"] = "pooled"
    """What the server sends down. tokens: one representation per token; pooled: one vector per sample (smaller)."""
    pooling: Literal["auto", "mean", "last"] = "auto"
    """How tokens become one vector: their mean, or the last token; auto: last for decoder-only backbones, else mean."""
    max_tokens: int = 32
    """Longest sequence in tokens, at least 2; longer texts are cut off, and images are scaled to as many patches."""
    train_embedding: bool = False
    """Also train the embedding module on the devices; this needs a fourth message (dLoss/d embedding, down)."""

    freeze_a: bool = False
    """split-fedft only: of each adapter train B alone (FFA-LoRA), so that noise on Jacobians enters the product
    linearly; A stays as it was drawn."""

    rounds: int = 60
    """Number of optimiser steps on the adapters, at least 1."""
    batch_size: int = 8
    """Samples that a device embeds and sends at once, at least 1."""
    accumulation: int = 1
    """Batches that a device contributes to one step, at least 1; gradients are accumulated over them."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    """Optimiser of the adapters and of the heads."""
    learning_rate: float = 3e-3
    """Learning rate of the adapters, positive."""
    head_learning_rate: float = 1e-2
    """Learning rate of the task heads, positive."""
    embedding_learning_rate: float = 1e-4
    """Learning rate of the embedding modules with train_embedding, positive."""
    head_averaging: Literal["none", "server"] = "server"
    """Who averages the task heads. none: nobody, so each device keeps its own head; server: the server, after each
    round (heads are sent up and down)."""
    local_steps: int = 5
    """fed-lora only: number of steps on the device between two exchanges of adapters, at least 1."""
    aggregation: Literal["fedit", "ffa-lora", "fedex-lora", "flora", "hetlora", "fedsa-lora"] = "fedit"
    """fed-lora only: how the server combines adapters. fedit averages A and B; ffa-lora trains and averages only B;
    fedex-lora also adds the residual of the averages to the frozen weights; flora adds the stack of all adapters to
    them; hetlora averages adapters of different ranks, padded with zeros; fedsa-lora averages A, and each device keeps
    a B of its own."""
    ranks: tuple[int, ...] = ()
    """fed-lora with flora or hetlora: rank of the adapters of ue0, ue1, ..., repeated as often as needed, up to
    lora.rank. Empty: lora.rank for all."""

    buffer: int = 2
    """fedbuff only: so many updates that have come in make a new version of the model, at least 1 (1: asynchronous)."""
    staleness_exponent: float = 0.5
    """fedbuff only: an update that is s versions behind weighs (1 + s) to minus this power; at least 0."""

    compression: CompressionSettings = field(default_factory=CompressionSettings)
    """fed-lora only: how the devices compress the updates of adapters (and heads) that they send up."""

    robust: RobustSettings = field(default_factory=RobustSettings)
    """fed-lora only: how updates are combined of which some may be wrong, and which devices send wrong ones."""

    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    """split-fedft only: differential privacy of what the devices tell about labels."""

    user_privacy: UserPrivacySettings = field(default_factory=UserPrivacySettings)
    """dp-fed-lora and air-fed-lora: differential privacy of each device's whole data."""

    air: AirSettings = field(default_factory=AirSettings)
    """air-fed-lora only: how updates add up in the air of a 5G cell."""

    allocation: AllocationSettings = field(default_factory=AllocationSettings)
    """split-fedft and fed-lora: who takes part in a round and with how much of a 5G cell's band."""

    decomposition: DecompositionSettings = field(default_factory=DecompositionSettings)
    """decomposed only: how many blocks of the model each device runs, with which rank and encoding."""

    encoding: Encoding = "fp16"
    """How embeddings, representations and Jacobians are encoded on the wire: 2 bytes per value with fp16; 1 byte per
    value, and 4 per token, with int8."""
    weight_encoding: Literal["fp64", "fp32", "fp16", "bf16"] = "fp16"
    """How weights are encoded on the wire: heads; in un-split methods also adapters and the downloaded model."""
    participation: float = 1.0
    """Share of the devices that is drawn at random for each round, above 0 and at most 1 (at least one device)."""
    round_deadline_s: float | None = None
    """Simulated seconds that a round may take before the straggler policy applies; None: no deadline."""
    stragglers: Literal["wait", "drop"] = "wait"
    """What happens to devices that are late at the deadline. wait: the server waits for and reports them; drop: the
    round leaves out their gradients, and the weights of the other devices are renormalised."""

    evaluations: int = 4
    """How many times a run evaluates the model, evenly spaced, the last time after the final round; at least 1."""
    test_samples: int = 400
    """Samples of the global test set that an evaluation uses (drawn once from the seed); 0: all samples."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        at_least_one = ("num_devices", "rounds", "batch_size", "accumulation", "local_steps", "evaluations")
        for name in at_least_one:
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("alpha", "learning_rate", "head_learning_rate", "embedding_learning_rate"):
            if not 0.0 < getattr(self, name) <= LARGEST_FLOAT32:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be a positive number up to 3.4e38")
        if self.buffer < 1:
            raise ConfigurationError(f"buffer is {self.buffer}; it must be at least 1")
        if not 0.0 <= self.staleness_exponent < float("inf"):
            raise ConfigurationError(f"staleness_exponent is {self.staleness_exponent}; it must be 0 or more")
        if self.max_tokens < 2:
            raise ConfigurationError(f"max_tokens is {self.max_tokens}; it must be at least 2")
        if not 0.0 < self.test_fraction < 1.0:
            raise ConfigurationError(f"test_fraction is {self.test_fraction}; it must be between 0 and 1 (exclusive)")
        if not 0.0 < self.participation <= 1.0:
            raise ConfigurationError(f"participation is {self.participation}; it must be above 0 and at most 1")
        if self.round_deadline_s is not None and not self.round_deadline_s > 0.0:
            raise ConfigurationError(f"round_deadline_s is {self.round_deadline_s}; it must be positive, or None")
        if self.stragglers == "drop" and self.round_deadline_s is None:
            raise ConfigurationError("stragglers is 'drop' but round_deadline_s is None; give a deadline in seconds")
        if self.aggregation in ("fedex-lora", "flora") and (self.participation < 1.0 or self.stragglers == "drop"):
            raise ConfigurationError(
                f"aggregation is {self.aggregation!r} with participation {self.participation} and stragglers "
                f"{self.stragglers!r}: it adds to frozen weights, so every device must get every round; legal are "
                "participation 1 and stragglers 'wait', or aggregation fedit or ffa-lora"
            )
        self._check_tuning()
        if self.objective == "contrastive":
            self.alignment.check(self.num_devices)
        if self.allocation.decides:
            self._check_allocation()
        if self.robust.rule != "none" or self.robust.poisoned:
            self._check_robust()
        if self.labels_per_device < 0:
            raise ConfigurationError(f"labels_per_device is {self.labels_per_device}; it must be 0 (all) or more")
        if self.test_samples < 0:
            raise ConfigurationError(f"test_samples is {self.test_samples}; it must be 0 (all) or more")

    def _check_tuning(self) -> None:
        if self.objective == "next-token":
            wrong = {
                f"cut {self.cut!r}": self.cut != "tokens", "privacy.clip": self.privacy.clip is not None,
                "privacy.attack": self.privacy.attack, "train_embedding": self.train_embedding,
            }  # fmt: skip
            for what in (name for name, is_wrong in wrong.items() if is_wrong):
                raise ConfigurationError(
                    f"objective is 'next-token' with {what}; legal are cut tokens, no privacy of labels (there are "
                    "none) and a frozen token table"
                )
        if self.tuning != "lora" and (self.aggregation != "fedit" or self.freeze_a):
            raise ConfigurationError(
                f"tuning is {self.tuning!r} with aggregation {self.aggregation!r} and freeze_a {self.freeze_a}, which "
                "are about low-rank adapters; legal are aggregation fedit and freeze_a False"
            )
        if self.frozen_weights != "plain" and (self.tuning == "full" or self.aggregation in ("fedex-lora", "flora")):
            raise ConfigurationError(
                f"frozen_weights are {self.frozen_weights!r} with tuning {self.tuning!r} and aggregation "
                f"{self.aggregation!r}, which change them; legal is frozen_weights plain"
            )
        if self.ranks and self.aggregation not in ("flora", "hetlora"):
            raise ConfigurationError(
                f"ranks are {self.ranks} with aggregation {self.aggregation!r}, which takes one rank; legal are flora, "
                "hetlora"
            )
        if any(not 1 <= rank <= self.lora.rank for rank in self.ranks):
            raise ConfigurationError(f"ranks are {self.ranks}; each must be from 1 to lora.rank, {self.lora.rank}")
        if self.ranks and self.compression.kind != "none":
            raise ConfigurationError(
                f"ranks are {self.ranks} with compression {self.compression.kind!r}; legal is compression none"
            )

    def _check_robust(self) -> None:
        what = f"robust rule {self.robust.rule!r} with {self.robust.poisoned} poisoned devices"
        if self.aggregation in ("fedex-lora", "flora", "hetlora"):
            raise ConfigurationError(
                f"{what} and aggregation {self.aggregation!r}, which sends more than an update; legal are fedit, "
                "ffa-lora"
            )
        if self.compression.kind != "none":
            raise ConfigurationError(f"{what} and compression {self.compression.kind!r}; legal is compression none")
        self.robust.check(max(1, round(self.participation * self.num_devices)))

    def _check_allocation(self) -> None:
        rule = self.allocation.rule
        if self.participation < 1.0:
            raise ConfigurationError(
                f"participation is {self.participation} with allocation rule {rule!r}, which decides who takes part; "
                "legal is participation 1, or rule random-k with allocation.devices"
            )
        if self.aggregation in ("fedex-lora", "flora"):
            raise ConfigurationError(
                f"aggregation is {self.aggregation!r} with allocation rule {rule!r}: it adds to frozen weights, so "
                "every device must get every round; legal are aggregation fedit or ffa-lora"
            )
        self.allocation.check(self.num_devices, self.rounds)

    def rank_of(self, device: int) -> int:
        """Return the rank of the adapters of a device of fed-lora, by its number."""
        return self.ranks[device % len(self.ranks)] if self.ranks else self.lora.rank

    @property
    def against_divergence(self) -> str:
        """Return advice for learning that diverges."""
        rates = f"learning_rate {self.learning_rate:g} and head_learning_rate {self.head_learning_rate:g}"
        if self.train_embedding:
            rates += f" and embedding_learning_rate {self.embedding_learning_rate:g}"
        half = [name for name in ("encoding", "weight_encoding") if getattr(self, name) == "fp16"]
        wider = f"; {' and '.join(half)} fp16 cannot transfer values above 65504; bf16 and fp32 can" if half else ""
        return f"Smaller rates than {rates} may help (search_factors tries several){wider}"

    def evaluates_after(self, round_number: int) -> bool:
        """Return whether an evaluation follows round `round_number` (0-based)."""
        done = round_number + 1
        return done * self.evaluations // self.rounds > round_number * self.evaluations // self.rounds
