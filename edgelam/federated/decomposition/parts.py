# SPDX-License-Identifier: GPL-2.0-only
"""The learning of a decomposed model, without any network: what a device and the server compute in a step.

Every adapter is the server's. A device gets those of its own blocks, runs these forward and backward, and sends their
gradients, so that with adapters of one rank each step is that of the un-split model, wherever its model is cut.

With a smaller rank r, a device has the first r rows of A and columns of B, with the server's scale; the others get no
gradient from it (padded with zeros, as in HetLoRA, arXiv 2401.06432).

Shape suffixes: B batch, L padded length, T tokens of a device's batch without padding, D and H widths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from edgelam.federated.inputs import embed
from edgelam.federated.samples import Batch, Shard
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.federated.split_parts import Device, ServedEncoder
from edgelam.learning import optimisers
from edgelam.learning.memory import saved_for_backward, tensor_bytes
from edgelam.models import Encoder, Head, LanguageHead
from edgelam.models.blocks import Blocks
from edgelam.models.padding import mask_of, pack, unpack
from edgelam.random_streams import dropout_seed, torch_seeded

Tensors = dict[str, Tensor]


class DeviceBlocks(Device):
    """A device of split fine-tuning that also runs the first blocks of the model."""

    def __init__(self, embedding: nn.Module, head: Head | LanguageHead, shard: Shard, settings: SplitFedFTSettings,
                 blocks: Blocks, *, seed: int = 0) -> None:  # fmt: skip
        """blocks: of an encoder of its own (`Encoder.twin`); seed: of the dropout of its adapters."""
        super().__init__(embedding, head, shard, settings)
        self.blocks, self.cut = blocks, 0
        self.held = settings.decomposition.installed_blocks
        """Blocks whose frozen weights it has."""
        self._seed, self._forwards = seed, 0
        self._below: Tensor | None = None

    @property
    def whole(self) -> bool:
        """Whether all blocks are here, so that no activation leaves the device."""
        return self.cut == self.blocks.count

    def begin(self, cut: int, adapters: Mapping[str, Tensor]) -> None:
        """Begin a round with these adapters of the blocks below the cut; their shapes say with which rank."""
        self.cut = self.blocks.check(cut)
        put_adapters(self.blocks.encoder, adapters)

    def lower(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what enters the server's first block [T, H] and lengths [B] int32; with all blocks here, the
        representation as `loss_and_jacobian` takes it. With blocks of its own it may leave out tokens (`kept_tokens`).
        """
        encoder, share = self.blocks.encoder, self.settings.decomposition.token_share
        mask_BL = batch.mask
        seeded = torch_seeded(dropout_seed(self._seed, self._forwards))
        with seeded, saved_for_backward(encoder) as saved, torch.set_grad_enabled(self.cut > 0):
            out = self.blocks.lower(embed(self.embedding, batch, self.input_noise), batch.mask, self.cut)
            if share < 1.0 and 0 < self.cut < self.blocks.count:
                mask_BL = kept_tokens(out.detach(), mask_BL, share)
            if not self.whole or self.settings.cut == "tokens":
                out = pack(out, mask_BL)
        self._forwards += 1
        self._below = out if self.cut > 0 else None
        self.saved_bytes = saved.num_bytes
        return out.detach(), mask_BL.sum(dim=1, dtype=torch.int32)

    def backward(self, gradient: Tensor, batch: Batch) -> None:
        """Back-propagate the derivative of the batch's mean loss by what `lower` has returned, of the same shape."""
        assert self._below is not None
        self._below.backward(gradient.to(self._below.dtype) * len(batch))
        self._below = None

    def adapter_gradients(self, samples: int) -> Tensors:
        """Return the mean gradient over `samples` of each adapter below the cut, and forget it."""
        own = self.blocks.weights(dict(self.blocks.encoder.lora), 0, self.cut)
        found = {}
        for name, parameter in own.items():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad / max(samples, 1)
            found[name] = gradient.detach()
            parameter.grad = None
        return found

    def update(self) -> None:
        """Do one step of the head's optimiser; the way back through the blocks may still come."""
        below = self._below
        super().update()
        self._below = below

    def give_up(self) -> None:
        """Forget the gradients since the last update."""
        super().give_up()
        self._below = None

    def state(self) -> Tensors:
        """Return what a checkpoint keeps, between two rounds; adapters are the server's."""
        return super().state() | {"forwards": torch.tensor(self._forwards), "held": torch.tensor(self.held)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""
        super().load(state)
        self._forwards, self.held = int(state["forwards"]), int(state["held"])

    def resident_bytes(self) -> int:
        """Parameters of embedding, head and held blocks, gradients, and the optimiser's state of the head."""
        base, own = (
            self.blocks.weights(named, 0, stop)
            for named, stop in ((self.blocks.encoder.base(), self.held), (dict(self.blocks.encoder.lora), self.cut))
        )
        return super().resident_bytes() + tensor_bytes(base.values()) + 2 * tensor_bytes(own.values())


def kept_tokens(hidden_BLH: Tensor, mask_BL: Tensor, share: float) -> Tensor:
    """Return a mask [B, L] with a share of each sample's tokens, rounded up: the first one, of which BERT makes the
    sample's own, and those that are farthest from the mean of all."""
    counts_B = mask_BL.sum(dim=1, keepdim=True)
    mean_B1H = (hidden_BLH * mask_BL[..., None]).sum(dim=1, keepdim=True) / counts_B[..., None]
    apart_BL = (hidden_BLH - mean_B1H).square().sum(dim=2).masked_fill(~mask_BL, -1.0)
    apart_BL[torch.arange(len(mask_BL)), mask_BL.int().argmax(dim=1)] = torch.inf
    order_BL = apart_BL.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(mask_BL.shape[1]).expand_as(order_BL)
    rank_BL = torch.empty_like(order_BL).scatter_(1, order_BL, places)
    return mask_BL & (rank_BL < torch.ceil(share * counts_B))


def put_adapters(encoder: Encoder, adapters: Mapping[str, Tensor]) -> None:
    """Put adapters into an encoder, whatever their rank; parts of it that share its weights have them, too."""
    for name, given in adapters.items():
        weight = encoder.lora[name]
        weight.grad = None
        weight.data = given.detach().clone().to(weight.dtype)


def cut_rank(name: str, weight: Tensor, rank: int) -> Tensor:
    """Return the first `rank` rows of an A [rank, in], or columns of a B [out, rank]."""
    return weight[:rank] if "lora_A" in name else weight[:, :rank]


@dataclass
class _Group:
    """Devices with the same cut in one forward pass."""

    leaf: Tensor
    out: Tensor
    names: list[str]
    rows: dict[str, tuple[int, int]]
    """Of each device in `leaf`, packed: first and count."""
    pieces: dict[str, Tensor] = field(default_factory=dict)


class ServerBlocks(ServedEncoder):
    """The server: all adapters, and the blocks above each device's cut."""

    def __init__(self, blocks: Blocks, settings: SplitFedFTSettings, *, seed: int = 0) -> None:
        """Train all adapters of the encoder of `blocks`."""
        super().__init__(blocks.encoder, settings, seed=seed)
        self.blocks = blocks
        self._groups: list[_Group] = []
        self._sizes: dict[str, int] = {}

    def adapters(self, cut: int, rank: int) -> Tensors:
        """Return the adapters of the blocks below a cut, with that rank."""
        own = self.blocks.weights(dict(self.encoder.lora), 0, cut)
        return {name: cut_rank(name, parameter.detach(), rank).clone() for name, parameter in own.items()}

    def represent(self, arrived: Mapping[str, tuple[Tensor, Tensor, int]]) -> Tensors:
        """Turn what each device has sent (what enters block `cut` [T, H], lengths [B], cut) into representations."""
        self._groups, self._sizes, self.saved_bytes = [], {n: len(each[1]) for n, each in arrived.items()}, 0
        for cut in sorted({each[2] for each in arrived.values()}):
            names = [name for name, each in arrived.items() if each[2] == cut]
            lengths = torch.cat([arrived[name][1] for name in names])
            mask_BL = mask_of(lengths)
            packed = torch.cat([arrived[name][0] for name in names]).detach().requires_grad_(cut > 0)
            seeded = torch_seeded(dropout_seed(self._seed, self.forwards))
            with seeded, saved_for_backward(self.encoder) as saved:
                out = self.blocks.upper(unpack(packed, mask_BL), mask_BL, cut)
                if self.settings.cut == "tokens":
                    out = pack(out, mask_BL)
            self.forwards += 1
            self.saved_bytes += saved.num_bytes
            counts = [len(arrived[name][0]) for name in names]
            firsts = [sum(counts[:k]) for k in range(len(names))]
            group = _Group(packed, out, names, dict(zip(names, zip(firsts, counts, strict=True), strict=True)))
            sizes = counts if self.settings.cut == "tokens" else [self._sizes[name] for name in names]
            group.pieces = dict(zip(names, out.split(sizes), strict=True))
            self._groups.append(group)
        return {name: piece.detach() for group in self._groups for name, piece in group.pieces.items()}

    def backward(self, jacobians: Mapping[str, Tensor]) -> Tensors:
        """Back-propagate Jacobians (shaped as representations); return by device, with blocks of its own, the
        derivative of its mean loss by what it sent [T, H]."""
        gradients: Tensors = {}
        for group in self._groups:
            names = [name for name in group.names if name in jacobians]
            if not names:
                continue
            torch.autograd.backward(
                [group.pieces[name] for name in names],
                [jacobians[name].to(group.out.dtype) * self._sizes[name] for name in names],
            )
            self._samples += sum(self._sizes[name] for name in names)
            if group.leaf.grad is not None:
                for name in names:
                    first, count = group.rows[name]
                    gradients[name] = group.leaf.grad[first : first + count] / self._sizes[name]
        self._groups = []
        return gradients

    def add(self, gradients: Mapping[str, Tensor], samples: int, *, counts: bool) -> None:
        """Add a device's mean gradients of its own adapters; those that it does not have count as 0.

        counts: whether its samples are to be counted here, because no Jacobian of it arrived.
        """
        for name, gradient in gradients.items():
            parameter = self.encoder.lora[name]
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            rank = len(gradient) if "lora_A" in name else gradient.shape[1]
            cut_rank(name, parameter.grad, rank).add_(gradient.to(parameter.dtype) * samples)
        if counts:
            self._samples += samples

    def resident_bytes(self) -> int:
        """Parameters, their gradients and optimiser state; buffers are not counted."""
        state = optimisers.STATE_PER_WEIGHT[self.settings.optimiser]
        return tensor_bytes(self.encoder.parameters()) + (1 + state) * tensor_bytes(self.encoder.lora.values())
