# SPDX-License-Identifier: GPL-2.0-only
"""Training of an un-split model in one place: devices of FedIT and of local training, and the centralised server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgelam.cosim.encoding import decode, encode
from edgelam.federated.samples import Batch
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.learning import optimisers
from edgelam.learning.course import load_optimiser, named, of, optimiser_state
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.memory import borrowed, saved_for_backward, training_bytes
from edgelam.models import Unsplit
from edgelam.models.frozen import num_bytes, packed, restored
from edgelam.random_streams import dropout_seed, torch_seeded

if TYPE_CHECKING:
    from edgelam import cosim


class Learner:
    """An un-split model with its optimisers. It knows no network."""

    def __init__(self, model: Unsplit, settings: SplitFedFTSettings, *, seed: int = 0) -> None:
        """Train `model`'s adapters and head (and embedding, with train_embedding). seed: of the adapters' dropout."""
        self.model, self.settings = model, settings
        model.encoder.train()
        kind = settings.optimiser
        self._optimisers = [
            optimisers.make(kind, model.encoder.lora.values(), settings.learning_rate),
            optimisers.make(kind, model.head.parameters(), settings.head_learning_rate),
        ]
        self._trained = [*model.encoder.lora.values(), *model.head.parameters()]
        if settings.train_embedding:
            self._optimisers.append(
                optimisers.make(kind, model.embedding.parameters(), settings.embedding_learning_rate)
            )
            self._trained += model.embedding.parameters()
        self._seed, self._forwards, self._samples = seed, 0, 0
        self.saved_bytes = 0

    def accumulate(self, batch: Batch) -> float:
        """Add the gradient of the batch's summed loss; returns its mean loss (nats)."""
        # only the adapters' dropout is random: let it depend on the step, not on what else was drawn in this process
        with torch_seeded(dropout_seed(self._seed, self._forwards)), saved_for_backward(self.model) as saved:
            logits = self.model(batch.inputs, batch.mask)
            loss = self.model.head.loss(logits, batch.labels, batch.inputs, batch.mask)
        self._forwards += 1
        self.saved_bytes = saved.num_bytes
        (loss * len(batch)).backward()
        self._samples += len(batch)
        return float(loss.detach())

    def update(self) -> None:
        """Do one optimiser step with the mean gradient of the samples since the last step."""
        if self._samples:
            optimisers.divide_gradients(self._trained, self._samples)
            for optimiser in self._optimisers:
                optimiser.step()
        self.give_up()

    def give_up(self) -> None:
        """Forget the gradients since the last update."""
        for optimiser in self._optimisers:
            optimiser.zero_grad()
        self._samples = 0

    def restart_adapters(self) -> None:
        """Forget the optimiser's state of the adapters: they begin again."""
        adapters = self.model.encoder.lora.values()
        self._optimisers[0] = optimisers.make(self.settings.optimiser, adapters, self.settings.learning_rate)

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps, between two rounds."""
        found = named("encoder", {name: weight.detach() for name, weight in self.model.encoder.lora.items()})
        found |= named("head", self.model.head.state_dict()) | {"forwards": torch.tensor(self._forwards)}
        if self.settings.train_embedding:
            found |= named("embedding", self.model.embedding.state_dict())
        for number, optimiser in enumerate(self._optimisers):
            found |= optimiser_state(f"optimiser {number}", optimiser)
        return found

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""
        self.model.encoder.load_lora(of("encoder", state))
        self.model.head.load_state_dict(of("head", state))
        if self.settings.train_embedding:
            self.model.embedding.load_state_dict(of("embedding", state))
        for number, optimiser in enumerate(self._optimisers):
            load_optimiser(f"optimiser {number}", optimiser, state)
        self._forwards = int(state["forwards"])

    def resident_bytes(self) -> int:
        """Return the bytes of parameters (frozen ones by `frozen_weights`), their gradients and optimiser state."""
        whole = sum(training_bytes([self.model], optimisers.STATE_PER_WEIGHT[self.settings.optimiser]))
        base = self.model.encoder.base()
        frozen = num_bytes(base, self.settings.frozen_weights) - num_bytes(base, "plain")
        return whole + frozen - self.model.head.tied_bytes


async def train_step(node: cosim.Node, learner: Learner, parts: Sequence[Batch], step: int) -> tuple[float, int]:
    """Do optimiser step `step` on a node, over batches whose gradients are added up; return (summed loss, samples)."""
    loss_sum, samples = 0.0, 0
    with borrowed(node.memory) as take:
        for index, batch in enumerate(parts):
            first, last = index == 0, index == len(parts) - 1  # the first one's gradient is not added to anything
            async with node.compute("train", key=("train", batch.shape, first, last)):
                loss = learner.accumulate(batch)
                loss_sum += loss * len(batch)
                samples += len(batch)
                if last:
                    learner.update()
            refuse_divergence(loss, f"the loss of {node.name} in step {step}", learner.settings.against_divergence)
            take("activations", learner.saved_bytes)
    return loss_sum, samples


def have_downloaded(learner: Learner) -> None:
    """Give a device the frozen weights as `download_model` does, without sending them: an earlier run has done it."""
    settings, encoder = learner.settings, learner.model.encoder
    if not settings.installed and settings.frozen_weights == "plain":
        encoder.load_base(decode(encode(encoder.base(), settings.weight_encoding)))


async def download_model(server: cosim.Node, node: cosim.Node, learner: Learner) -> None:
    """Send the frozen encoder from the server to a device, which loads what arrived.

    The embedding module counts as installed on the device beforehand, as it does in split fine-tuning; with the setting
    `installed`, the encoder does, too. Nothing is frozen in full fine-tuning: all weights come with the first round.
    """
    settings, encoder = learner.settings, learner.model.encoder
    base, kind = encoder.base(), settings.frozen_weights
    if settings.installed or not base:
        return
    if kind == "plain":
        await server.send(node, base, tag="model", encoding=settings.weight_encoding)
        encoder.load_base((await node.receive(server, tag="model")).data)
        return
    await server.send(node, packed(base, kind), tag="model", encoding="exact")
    encoder.load_base(restored((await node.receive(server, tag="model")).data, base, kind))
