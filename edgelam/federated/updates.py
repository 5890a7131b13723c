# SPDX-License-Identifier: GPL-2.0-only
"""What fed-lora's devices send: their shared weights, or the compressed difference to what came down.

Both sides know the weights with which a device began its round: what came down, rounded by its encoding, and put into a
model by the rule. The server adds what it decodes to these weights. The device keeps the error of the compressor; if
the server did not count a round, the device goes back to the error before that round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgelam import cosim
from edgelam.federated.setup import Setup
from edgelam.learning import compressors
from edgelam.learning.aggregation import RULES, Aggregation
from edgelam.models import Unsplit

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.learning.compressors.compressor import Payload

Weights = dict[str, dict[str, "Tensor"]]
"""Tensors under "adapter" and "head", then by name."""


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
        self._owed, self._before = self.state, Weights()

    def begin(self, weights: Weights) -> None:
        """Begin a round with these weights."""
        self._owed, self._before = self.state.copy(), weights

    def pack(self, weights: Weights) -> dict[str, Payload]:
        """Return the compressed difference to the weights at the beginning, for each tensor."""
        return {
            f"{part}/{name}": self._compressor.encode(f"{part}/{name}", weight - self._before[part][name], self.state)
            for part, tensors in weights.items()
            for name, weight in tensors.items()
        }

    def take_back(self) -> None:
        """Go back to the error at the beginning of the round: the round does not count."""
        self.state = self._owed


class Receiver:
    """The server's side: a model that follows what comes down, as the devices' models do."""

    def __init__(self, setup: Setup, mirror: Unsplit) -> None:
        """mirror: a model like a device's at first, with a frozen encoder of its own if the rule changes it."""
        self._compressor = compressors.make(setup.settings.compression, seed=setup.seed)
        self._settings, self._mirror = setup.settings, mirror
        self._before: Weights = {}

    def begin(self, shared: dict[str, Any]) -> None:
        """Begin a round in which `shared` is sent down. Call this once in every round."""
        rule, encoding = RULES[self._settings.aggregation], self._settings.weight_encoding
        load_shared(self._mirror, cosim.decode(cosim.encode(shared, encoding)), rule)
        self._before = shared_weights(self._mirror, rule, "head" in shared)

    def unpack(self, update: dict[str, Payload]) -> Weights:
        """Return a device's weights, as its update gives them."""
        return {
            part: {
                name: weight + self._compressor.decode(update[f"{part}/{name}"], weight.shape, weight.dtype)
                for name, weight in tensors.items()
            }
            for part, tensors in self._before.items()
        }
