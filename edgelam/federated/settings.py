# SPDX-License-Identifier: GPL-2.0-only
"""The settings of split federated fine-tuning and of the methods it is compared with, and what they are worth by
default.

Words: a *step* is one optimiser step on the adapters, fed by `batch_size * accumulation` samples of every device
that takes part. In split-fedft a *round* is one step. The un-split methods do the same steps on the same samples in
the same order, so that all methods have processed as many samples at the end; fed-lora communicates once
every `local_steps` steps.
"""

from dataclasses import dataclass, field
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings

Encoding = Literal["fp64", "fp32", "fp16", "bf16", "int8"]
LARGEST_FLOAT32 = 3.4028234663852886e38


@dataclass(frozen=True)
class SplitFedFTSettings:
    """Everything that decides what is learned; the network and the machines are the scenario's business."""

    task: str = "ns3-comments"
    """What to learn: "ns3-comments" (text, 12 classes), "digits" (2x2-patch tokens, 10 classes), or a file:
    .csv or .parquet with columns text,label, or .npz with tokens,labels."""
    test_fraction: float = 0.2
    """Share of a task's samples kept for testing, between 0 and 1 (tasks with a split of their own ignore it)."""

    num_devices: int = 4
    """Devices that hold data; the scenario needs at least as many user devices."""
    partition: Literal["iid", "dirichlet"] = "dirichlet"
    """How the training set is divided: evenly at random, or with class shares drawn from Dirichlet(alpha)."""
    alpha: float = 1.0
    """Dirichlet parameter, positive: small is uneven (0.1: few classes a device), large is even (100: nearly IID)."""

    backbone: str = "minilm"
    """The transformer: "minilm" (always there, offline), a model folder, or a model in the local hub cache."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """Pre-trained weights, or the control: the same architecture at random weights drawn from the seed."""
    lora: LoraSettings = field(default_factory=LoraSettings)
    """The low-rank adapters, the only weights the server trains."""
    cut: Literal["tokens", "pooled"] = "pooled"
    """What comes down: every token's representation, or one pooled vector a sample (smaller by the sequence length)."""
    pooling: Literal["auto", "mean", "last"] = "auto"
    """From tokens to one vector: their mean, or the last; auto: last for decoder-only backbones, else mean."""
    max_tokens: int = 32
    """Longest sequence in tokens; what is longer is cut off. At least 2."""
    train_embedding: bool = False
    """Train the embedding module on the devices too: costs a fourth message (dLoss/d embedding, down)."""

    rounds: int = 60
    """Optimiser steps on the adapters, at least 1."""
    batch_size: int = 8
    """Samples a device embeds and sends at once, at least 1."""
    accumulation: int = 1
    """Such batches a device contributes to one step, at least 1; gradients are accumulated over them."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    """Optimiser of the adapters and of the heads."""
    learning_rate: float = 3e-3
    """Learning rate of the adapters, positive."""
    head_learning_rate: float = 1e-2
    """Learning rate of the task heads, positive."""
    embedding_learning_rate: float = 1e-4
    """Learning rate of the embedding modules with train_embedding, positive."""
    head_averaging: Literal["none", "server"] = "server"
    """Who averages the task heads: nobody (each device keeps its own), or the server after each round (sent up and
    down)."""
    local_steps: int = 5
    """fed-lora only: steps on the device between two exchanges of adapters, at least 1."""
    aggregation: Literal["fedit", "ffa-lora", "fedex-lora", "flora"] = "fedit"
    """fed-lora only: how the server puts adapters together: fedit averages A and B; ffa-lora trains and averages B;
    fedex-lora adds what the averages leave out to the frozen weights; flora stacks all adapters into them."""

    encoding: Encoding = "fp16"
    """How embeddings, representations and Jacobians are encoded on the wire: 2 bytes a value with fp16, 1 (and 4 a
    token) with int8."""
    weight_encoding: Literal["fp64", "fp32", "fp16", "bf16"] = "fp16"
    """How weights are encoded on the wire: heads; for the un-split methods also adapters and the downloaded model."""
    participation: float = 1.0
    """Share of the devices drawn at random for each round, above 0 and at most 1 (at least one device is drawn)."""
    round_deadline_s: float | None = None
    """Simulated seconds a round may take before the straggler policy applies; None: no deadline."""
    stragglers: Literal["wait", "drop"] = "wait"
    """Devices late at the deadline: wait for them (and report them), or drop them: their gradient is left out of the
    round and the others' weights are renormalised."""

    evaluations: int = 4
    """How many times the model is evaluated during a run, evenly spaced, the last after the final round; at least 1."""
    test_samples: int = 400
    """Samples of the global test set used for an evaluation (drawn once from the seed); 0: all of them."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        at_least_one = ("num_devices", "rounds", "batch_size", "accumulation", "local_steps", "evaluations")
        for name in at_least_one:
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("alpha", "learning_rate", "head_learning_rate", "embedding_learning_rate"):
            if not 0.0 < getattr(self, name) <= LARGEST_FLOAT32:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be a positive number up to 3.4e38")
        if self.max_tokens < 2:
            raise ConfigurationError(f"max_tokens is {self.max_tokens}; it must be at least 2")
        if not 0.0 < self.test_fraction < 1.0:
            raise ConfigurationError(f"test_fraction is {self.test_fraction}; it must lie between 0 and 1 (exclusive)")
        if not 0.0 < self.participation <= 1.0:
            raise ConfigurationError(f"participation is {self.participation}; it must lie above 0 and at most 1")
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
        if self.test_samples < 0:
            raise ConfigurationError(f"test_samples is {self.test_samples}; it must be 0 (all) or more")

    @property
    def against_divergence(self) -> str:
        """What may help where the learning diverges."""
        rates = f"learning_rate {self.learning_rate:g} and head_learning_rate {self.head_learning_rate:g}"
        if self.train_embedding:
            rates += f" and embedding_learning_rate {self.embedding_learning_rate:g}"
        half = [name for name in ("encoding", "weight_encoding") if getattr(self, name) == "fp16"]
        wider = f"; {' and '.join(half)} fp16 transfers nothing above 65504, bf16 and fp32 do" if half else ""
        return f"Smaller rates than {rates} may help (search_factors tries several){wider}"

    def evaluates_after(self, round_number: int) -> bool:
        """Whether round `round_number` (0-based) is followed by an evaluation."""
        done = round_number + 1
        return done * self.evaluations // self.rounds > round_number * self.evaluations // self.rounds
