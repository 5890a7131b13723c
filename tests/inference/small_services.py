# SPDX-License-Identifier: GPL-2.0-only
"""Small services with real weights, and graphs of them, for the tests of inference."""

import torch
from torch import nn

from edgelam.cosim.work import Work
from edgelam.inference import Declared, Graph, Service, TorchModule, catalogue, ensemble, sequence
from edgelam.random_streams import torch_seeded


def linear(name, takes, gives, *, inputs=64, outputs=64, depth=2, seed=1):
    """A module of a few layers; several inputs are joined."""
    with torch_seeded(seed):
        layers = [nn.Linear(inputs, 256), nn.GELU()]
        for _ in range(depth - 1):
            layers += [nn.Linear(256, 256), nn.GELU()]
        network = nn.Sequential(*layers, nn.Linear(256, outputs))

    def call(net, values):
        return {gives: net(torch.cat([values[key] for key in takes], dim=-1))}

    return TorchModule(name, network, takes, (gives,), call)


class Talker:
    """A module that generates: a recurrent cell, one token for each step."""

    name = "talker"
    takes = ("joint",)
    gives = ("tokens",)

    def __init__(self, tokens=6):
        self.tokens = tokens
        with torch_seeded(7):
            self.network = nn.ModuleDict({"cell": nn.GRUCell(64, 64), "head": nn.Linear(64, 500)})
        self.weights_hash = f"talker {tokens}"
        self.weight_bytes = sum(p.numel() * 4 for p in self.network.parameters())

    def generate(self, inputs):
        state, tokens = inputs["joint"], []
        for _ in range(self.tokens):
            state = self.network["cell"](state, state)
            tokens.append(self.network["head"](state).argmax(-1))
            yield {"tokens": tokens[-1]}
        return {"tokens": torch.cat(tokens)}


def services(**changes):
    """Vision and audio encoders, a joint model, a talker."""
    made = [
        Service("vision", linear("vision", ("image",), "seen", seed=1), encoding="fp16"),
        Service("audio", linear("audio", ("sound",), "heard", seed=2), encoding="fp16"),
        Service("joint", linear("joint", ("seen", "heard"), "joint", inputs=128, seed=3)),
        Service("label", linear("label", ("seen",), "label", outputs=10, seed=4)),
        Service("talk", Talker(), stream=True),
    ]
    import dataclasses

    return catalogue(dataclasses.replace(service, **changes) for service in made)


GRAPHS = {
    "look": Graph("look", ("image",), ("label",), {"root": sequence("vision", "label")}),
    "both": Graph(
        "both", ("image", "sound"), ("tokens",),
        {"root": sequence("encode", "joint", "talk"), "encode": ensemble("vision", "audio")},
    ),
}  # fmt: skip


def inputs(graph, rng):
    """Draw what a request brings."""
    return {
        key: torch.from_numpy(rng.standard_normal((1, 64)).astype("float32")) for key in GRAPHS[graph].takes
    }  # fmt: skip


def declared(name, takes, gives, *, flops=1e9, output_bytes=1000, weight_bytes=10**6):
    """A service of which only sizes are known."""
    module = Declared(name, Work(int(flops), 1000), output_bytes, weight_bytes, takes, (gives,))
    return Service(name, module, max_batch=1)
