# SPDX-License-Identifier: GPL-2.0-only
"""The same inputs over cells: the largest load that the uplink of nr-urban-grid could carry, and who is on time at all.

Each user sends its input alone, so all of this is an upper bound: of the load, what fills the uplink of the user that
needs it most; of requests on time, those whose input alone is at the server within the deadline.
"""

from __future__ import annotations

from edgelam import cosim
from edgelam.inference.calibration import probed
from edgelam.runs import RunFolder
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network

from .workload import Setting

CITY = Network("nr-urban-grid", options=("sites=3", "sectors=1"))
CELL = {
    "seed": int, "user": str, "graph": str, "bytes": int, "seconds": float, "deadline_s": float,
    "requests_per_s": float, "load": float, "in_time": bool,
}  # fmt: skip
"""Columns of the table cell: seconds of the input alone, requests per second at load 1, and the load at which they fill
the user's uplink."""


def measure(setting: Setting, users: int, requests_per_s: float, seed: int, folder: RunFolder) -> None:
    """Write a row for each user; requests_per_s: of each graph at load 1."""

    async def main(sim: cosim.Simulation) -> None:
        names = [node.name for node in sim.nodes.values() if node.role == "ue"][:users]
        for user, (task,) in setting.tasks(names, requests_per_s).items():
            size, rate = setting.input_bytes[task.graph], task.arrivals.mean_rate
            (taken,) = await probed(sim, [(user, "edge0")], (size,), times=1)
            folder.table("cell", CELL).append(
                {
                    "seed": seed, "user": user, "graph": task.graph, "bytes": size, "seconds": taken.seconds,
                    "deadline_s": task.deadline_s, "requests_per_s": rate, "load": 1 / (taken.seconds * rate),
                    "in_time": taken.seconds <= task.deadline_s,
                }
            )  # fmt: skip

    CITY.simulate(main, Needs(roles={"ue": users}), folder, f"inputs over cells, seed {seed}", seed=seed)
