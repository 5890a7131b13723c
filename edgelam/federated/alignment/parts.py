# SPDX-License-Identifier: GPL-2.0-only
"""The learning of contrastive alignment, without any network: what a device and the server compute in a step.

See contrastive.py for the messages between them. Shape suffixes: B batch, T tokens of a device's batch without padding,
D width of the embeddings, H of the hidden states, W of the shared space, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from edgelam.federated.alignment.pair import MODALITIES, Pair
from edgelam.federated.samples import Batch
from edgelam.federated.split_parts import Server
from edgelam.learning import optimisers
from edgelam.learning.averaging import weighted_average
from edgelam.learning.contrastive import info_nce, to_anchors
from edgelam.learning.memory import saved_for_backward, training_bytes
from edgelam.models import Head
from edgelam.models.padding import pack
from edgelam.random_streams import derive_seed, torch_generator

ANCHORS = "anchors"
Sent = dict[str, tuple[Tensor, Tensor]]
"""By modality: tokens [T, D] and lengths [B] int32."""
States = dict[str, dict[str, Tensor]]
"""By module: its state."""


class Anchors(nn.Module):
    """A vector of the shared space for each class, [C, W]: all devices have them, whatever their modalities."""

    def __init__(self, classes: int, width: int, *, seed: int, dtype: torch.dtype) -> None:
        """seed: of their first values."""
        super().__init__()
        drawn = torch.randn(classes, width, generator=torch_generator(derive_seed(seed, "anchors"))).to(dtype)
        self.weight = nn.Parameter(drawn)


def modules_of(pair: Pair, held: Sequence[str]) -> nn.ModuleDict:
    """Return the trained modules of a device with these modalities: projections to the shared space, and anchors.

    The values are the same in every call. A projection is a head (centred, normalised, linear) with W outputs.
    """
    found: dict[str, nn.Module] = {}
    for name in held:
        setup = pair.setups[name]
        settings = setup.settings
        projection = Head(setup.backbone, settings.alignment.width, pooling=settings.pooling)
        weight = projection.linear.weight
        generator = torch_generator(derive_seed(setup.seed, f"projection of {name}"))
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[1] ** 0.5)
        found[name] = projection
    first = next(iter(pair.setups.values()))
    found[ANCHORS] = Anchors(
        first.task.num_classes, first.settings.alignment.width, seed=first.seed, dtype=first.backbone.token_table.dtype
    )
    return nn.ModuleDict(found)


class AlignedDevice:
    """A device with one or both modalities of its samples."""

    def __init__(self, pair: Pair, index: int, embeddings: Mapping[str, nn.Module]) -> None:
        """index: its number; embeddings: frozen, by modality; it takes those that it has."""
        settings = next(iter(pair.setups.values())).settings
        self.pair, self.settings = pair, settings
        self.held = tuple(name for name in MODALITIES if settings.alignment.has(name, index))
        self.embeddings = {name: embeddings[name] for name in self.held}
        self.shards = {name: pair.setups[name].shards[index] for name in self.held}
        self.modules = modules_of(pair, self.held)
        self._optimiser = optimisers.make(settings.optimiser, self.modules.parameters(), settings.head_learning_rate)
        self._samples = 0
        self.saved_bytes = 0

    def batches(self, step: int, part: int) -> dict[str, Batch]:
        """Return the same samples in each modality."""
        return {name: shard.batch(step, part) for name, shard in self.shards.items()}

    @torch.no_grad()
    def embed(self, batches: Mapping[str, Batch]) -> Sent:
        """Return the tokens of each modality."""
        return {
            name: (pack(self.embeddings[name](batch.inputs), batch.mask), batch.mask.sum(dim=1, dtype=torch.int32))
            for name, batch in batches.items()
        }

    def loss_and_jacobians(
        self, representations: Mapping[str, Tensor], batches: Mapping[str, Batch]
    ) -> tuple[float, dict[str, Tensor]]:
        """Return the batch's loss (nats), and its derivative by each modality's representation [B, H].

        The loss is that of each modality to the anchors of its classes, and, with both, InfoNCE between them. The
        gradients of the modules are added up, weighted by samples.
        """
        own = self.settings.alignment
        leaves = {name: each.detach().requires_grad_(True) for name, each in representations.items()}
        labels_B, mask = next(iter(batches.values())).labels, next(iter(batches.values())).mask
        anchors: Tensor = self.modules[ANCHORS].weight  # type: ignore[assignment]
        with saved_for_backward(self.modules) as saved:
            vectors = {name: self.modules[name](leaf, mask) for name, leaf in leaves.items()}
            loss = sum((to_anchors(v, anchors, labels_B, own.temperature) for v in vectors.values()), torch.zeros(()))
            if len(vectors) == len(MODALITIES):
                same_BB = labels_B[:, None] == labels_B if self.pair.same_by_label else torch.eye(len(labels_B)).bool()
                one, other = (vectors[name] for name in MODALITIES)
                loss = loss + info_nce(one, other, same_BB, own.temperature)
        self.saved_bytes = saved.num_bytes
        (loss * len(labels_B)).backward()
        self._samples += len(labels_B)
        jacobians = {}
        for name, leaf in leaves.items():
            assert leaf.grad is not None
            jacobians[name] = leaf.grad / len(labels_B)
        return float(loss.detach()), jacobians

    def update(self) -> None:
        """Do one optimiser step of the modules with the mean gradient of the samples since the last one."""
        if self._samples:
            optimisers.divide_gradients(self.modules.parameters(), self._samples)
            self._optimiser.step()
        self.give_up()

    def give_up(self) -> None:
        """Forget the gradients since the last update."""
        self._samples = 0
        self._optimiser.zero_grad()

    def states(self) -> States:
        """Return the modules as they are sent."""
        return {name: dict(module.state_dict()) for name, module in self.modules.items()}

    def load(self, states: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take modules from the server."""
        for name, state in states.items():
            self.modules[name].load_state_dict(state)

    def resident_bytes(self) -> int:
        """Parameters, their gradients and optimiser state: a modality that it has not takes nothing."""
        state = optimisers.STATE_PER_WEIGHT[self.settings.optimiser]
        return sum(training_bytes([*self.embeddings.values(), self.modules], state))


class AlignedServer:
    """An encoder with adapters for each modality, and the newest averages of the devices' modules."""

    def __init__(self, pair: Pair) -> None:
        """Make the encoders."""
        self.encoders = {
            name: Server(setup.encoder(), setup.settings, seed=setup.seed + number)
            for number, (name, setup) in enumerate(pair.setups.items())
        }
        self.modules = modules_of(pair, MODALITIES)

    def represent(self, arrived: Mapping[str, Sent]) -> dict[str, dict[str, Tensor]]:
        """Turn what each device has sent (by device, then by modality) into representations, in the same order."""
        found: dict[str, dict[str, Tensor]] = {device: {} for device in arrived}
        for name, encoder in self.encoders.items():
            own = {device: sent[name] for device, sent in arrived.items() if name in sent}
            for device, each in (encoder.represent(own) if own else {}).items():
                found[device][name] = each
        return found

    def backward(self, jacobians: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Back-propagate what has arrived, by device and modality; each encoder counts the samples of its own."""
        for name, encoder in self.encoders.items():
            own = {device: each[name] for device, each in jacobians.items() if name in each}
            if own:
                encoder.backward(own)

    def update(self) -> None:
        """Do one step of the adapters of each modality that some device has sent."""
        for encoder in self.encoders.values():
            encoder.update()

    def average(self, states: Mapping[str, States], samples: Mapping[str, int]) -> None:
        """Average the modules, each over the devices that have it."""
        for name, average in average_held(states, samples).items():
            self.modules[name].load_state_dict(average)

    def modules_for(self, held: Sequence[str]) -> States:
        """Return the averages of the modules of a device with these modalities."""
        return {name: dict(self.modules[name].state_dict()) for name in (*held, ANCHORS)}

    @property
    def saved_bytes(self) -> int:
        """Saved by the encoders for the way back."""
        return sum(encoder.saved_bytes for encoder in self.encoders.values())

    def resident_bytes(self) -> int:
        """Of all encoders."""
        return sum(encoder.resident_bytes() for encoder in self.encoders.values())


def average_held(states: Mapping[str, States], samples: Mapping[str, int]) -> States:
    """Return the average of each module over the devices that have it, weighted by their samples (both by device)."""
    names = dict.fromkeys(name for own in states.values() for name in own)
    return {
        name: weighted_average(
            [own[name] for own in states.values() if name in own],
            [samples[device] for device, own in states.items() if name in own],
        )
        for name in names
    }
