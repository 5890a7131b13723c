# SPDX-License-Identifier: GPL-2.0-only
"""The looped transformer on one device: one block whose parameters are reused at every depth, as in ALBERT (arXiv
1909.11942), with the embedding and the head around it. Also its configuration, which every file beside this one reads.

    x0 = norm(token table [ids] + positions)
    repeat `loops` times:   x = norm(x + attention(x));   x = norm(x + W2 gelu(W1 x + b1) + b2)
    logits = head(x)        at every token, or of the mean over the tokens

Norms stand behind the residual sums, as in BERT. There is no dropout. Attention is written out (scores, softmax,
product), without a fused kernel, so that the memory that is counted is the memory that a plain device takes.

Shape suffixes: B batch, L length, D width, H heads, F columns of the feed-forward, V vocabulary, C outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.learning import optimisers
from edgelam.random_streams import derive_seed, torch_generator

Encoding = Literal["fp64", "fp32", "fp16", "bf16", "int8"]
IGNORED = -100
"""A label that does not count, as in PyTorch's cross_entropy."""


@dataclass(frozen=True)
class LoopedConfig:
    """Everything that decides what is learned and what crosses the network; the split and the machines come beside it.

    Raises ConfigurationError for a value that is not legal.
    """

    width: int = 48
    """D: features of a token."""
    num_heads: int = 6
    """H: attention heads, each of width / num_heads features. Devices get whole heads."""
    feed_forward: int = 192
    """F: columns of the feed-forward part. Devices get whole columns."""
    loops: int = 4
    """How many times the block is applied."""
    vocabulary: int = 256
    """V: rows of the token table."""
    max_length: int = 128
    """Longest sequence, rows of the position table."""
    num_outputs: int = 256
    """C: classes, or the vocabulary of a language model."""
    head: Literal["tokens", "pooled"] = "tokens"
    """tokens: one prediction for each token (labels [B, L]); pooled: one for each sample (labels [B])."""
    causal: bool = True
    """Whether a token sees only those before it."""

    nonlinearity: Literal["server", "device"] = "device"
    """Who applies GELU. server: devices send their pre-activations, get their slices back and go on, which adds 2 F
    values a token, depth and step each way; device: each to its own columns."""
    inputs: Literal["replicated", "encoded"] = "replicated"
    """replicated: the server has the raw input and the embedding, and sends the embedded tokens to every device, as it
    does at every other depth. encoded: devices have the raw input, each with its columns of the embedding (those of
    its heads), and send their columns of the embedded tokens; the server never has the raw input."""
    owner: str | None = None
    """The node that owns the data. replicated: it sends raw input and labels to the server at every step; encoded: it
    sends the raw input to the other devices and the labels to the server. None: the data are in place (replicated: on
    the server; encoded: on every device, and labels on the server)."""
    downlink: Literal["unicast", "multicast"] = "unicast"
    """How what is the same for all devices goes down: a tcp transfer for each device, or one udp multicast, whose lost
    rows are asked for and repaired over tcp."""
    encoding: Encoding = "fp32"
    """Number format of activations and their gradients on the wire."""
    weight_encoding: Literal["fp64", "fp32"] = "fp32"
    """Number format of shards on the wire, where they are handed out and collected."""
    dtype: Literal["float32", "float64"] = "float32"
    """In which the model computes."""

    learning_rate: float = 1e-3
    """Of AdamW (betas 0.9 and 0.999, no weight decay)."""
    checkpoint_every: int = 10
    """After so many steps each, all devices send their shards with optimiser state to the server, so that a device may
    be lost; 0: never, and then a lost device means that the training begins anew."""
    patience_s: float | None = None
    """Simulated seconds that the server waits for a device in one exchange (also of a shard) before it counts as lost;
    None: as long as the device's connection lasts."""
    noise: float = 0.0
    """Gaussian noise that devices add to what they send up, as a share of its root mean square. A remedy that costs
    accuracy, see docs/tensor-parallel.md."""
    secure_aggregation: bool = False
    """Partial sums go up under pairwise masks, 8 bytes a value, so that the server learns their sum only."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name in ("width", "num_heads", "feed_forward", "loops", "vocabulary", "max_length", "num_outputs"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigurationError(f"{name} is {value!r}; it must be a whole number from 1")
        if self.width % self.num_heads:
            raise ConfigurationError(
                f"width {self.width} is not divisible by num_heads {self.num_heads}: a head has width / num_heads "
                "features"
            )
        choices: dict[str, tuple[str, ...]] = {
            "head": ("tokens", "pooled"), "nonlinearity": ("server", "device"), "inputs": ("replicated", "encoded"),
            "downlink": ("unicast", "multicast"), "encoding": ("fp64", "fp32", "fp16", "bf16", "int8"),
            "weight_encoding": ("fp64", "fp32"), "dtype": ("float32", "float64"),
        }  # fmt: skip
        for name, legal in choices.items():
            if getattr(self, name) not in legal:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; legal are {', '.join(legal)}")
        if not 0.0 < self.learning_rate < math.inf:
            raise ConfigurationError(f"learning_rate is {self.learning_rate!r}; it must be positive and finite")
        if type(self.checkpoint_every) is not int or self.checkpoint_every < 0:
            raise ConfigurationError(
                f"checkpoint_every is {self.checkpoint_every!r}; a number of steps, or 0 for never"
            )
        if self.patience_s is not None and not 0.0 < self.patience_s < math.inf:
            raise ConfigurationError(f"patience_s is {self.patience_s!r}; it must be positive, or None")
        if not 0.0 <= self.noise < math.inf:
            raise ConfigurationError(f"noise is {self.noise!r}; it must be from 0 and finite")
        if self.secure_aggregation and self.nonlinearity == "server":
            raise ConfigurationError(
                "secure_aggregation needs nonlinearity 'device': with 'server' the pre-activations of each device are "
                "put side by side, not summed, so masks would not cancel"
            )

    @property
    def head_width(self) -> int:
        """Features of a head."""
        return self.width // self.num_heads

    @property
    def value_bytes(self) -> int:
        """Bytes of a value in memory."""
        return 8 if self.dtype == "float64" else 4

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of the model."""
        return torch.float64 if self.dtype == "float64" else torch.float32

    def check_length(self, length: int) -> None:
        """Raise ConfigurationError for sequences longer than the position table."""
        if not 1 <= length <= self.max_length:
            raise ConfigurationError(f"sequences of {length} tokens: max_length is {self.max_length}")


@dataclass(frozen=True)
class Batch:
    """The global batch of one step. inputs: [B, L] int64; labels: [B, L] or [B] int64 (see LoopedConfig.head)."""

    inputs: Tensor
    labels: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(B, L)."""
        return int(self.inputs.shape[0]), int(self.inputs.shape[1])

    def check(self, config: LoopedConfig) -> None:
        """Raise ConfigurationError where it does not fit the configuration."""
        if self.inputs.dim() != 2 or 0 in self.inputs.shape or self.inputs.dtype != torch.int64:
            raise ConfigurationError(
                f"inputs are {self.inputs.dtype} {tuple(self.inputs.shape)}; int64 token ids [B, L] are needed"
            )
        config.check_length(self.inputs.shape[1])
        wanted = tuple(self.inputs.shape) if config.head == "tokens" else (len(self.inputs),)
        if tuple(self.labels.shape) != wanted or self.labels.dtype != torch.int64:
            raise ConfigurationError(
                f"labels are {self.labels.dtype} {tuple(self.labels.shape)}; with head {config.head!r} int64 {wanted}"
            )
        for name, ids, limit in (
            ("inputs", self.inputs, config.vocabulary), ("labels", self.labels[self.labels != IGNORED],
                                                         config.num_outputs),
        ):  # fmt: skip
            if ids.numel() and not (int(ids.min()) >= 0 and int(ids.max()) < limit):
                raise ConfigurationError(
                    f"{name} hold {int(ids.min())} to {int(ids.max())}; legal are 0 to {limit - 1}"
                )


Batches = Callable[[int], Batch]
"""The batch of a step, by its number from 0: the same whenever it is asked for."""


def split_heads(x_BLN: Tensor, head_width: int) -> Tensor:
    """[B, L, H * head_width] -> [B, H, L, head_width]."""
    B, L, N = x_BLN.shape
    return x_BLN.view(B, L, N // head_width, head_width).transpose(1, 2)


def attend(q_BLN: Tensor, k_BLN: Tensor, v_BLN: Tensor, *, head_width: int, causal: bool) -> Tensor:
    """Scaled dot-product attention (arXiv 1706.03762) of whole heads: [B, L, N] each -> [B, L, N]."""
    q, k, v = (split_heads(x, head_width) for x in (q_BLN / head_width**0.5, k_BLN, v_BLN))
    scores_BHLL = q @ k.transpose(2, 3)
    if causal:
        L = scores_BHLL.shape[-1]
        scores_BHLL = scores_BHLL + torch.full((L, L), -torch.inf, dtype=q.dtype, device=q.device).triu(1)
    context_BHLd = scores_BHLL.softmax(dim=-1) @ v
    return context_BHLd.transpose(1, 2).reshape(q_BLN.shape)


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy (nats) over the labels that count; logits [B, L, C] or [B, C]."""
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


class LoopedModel(nn.Module):
    """The whole model on one device: what the split one is equal to, and what it begins with."""

    def __init__(self, config: LoopedConfig, seed: int = 0) -> None:
        """Weights from N(0, 0.02^2) by `seed`, as BERT's; biases 0, norms 1. On the meta device without values."""
        super().__init__()
        self.config = config
        D, kind = config.width, config.torch_dtype
        self.tokens = nn.Embedding(config.vocabulary, D, dtype=kind)
        self.positions = nn.Embedding(config.max_length, D, dtype=kind)
        self.embedding_norm = nn.LayerNorm(D, dtype=kind)
        self.query, self.key, self.value, self.output = (nn.Linear(D, D, dtype=kind) for _ in range(4))
        self.attention_norm = nn.LayerNorm(D, dtype=kind)
        self.inner = nn.Linear(D, config.feed_forward, dtype=kind)
        self.outer = nn.Linear(config.feed_forward, D, dtype=kind)
        self.feed_forward_norm = nn.LayerNorm(D, dtype=kind)
        self.head = nn.Linear(D, config.num_outputs, dtype=kind)
        generator = torch_generator(derive_seed(seed, "weights of the looped model"))
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.endswith(".bias"):
                    weight.zero_()
                elif "norm" in name:
                    weight.fill_(1.0)
                elif weight.device.type != "meta":
                    weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.02)

    def forward(self, inputs_BL: Tensor) -> Tensor:
        """[B, L] int64 -> logits [B, L, C], or [B, C] with head "pooled"."""
        config = self.config
        config.check_length(inputs_BL.shape[1])
        x = self.embedding_norm(self.tokens(inputs_BL) + self.positions.weight[: inputs_BL.shape[1]])
        for _ in range(config.loops):
            context = attend(
                self.query(x), self.key(x), self.value(x), head_width=config.head_width, causal=config.causal
            )
            x = self.attention_norm(x + self.output(context))
            x = self.feed_forward_norm(x + self.outer(F.gelu(self.inner(x))))
        return self.head(x if config.head == "tokens" else x.mean(dim=1))


def train_alone(config: LoopedConfig, batches: Batches, steps: int, *, seed: int = 0,
                model: LoopedModel | None = None) -> tuple[LoopedModel, list[float]]:  # fmt: skip
    """Train on one device without any network; the model and the loss of every step."""
    model = model or LoopedModel(config, seed)
    optimiser = optimisers.make("adamw", model.parameters(), config.learning_rate)
    losses = []
    for step in range(steps):
        batch = batches(step)
        batch.check(config)
        optimiser.zero_grad()
        loss = loss_of(model(batch.inputs), batch.labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return model, losses
