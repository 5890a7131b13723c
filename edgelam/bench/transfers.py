# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench transfers`` measures what moving a gigabyte costs, compared with ns-3's own applications.

Both move the same bytes over TCP with the same settings, one way, on the same topology (``wired-star``: one device at
1 Gb/s, one edge server, 12 ms of round trip), in turn. ns-3's applications are ``BulkSendApplication`` and
``PacketSink``. Our transfers are driven over the bridge by `edgelam.cosim`, so the figure includes the coupling. The
fastest run of each counts, since it was disturbed least.
"""

from __future__ import annotations

import json as json_module
import resource
import subprocess
import time
from typing import TYPE_CHECKING

from edgelam.paths import installed
from edgelam.processes import bound

if TYPE_CHECKING:
    from edgelam.cosim import Simulation

BYTES = 50_000_000
REPEATS = 5
TOPOLOGY = {"numUe": 1, "numEdge": 1, "rate": "1Gbps", "edgeRate": "1Gbps"}


def bulk_send() -> dict[str, float]:
    """Return the wall and CPU time in which BulkSend and PacketSink move `BYTES`, s."""
    options = {**TOPOLOGY, "traffic": "bulk-send", "bytes": BYTES, "format": "json"}
    command = [str(installed("bin/scenarios/wired-star")), *(f"--{key}={value}" for key, value in options.items())]
    done = subprocess.run([*bound("KILL"), *command], check=True, capture_output=True, text=True)
    report = json_module.loads(done.stdout)
    return {"wall_s": report["wall_s"], "cpu_s": report["cpu_s"]}


def transfer() -> dict[str, float]:
    """Return the wall and CPU time of a transfer of `BYTES` between two nodes of a simulation, s.

    CPU time is that of the scenario process, including its start.
    """
    from edgelam import cosim

    async def main(sim: Simulation) -> float:
        payload = bytes(BYTES)
        begin = time.perf_counter()
        await sim.node("ue0").send(sim.node("edge0"), payload)
        return time.perf_counter() - begin

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall_s = cosim.simulate(main, scenario="wired-star", options=TOPOLOGY)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall_s, "cpu_s": cpu_s}


def measure() -> dict[str, dict[str, float]]:
    """Return wall and CPU seconds per simulated gigabyte, of ns-3 and of ours, and by how much ours is more."""
    runs = [(bulk_send(), transfer()) for _ in range(REPEATS)]
    figures = {}
    for kind in ("wall_s", "cpu_s"):
        theirs, ours = (min(run[i][kind] for run in runs) * 1e9 / BYTES for i in (0, 1))
        figures[f"{kind}_per_gb"] = {
            "bulk_send": round(theirs, 2),
            "transfers": round(ours, 2),
            "overhead_percent": round(100 * (ours / theirs - 1), 1),
        }
    return figures


def run(json: bool = False) -> int:
    """Measure, and print a table or one JSON object. Returns the exit status."""
    figures = measure()
    if json:
        print(json_module.dumps(figures))
        return 0
    print(f"{REPEATS} runs of {BYTES / 1e6:.0f} MB each, in turn; the fastest of each")
    print(f"{'':26} {'BulkSend':>10} {'transfers':>10} {'overhead':>10}")
    for label, key in (("wall s per simulated GB", "wall_s_per_gb"), ("CPU s per simulated GB", "cpu_s_per_gb")):
        row = figures[key]
        print(f"{label:26} {row['bulk_send']:10.2f} {row['transfers']:10.2f} {row['overhead_percent']:9.1f}%")
    return 0
