# SPDX-License-Identifier: GPL-2.0-only
"""A workload of declared services: only their work and sizes are known, so that no model is needed.

All numbers are drawn from the ranges below, by the run's seed. Every table marks what is declared.
"""

from __future__ import annotations

from edgelam.cosim.work import Work
from edgelam.inference import Declared, Graph, Service, ensemble, sequence
from edgelam.random_streams import derive_seed, from_numbers

from .workload import Workload, graph_names

SAMPLES = 12
"""Different inputs of each graph."""
ROLES = {"image": (4, ("x",), "a"), "sound": (4, ("x",), "b"), "joint": (3, ("a", "b"), "x"), "head": (4, ("x",), "x")}
"""Role -> how many services, what they take, what they give: two encoders side by side, a joint one, two heads."""
GFLOP, MEMORY_MB, OUTPUT_KB, INPUT_KB = (2.0, 20.0), (100.0, 1500.0), (2.0, 40.0), (2.0, 60.0)
"""Ranges from which the declared services and inputs are drawn."""


def make(seed: int) -> Workload:
    """15 services; each graph draws one of each kind, and two heads. Graphs share services."""
    import torch

    rng = from_numbers(derive_seed(seed, "declared services"))
    services = {}
    for role, (count, takes, gives) in ROLES.items():
        for i in range(count):
            flops = int(1e9 * rng.uniform(*GFLOP))
            module = Declared(
                f"{role}{i}", Work(flops, flops // 10), int(1e3 * rng.uniform(*OUTPUT_KB)),
                int(1e6 * rng.uniform(*MEMORY_MB)), takes, (gives,),
            )  # fmt: skip
            services[module.name] = Service(module.name, module, encoding="exact", max_batch=4)
    graphs, samples = {}, {}
    for name in graph_names():
        one = {role: int(rng.integers(count)) for role, (count, *_) in ROLES.items()}
        heads = [f"head{one['head']}", f"head{(one['head'] + 1) % ROLES['head'][0]}"]
        graphs[name] = Graph(
            name, ("x",), ("x",),
            {"root": sequence("encoders", f"joint{one['joint']}", *heads),
             "encoders": ensemble(f"image{one['image']}", f"sound{one['sound']}")},
        )  # fmt: skip
        size = int(1e3 * rng.uniform(*INPUT_KB))
        samples[name] = [({"x": torch.full((size,), i, dtype=torch.uint8)}, None) for i in range(SAMPLES)]
    return Workload(services, graphs, samples)
