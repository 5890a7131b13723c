# SPDX-License-Identifier: GPL-2.0-only
"""What fed-lora's devices send: their shared weights, or the compressed difference to what came down.

Both sides know the weights with which a device began its round: what came down, rounded by its encoding, and put into a
model by the rule. The server adds what it decodes to these weights. The device keeps the error of the compressor; if
the server did not count a round, the device goes back to the error before that round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from edgelam import cosim
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.federated.setup import Setup
from edgelam.learning import compressors
from edgelam.learning.aggregation import RULES, Aggregation, FedAvg
from edgelam.learning.course import Weights, of
from edgelam.models import Encoder, Unsplit
from edgelam.models.lora import lora_layers

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.learning.compressors.compressor import Payload

Shared = dict[str, dict[str, "Tensor"]]
"""Tensors under "adapter" and "head", then by name."""


def rule_of(settings: SplitFedFTSettings) -> Aggregation:
    """Return the rule by which the server combines what devices train."""
    return RULES[settings.aggregation] if settings.tuning == "lora" else FedAvg()


def shared_head(model: Unsplit, with_head: bool) -> dict[str, dict[str, Tensor]]:
    """Return a copy of the head, if the server averages heads."""
    return {"head": {name: p.detach().clone() for name, p in model.head.state_dict().items()}} if with_head else {}


def shared_weights(model: Unsplit, rule: Aggregation, with_head: bool) -> dict[str, dict[str, Tensor]]:
    """Return copies of what a device sends up: the adapter, by the rule, and the head, if the server averages heads."""
    return {"adapter": rule.upload(model.encoder), **shared_head(model, with_head)}


def load_shared(model: Unsplit, weights: dict[str, Any], rule: Aggregation) -> None:
    """Put what the server sent into a model."""
    rule.install(model.encoder, weights["adapter"])
    if "head" in weights:
        model.head.load_state_dict(weights["head"])


class Sender:
    """A device's side, with its compressor's state."""

    def __init__(self, setup: Setup) -> None:
        """Begin without an error to feed back."""
        self._compressor = compressors.make(setup.settings.compression, seed=setup.seed)
        self.state = compressors.State()
        self._owed, self._before = self.state, Shared()

    def begin(self, weights: Shared) -> None:
        """Begin a round with these weights."""
        self._owed, self._before = self.state.copy(), weights

    def pack(self, weights: Shared) -> dict[str, Payload]:
        """Return the compressed difference to the weights at the beginning, for each tensor."""
        return {
            f"{part}/{name}": self._compressor.encode(f"{part}/{name}", weight - self._before[part][name], self.state)
            for part, tensors in weights.items()
            for name, weight in tensors.items()
        }

    def take_back(self) -> None:
        """Go back to the error at the beginning of the round: the round does not count."""
        self.state = self._owed


class Owing(Protocol):
    """Something that compresses, and keeps its errors."""

    @property
    def state(self) -> compressors.State:
        """They, by the name of the tensor."""


class Owed:
    """What a sender owes, as a part of a checkpoint."""

    def __init__(self, sender: Owing) -> None:
        """sender: of a device."""
        self._sender = sender

    def state(self) -> dict[str, Tensor]:
        """Return the compressor's state."""
        return self._sender.state.state_dict()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take it back."""
        self._sender.state.load_state_dict(state)


class SharedWeights:
    """What the server sends down, as a part of a checkpoint: tensors under "adapter" and "head"."""

    def __init__(self, shared: dict[str, Any]) -> None:
        """shared: updated in place."""
        self._shared = shared

    def state(self) -> dict[str, Tensor]:
        """Return the tensors."""
        return {f"{part}/{name}": w for part, tensors in self._shared.items() for name, w in tensors.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Replace the tensors."""
        for part in self._shared:
            self._shared[part] = of(part, state)


def changed_base(encoder: Encoder, rule: Aggregation) -> Weights:
    """Return the frozen weights that a rule adds to, as a part of a checkpoint."""
    if not rule.changes_base:
        return Weights({})
    weights: dict[str, Tensor] = {}
    for name, layer in lora_layers(encoder).items():
        weights[name] = layer.base.weight.detach()  # type: ignore[operator]
    return Weights(weights)


class Receiver:
    """The server's side: a model that follows what comes down, as the devices' models do."""

    def __init__(self, setup: Setup, mirror: Unsplit) -> None:
        """mirror: a model like a device's at first, with a frozen encoder of its own if the rule changes it."""
        self._compressor = compressors.make(setup.settings.compression, seed=setup.seed)
        self._settings, self.mirror = setup.settings, mirror
        self._before: Shared = {}

    def begin(self, shared: dict[str, Any]) -> None:
        """Begin a round in which `shared` is sent down. Call this once in every round."""
        rule, encoding = rule_of(self._settings), self._settings.weight_encoding
        load_shared(self.mirror, cosim.decode(cosim.encode(shared, encoding)), rule)
        self._before = shared_weights(self.mirror, rule, "head" in shared)

    def unpack(self, update: dict[str, Payload]) -> Shared:
        """Return a device's weights, as its update gives them."""
        return {
            part: {
                name: weight + self._compressor.decode(update[f"{part}/{name}"], weight.shape, weight.dtype)
                for name, weight in tensors.items()
            }
            for part, tensors in self._before.items()
        }
