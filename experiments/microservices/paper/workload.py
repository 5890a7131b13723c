# SPDX-License-Identifier: GPL-2.0-only
"""15 declared services in 4 graphs, with the ranges of arXiv 2601.19563.

A core service has work of 2 to 16 MB at a rate of 8 to 32 MB/ms and an output of 0.1 to 1 MB; a light one 0.5 to 2 MB
at a rate drawn from Gamma(shape 1 to 2, scale 1 to 20) MB/ms and 0.25 to 1.5 MB. Inputs have 0.5 to 4 MB, and deadlines
are 50 to 100 ms. Where our source leaves it open we chose: 6 core and 9 light services; a graph has two light services
side by side, a core, a light and a core one; rates hold on a server; a light service's rate is drawn once, and is at
least 1 MB/ms; core services hold 4 to 32 GB, light ones 1 to 4 GB; device i asks for graph i modulo 4, and the devices
of a graph share its requests.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgelam.cosim.work import Work
from edgelam.inference import Declared, Graph, Poisson, Service, Task, ensemble, sequence
from edgelam.random_streams import derive_seed, from_numbers

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

GRAPHS, EACH = 4, 3
KINDS = {
    "first": (("x",), "a", False), "second": (("x",), "b", False), "core": (("a", "b"), "c", True),
    "middle": (("c",), "d", False), "head": (("d",), "y", True),
}  # fmt: skip
"""Kind of service -> what it takes, what it gives, whether it is a core service; there are `EACH` of each kind."""
SERVER_FLOPS = 1e12
"""Operations per second of a server, by which seconds are made work."""
DEVICES = (
    "ue*=cpu-server,flops_per_s=5e11,memory_bytes=16e9,memory_bandwidth_bytes_per_s=1e15",
    "edge*=cpu-server,flops_per_s=1e12,memory_bytes=96e9,memory_bandwidth_bytes_per_s=1e15",
)
"""Servers, and devices of half their speed and a sixth of their memory: our choice."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """The workload of a seed."""

    services: dict[str, Service]
    graphs: dict[str, Graph]
    input_bytes: dict[str, int]
    deadline_s: dict[str, float]

    def tasks(self, users: Sequence[str], requests_per_s: float) -> dict[str, list[Task]]:
        """Return user -> its task; requests_per_s: of each graph, over all users."""
        import torch

        found = {}
        asking = [list(self.graphs)[i % GRAPHS] for i in range(len(users))]
        for user, graph in zip(users, asking, strict=True):
            given = {"x": torch.zeros(self.input_bytes[graph], dtype=torch.uint8)}
            rate = Poisson(requests_per_s / asking.count(graph))
            found[user] = [Task(graph, graph, rate, self.deadline_s[graph], functools.partial(_same, given))]
        return found


def make(seed: int) -> Setting:
    """Draw a setting from the stream ``paper services``."""
    rng = from_numbers(derive_seed(seed, "paper services"))
    services = {}
    for kind, (takes, gives, core) in KINDS.items():
        for i in range(EACH):
            work_mb = rng.uniform(2, 16) if core else rng.uniform(0.5, 2)
            rate = rng.uniform(8, 32) if core else max(1.0, rng.gamma(rng.uniform(1, 2), rng.uniform(1, 20)))
            output_mb = rng.uniform(0.1, 1) if core else rng.uniform(0.25, 1.5)
            weights_gb = rng.uniform(4, 32) if core else rng.uniform(1, 4)
            module = Declared(
                f"{kind}{i}", Work(int(SERVER_FLOPS * work_mb / rate / 1e3), 0), int(1e6 * output_mb),
                int(1e9 * weights_gb), takes, (gives,),
            )  # fmt: skip
            services[module.name] = Service(module.name, module, encoding="exact", max_batch=1)
    graphs, sizes, deadlines = {}, {}, {}
    for g in range(GRAPHS):
        one = {kind: f"{kind}{rng.integers(EACH)}" for kind in KINDS}
        name = f"graph{g}"
        graphs[name] = Graph(
            name, ("x",), ("y",),
            {"root": sequence("front", one["core"], one["middle"], one["head"]),
             "front": ensemble(one["first"], one["second"])},
        )  # fmt: skip
        sizes[name], deadlines[name] = int(1e6 * rng.uniform(0.5, 4)), float(rng.uniform(0.05, 0.1))
    return Setting(services, graphs, sizes, deadlines)


def _same(given: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    return given
