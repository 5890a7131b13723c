# SPDX-License-Identifier: GPL-2.0-only
"""The learning of looped tensor parallelism, without any network: what a device and what the server computes.

Every function is one step between two messages. Each keeps the piece of PyTorch's graph that it made, so that the
gradient that comes back later goes through it: the last piece made is the first to be differentiated.

Shape suffixes: B batch, L length, D width, N features of a device's heads, F columns of a device, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import Parameter

from edgelam.learning import optimisers
from edgelam.parallel.looped_model import Batch, LoopedConfig, attend, loss_of
from edgelam.parallel.looped_split import State

Piece = tuple[tuple[Tensor, ...], GradientEdge]
"""Leaves, and where the gradient of what was made of them goes in; its values are not kept."""


class Part:
    """Parameters by name with their AdamW, and a stack of graph pieces for each kind of work."""

    def __init__(self, config: LoopedConfig, state: Mapping[str, Tensor], moments: Mapping[str, State] | None,
                 steps_done: int) -> None:  # fmt: skip
        """state: own parameters; moments: "exp_avg" and "exp_avg_sq" for each (None: a fresh optimiser)."""
        self.config = config
        self.weights = {name: Parameter(tensor.to(config.torch_dtype, copy=True)) for name, tensor in state.items()}
        self.optimiser = optimisers.make("adamw", self.weights.values(), config.learning_rate) if state else None
        for name, weight in self.weights.items():
            if moments is not None and steps_done:
                assert self.optimiser is not None
                own = {kind: tensors[name].to(weight.dtype, copy=True) for kind, tensors in moments.items()}
                self.optimiser.state[weight] = {"step": torch.tensor(float(steps_done)), **own}
        self._pieces: dict[str, list[Piece]] = {}

    def keep(self, work: str, leaves: Sequence[Tensor], made: Tensor) -> Tensor:
        """Remember a piece; what was made, for sending."""
        self._pieces.setdefault(work, []).append((tuple(leaves), get_gradient_edge(made)))
        return made.detach()

    def back(self, work: str, gradient: Tensor) -> tuple[Tensor, ...]:
        """Differentiate the last piece of this work: the gradients of its leaves; those of weights add up."""
        leaves, edge = self._pieces[work].pop()
        torch.autograd.backward((edge,), (gradient.to(self.config.torch_dtype),))
        found = []
        for leaf in leaves:
            assert leaf.grad is not None
            found.append(leaf.grad)
        return tuple(found)

    def pieces(self, work: str) -> int:
        """How many pieces of this work wait for their gradient."""
        return len(self._pieces.get(work, ()))

    def forget(self) -> None:
        """Give up what was done of a step."""
        self._pieces.clear()
        for weight in self.weights.values():
            weight.grad = None

    def update(self) -> None:
        """One step of the optimiser; then everything of the step is forgotten."""
        if self.optimiser is not None:
            self.optimiser.step()
        self.forget()

    def state(self) -> State:
        """Copies of the weights."""
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    def moments(self) -> dict[str, State]:
        """Copies of the optimiser's moments, zeros before its first step."""
        found: dict[str, State] = {"exp_avg": {}, "exp_avg_sq": {}}
        for name, weight in self.weights.items():
            held = self.optimiser.state.get(weight, {}) if self.optimiser else {}
            for kind, moments in found.items():
                moments[name] = held[kind].clone() if kind in held else torch.zeros_like(weight.detach())
        return found


def leaf(x: Tensor, config: LoopedConfig) -> Tensor:
    """What arrived, as the beginning of a graph piece."""
    return x.detach().to(config.torch_dtype).requires_grad_(True)


class DevicePart(Part):
    """A device's shard: some heads, some columns, and with encoded inputs some columns of the embedding."""

    def encode(self, inputs_BL: Tensor) -> Tensor:
        """Raw input -> its columns of the embedded tokens [B, L, N]."""
        w = self.weights
        made = F.embedding(inputs_BL, w["tokens.weight"]) + w["positions.weight"][: inputs_BL.shape[1]]
        return self.keep("encode", (), made)

    def attend(self, x_BLD: Tensor) -> Tensor:
        """Its partial sum of the attention's output [B, L, D], without bias."""
        w, x = self.weights, leaf(x_BLD, self.config)
        q, k, v = (F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"]) for name in ("query", "key", "value"))
        context = attend(q, k, v, head_width=self.config.head_width, causal=self.config.causal)
        return self.keep("attend", (x,), F.linear(context, w["output.weight"]))

    def pre_activate(self, x_BLD: Tensor) -> Tensor:
        """Its pre-activations of the feed-forward part [B, L, F] (GELU at the server)."""
        x = leaf(x_BLD, self.config)
        return self.keep("pre_activate", (x,), F.linear(x, self.weights["inner.weight"], self.weights["inner.bias"]))

    def project(self, g_BLF: Tensor) -> Tensor:
        """Its activated columns -> its partial sum [B, L, D], without bias (GELU at the server)."""
        g = leaf(g_BLF, self.config)
        return self.keep("project", (g,), F.linear(g, self.weights["outer.weight"]))

    def feed(self, x_BLD: Tensor) -> Tensor:
        """Its partial sum of the whole feed-forward part [B, L, D], without bias (GELU on the device)."""
        w, x = self.weights, leaf(x_BLD, self.config)
        hidden = F.gelu(F.linear(x, w["inner.weight"], w["inner.bias"]))
        return self.keep("feed", (x,), F.linear(hidden, w["outer.weight"]))


class ServerPart(Part):
    """Merging, residuals, norms, the non-linearity where it is the server's, embedding (replicated), head, loss."""

    def embed(self, inputs_BL: Tensor) -> Tensor:
        """Raw input -> embedded tokens [B, L, D] (replicated inputs)."""
        w = self.weights
        x = F.embedding(inputs_BL, w["tokens.weight"]) + w["positions.weight"][: inputs_BL.shape[1]]
        return self.keep("embed", (), self._norm("embedding_norm", x))

    def merge_encoded(self, columns: Sequence[Tensor]) -> Tensor:
        """The devices' columns of the embedded tokens, side by side -> [B, L, D] (encoded inputs)."""
        parts = [leaf(part, self.config) for part in columns]
        return self.keep("embed", parts, self._norm("embedding_norm", torch.cat(parts, dim=-1)))

    def merge(self, what: str, x_BLD: Tensor, partial_sums: Sequence[Tensor]) -> Tensor:
        """norm(x + sum of the partial sums + bias); what: "attention" or "feed_forward". The gradient of `back` is
        that of x on the residual path, and the same for every partial sum."""
        x = leaf(x_BLD, self.config)
        bias = self.weights["output.bias" if what == "attention" else "outer.bias"]
        total = sum(partial_sums[1:], start=partial_sums[0].to(x.dtype))
        return self.keep(what, (x,), self._norm(f"{what}_norm", x + total + bias))

    def activate(self, pre_activations: Sequence[Tensor]) -> list[Tensor]:
        """GELU of the devices' pre-activations, put side by side: the slice [B, L, F] of each."""
        u = leaf(torch.cat(list(pre_activations), dim=-1), self.config)
        made = self.keep("activate", (u,), F.gelu(u))
        return list(made.split([part.shape[-1] for part in pre_activations], dim=-1))

    def activate_back(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Gradients of the slices -> gradients of the pre-activations, a slice for each device."""
        [whole] = self.back("activate", torch.cat(list(gradients), dim=-1))
        return list(whole.split([part.shape[-1] for part in gradients], dim=-1))

    def loss(self, x_BLD: Tensor, batch: Batch) -> tuple[float, Tensor]:
        """The loss of the last depth's output, and its gradient [B, L, D]."""
        x = leaf(x_BLD, self.config)
        features = x if self.config.head == "tokens" else x.mean(dim=1)
        loss = loss_of(F.linear(features, self.weights["head.weight"], self.weights["head.bias"]), batch.labels)
        loss.backward()
        assert x.grad is not None
        return float(loss.detach()), x.grad

    def add(self, first: Tensor, others: Sequence[Tensor]) -> Tensor:
        """The gradient of an input: that of the residual path and those of the devices, in their order."""
        return sum((other.to(first.dtype) for other in others), start=first)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        w = self.weights
        return nn.functional.layer_norm(x, (self.config.width,), w[f"{name}.weight"], w[f"{name}.bias"])
