# SPDX-License-Identifier: GPL-2.0-only
"""The learning of split fine-tuning, without any network: what a device and the server compute in a step.

See split_fedft.py for the messages between them. Shape suffixes: B batch, L padded length, T tokens of a device's
batch without padding, D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.federated.attacks import SentJacobians
from edgelam.federated.inputs import InputNoise, embed
from edgelam.federated.private import Releases
from edgelam.federated.samples import Batch, Shard
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.learning import optimisers
from edgelam.learning.aggregation.ffa_lora import FFALoRA
from edgelam.learning.course import load_optimiser, named, of, optimiser_state
from edgelam.learning.memory import saved_for_backward, training_bytes
from edgelam.models import Encoder, Head, LanguageHead, Unsplit
from edgelam.models.padding import mask_of, pack, unpack
from edgelam.random_streams import dropout_seed, torch_seeded


class Device:
    """The learning on one device, without a network: embed, then turn a representation into a loss and its Jacobian."""

    def __init__(
        self, embedding: nn.Module, head: Head | LanguageHead, shard: Shard, settings: SplitFedFTSettings, *,
        noise_seed: int = 0, input_noise: InputNoise | None = None,
    ) -> None:  # fmt: skip
        """A device has its embedding module (shared by all devices if it is frozen), its head and its data.

        noise_seed: of the noise on Jacobians and head gradients; input_noise: on embeddings.
        """
        self.embedding, self.head, self.shard, self.settings = embedding, head, shard, settings
        self.input_noise = input_noise
        self._head_optimiser = optimisers.make(settings.optimiser, head.parameters(), settings.head_learning_rate)
        self._embedding_optimiser = (
            optimisers.make(settings.optimiser, embedding.parameters(), settings.embedding_learning_rate)
            if settings.train_embedding
            else None
        )
        self.releases = (
            Releases(settings.privacy, len(shard), noise_seed) if settings.privacy.clip is not None else None
        )
        self.sent = SentJacobians() if settings.privacy.attack else None
        self._samples = 0
        self._embedded: Tensor | None = None
        self.saved_bytes = 0

    def batch(self, step: int, part: int) -> Batch:
        """Return the samples of (step, part), about which something is about to be released."""
        if self.releases is not None:
            self.releases.note(self.shard.indices(step, part))
        return self.shard.batch(step, part)

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the batch's tokens [T, D], detached, and each sample's number of tokens [B] int32."""
        with saved_for_backward(self.embedding) as saved, torch.set_grad_enabled(self.settings.train_embedding):
            tokens_TD = pack(embed(self.embedding, batch, self.input_noise), batch.mask)
        self._embedded = tokens_TD if self.settings.train_embedding else None
        self.saved_bytes = saved.num_bytes
        return tokens_TD.detach(), batch.mask.sum(dim=1, dtype=torch.int32)

    def loss_and_jacobian(self, representation: Tensor, batch: Batch) -> tuple[float, Tensor]:
        """Return the batch's mean cross-entropy (nats), and its derivative by the representation, of the same shape.

        representation: [B, D] (cut "pooled") or [T, D] (cut "tokens"). The head's gradient is added up, weighted by
        samples. With privacy, both are clipped for each sample, and noisy.
        """
        leaf = representation.detach().requires_grad_(True)
        with saved_for_backward(self.head) as saved:
            on_head = unpack(leaf, batch.mask) if self.settings.cut == "tokens" else leaf
            logits = self.head(on_head, batch.mask)
            loss = self.head.loss(logits, batch.labels, batch.inputs, batch.mask)
        self.saved_bytes = saved.num_bytes
        self._samples += len(batch)
        if self.releases is not None:
            jacobian = self._private_gradients(logits, leaf, batch) / len(batch)
        else:
            (loss * len(batch)).backward()
            assert leaf.grad is not None
            jacobian = leaf.grad / len(batch)
        if self.sent is not None:
            self.sent.note(jacobian, batch)
        return float(loss.detach()), jacobian

    def _private_gradients(self, logits: Tensor, leaf: Tensor, batch: Batch) -> Tensor:
        """Add to the head's gradient; return the derivatives of the samples' losses by their rows of `leaf`."""
        assert self.releases is not None
        loss_B = F.cross_entropy(logits, batch.labels, reduction="none")
        parameters = [p for p in self.head.parameters() if p.requires_grad]
        per_sample = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in loss_B]
        for parameter, noisy in zip(parameters, self.releases.head_gradient(per_sample), strict=True):
            parameter.grad = noisy if parameter.grad is None else parameter.grad + noisy
        (rows,) = torch.autograd.grad(loss_B.sum(), leaf)
        rows_of = batch.mask.sum(dim=1) if self.settings.cut == "tokens" else torch.ones(len(batch), dtype=torch.int64)
        return self.releases.jacobian(rows, torch.arange(len(batch)).repeat_interleave(rows_of))

    def accept_embedding_gradient(self, gradient_TD: Tensor, batch: Batch) -> None:
        """Back-propagate dL_k/d embedding [T, D] through the embedding module (train_embedding)."""
        assert self._embedded is not None
        self._embedded.backward(gradient_TD * len(batch))
        self._embedded = None

    def update(self) -> None:
        """Do one optimiser step of what the device trains, with the mean gradient of the samples since the last."""
        for optimiser, module in ((self._head_optimiser, self.head), (self._embedding_optimiser, self.embedding)):
            if optimiser is not None and self._samples:
                optimisers.divide_gradients(module.parameters(), self._samples)
                optimiser.step()
        self.give_up()

    def give_up(self) -> None:
        """Forget the gradients since the last update (the device was dropped from the round)."""
        self._samples, self._embedded = 0, None
        self._head_optimiser.zero_grad()
        if self._embedding_optimiser is not None:
            self._embedding_optimiser.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps, between two rounds."""
        found = named("head", self.head.state_dict()) | optimiser_state("head optimiser", self._head_optimiser)
        if self._embedding_optimiser is not None:
            found |= named("embedding", self.embedding.state_dict())
            found |= optimiser_state("embedding optimiser", self._embedding_optimiser)
        if self.releases is not None:
            found |= named("releases", self.releases.state())
        return found

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""
        self.head.load_state_dict(of("head", state))
        load_optimiser("head optimiser", self._head_optimiser, state)
        if self._embedding_optimiser is not None:
            self.embedding.load_state_dict(of("embedding", state))
            load_optimiser("embedding optimiser", self._embedding_optimiser, state)
        if self.releases is not None:
            self.releases.load(of("releases", state))

    def resident_bytes(self) -> int:
        """Parameters, their gradients and optimiser state."""
        state = optimisers.STATE_PER_WEIGHT[self.settings.optimiser]
        return sum(training_bytes([self.embedding, self.head], state)) - self.head.tied_bytes


@dataclass
class _Forward:
    """What the server keeps between the two halves of a step, for each device name, in order."""

    embeddings: dict[str, Tensor]
    representations: dict[str, Tensor]
    batch_sizes: dict[str, int]
    shape: tuple[int, int]


class ServedEncoder:
    """What every server of split fine-tuning has: an encoder, and the optimiser of its adapters."""

    def __init__(self, encoder: Encoder, settings: SplitFedFTSettings, *, seed: int = 0) -> None:
        """Train `encoder`'s adapters. seed: of the adapters' dropout."""
        self.encoder = encoder.train()
        self.settings = settings
        if settings.freeze_a:
            FFALoRA().prepare(encoder)
        trained = [parameter for parameter in encoder.lora.values() if parameter.requires_grad]
        self.optimiser = optimisers.make(settings.optimiser, trained, settings.learning_rate)
        self.forwards = 0
        """Forward passes so far, on which the dropout depends."""
        self._samples, self._seed = 0, seed
        self.saved_bytes = 0

    def update(self) -> None:
        """Do one optimiser step of the adapters with the mean gradient of the samples that counted, if any did."""
        if self._samples:
            optimisers.divide_gradients(self.encoder.lora.values(), self._samples)
            self.optimiser.step()
        self.optimiser.zero_grad()
        self._samples = 0

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps, between two rounds."""
        own = named("lora", {name: weight.detach() for name, weight in self.encoder.lora.items()})
        return own | optimiser_state("optimiser", self.optimiser) | {"forwards": torch.tensor(self.forwards)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""
        self.encoder.load_lora(of("lora", state))
        load_optimiser("optimiser", self.optimiser, state)
        self.forwards = int(state["forwards"])

    def resident_bytes(self) -> int:
        """Parameters, their gradients and optimiser state."""
        return sum(training_bytes([self.encoder], optimisers.STATE_PER_WEIGHT[self.settings.optimiser]))


class Server(ServedEncoder):
    """The learning on the server, without a network: all devices' tokens go through the encoder at once, then back."""

    def __init__(self, encoder: Encoder, settings: SplitFedFTSettings, *, seed: int = 0) -> None:
        """Train `encoder`'s adapters. seed: of the adapters' dropout."""
        super().__init__(encoder, settings, seed=seed)
        self._forward: _Forward | None = None

    def represent(self, embeddings: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Turn each device's tokens [T_k, D] and lengths [B_k] int into its representation, detached: [B_k, D] with cut
        "pooled", [T_k, D] with cut "tokens"."""
        leaves = {name: x.detach().requires_grad_(self.settings.train_embedding) for name, (x, _) in embeddings.items()}
        lengths = {name: n for name, (_, n) in embeddings.items()}
        mask_BL = mask_of(torch.cat(list(lengths.values())))
        # only the adapters' dropout is random: let it depend on the step, not on what else was drawn in this process
        with torch_seeded(dropout_seed(self._seed, self.forwards)), saved_for_backward(self.encoder) as saved:
            out = self.encoder(unpack(torch.cat(list(leaves.values())), mask_BL), mask_BL)
            if self.settings.cut == "tokens":
                pieces = pack(out, mask_BL).split([len(x) for x in leaves.values()])
            else:
                pieces = out.split([len(n) for n in lengths.values()])
        representations = dict(zip(leaves, pieces, strict=True))
        sizes = {name: len(n) for name, n in lengths.items()}
        self._forward = _Forward(leaves, representations, sizes, (int(mask_BL.shape[0]), int(mask_BL.shape[1])))
        self.forwards += 1
        self.saved_bytes = saved.num_bytes
        return {name: r.detach() for name, r in representations.items()}

    def backward(self, jacobians: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Back-propagate the Jacobians that arrived (shaped as the representations); a device without one is left out.

        Adds sum_k n_k dL_k/dLoRA to the adapters' gradients. Returns dL_k/d embedding [T_k, D] by device with
        train_embedding, else nothing.
        """
        forward, self._forward = self._forward, None
        assert forward is not None
        if not jacobians:
            return {}
        names = [name for name in forward.representations if name in jacobians]
        torch.autograd.backward(
            [forward.representations[name] for name in names],
            [jacobians[name].to(forward.representations[name].dtype) * forward.batch_sizes[name] for name in names],
        )
        self._samples += sum(forward.batch_sizes[name] for name in names)
        gradients = {}
        if self.settings.train_embedding:
            for name in names:
                gradient = forward.embeddings[name].grad
                assert gradient is not None
                gradients[name] = gradient / forward.batch_sizes[name]
        return gradients


S = TypeVar("S", bound=ServedEncoder)
D = TypeVar("D", bound=Device)


@dataclass
class SplitParts(Generic[S, D]):
    """The server's part and the devices' parts (by node name): they are trained, and remain when a run has ended."""

    server: S
    devices: dict[str, D]

    def models(self) -> dict[str, Unsplit]:
        """Return each device's view as one model: its embedding and head around the server's encoder."""
        encoder = self.server.encoder
        return {name: Unsplit(device.embedding, encoder, device.head) for name, device in self.devices.items()}
