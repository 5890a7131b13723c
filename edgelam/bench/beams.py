# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench beams`` measures how often per second a program can look at the channel and set a precoder.

One cell of `nr-urban-micro` (100 MHz, 64 elements of the gNB, 18 groups of resource blocks) with four UEs, full
downlink buffers and selection `external`. A decision reads `ue_channel`, sets `precoder` to each UE's own direction
from its first antenna (a trivial method: what is measured is the testbed), and lets 1 ms pass.
"""

from __future__ import annotations

import asyncio
import json as json_module
import resource
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam import cosim
from edgelam.output import terminal

if TYPE_CHECKING:
    from edgelam.cosim import Simulation

UES = 4
PERIOD_S = 1e-3
WARM_UP = 100
RATE_BPS = 400e6  # of each UE's datagrams: more than it can get
OPTIONS = {"numUe": UES, "beams": "external", "selection": "external", "maxLayers": 1, "numEdge": 1, "joined": 5}


def precoder(h: np.ndarray) -> np.ndarray:
    """Each UE's own direction, with equal parts of the power; `h` and the result are those of the cell's tensors.

    h: complex64 [ue, ue_antenna, element, prb_group]. Returns complex64 [ue, prb_group, element, 1].
    """
    weights = h[:, 0].conj().swapaxes(1, 2)[..., None]
    return weights / (np.sqrt(len(h)) * np.linalg.norm(weights, axis=2, keepdims=True))


def measure(decisions: int = 500) -> dict[str, Any]:
    """Return decisions per wall second, and the processor time of both processes for one decision, ms."""

    async def main(sim: Simulation) -> dict[str, Any]:
        size = int((decisions + WARM_UP + 100) * PERIOD_S * RATE_BPS / 8)
        edge = sim.node("edge0")
        sending = [
            asyncio.ensure_future(edge.send(sim.node(f"ue{ue}"), bytes(size), protocol="udp", rate_bps=RATE_BPS))
            for ue in range(UES)
        ]
        channel, control = sim.observable("ue_channel"), sim.control("precoder")
        counts = sim.observable("ue_block_counts")

        async def decide() -> None:
            await control.set(precoder((await channel.read()).value))
            await asyncio.sleep(PERIOD_S)

        for _ in range(WARM_UP):
            await decide()
        before = (await counts.read()).value[0]["decoded_bits"].sum()
        begin, own = time.perf_counter(), _processor_s(resource.RUSAGE_SELF)
        for _ in range(decisions):
            await decide()
        wall_s, own_s = time.perf_counter() - begin, _processor_s(resource.RUSAGE_SELF) - own
        bits = (await counts.read()).value[0]["decoded_bits"].sum() - before
        for task in sending:
            task.cancel()
        return {
            "decisions_per_s": round(decisions / wall_s, 1),
            "python_ms": round(1e3 * own_s / decisions, 3),
            "wall_ms": round(1e3 * wall_s / decisions, 3),
            "goodput_mbps": round(float(bits) / (decisions * PERIOD_S) / 1e6, 1),
        }

    return cosim.simulate(main, scenario="nr-urban-micro", options=OPTIONS)


def _processor_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def run(json: bool = False) -> int:
    """Print the result as a table or as JSON."""
    result = measure()
    if json:
        print(json_module.dumps(result))
        return 0
    table = terminal.TextTable("A closed loop: channel of 4 UEs x 64 elements x 18 groups, precoder, 1 ms", "what", "")
    table.add_row("decisions per second of wall time", f"{result['decisions_per_s']} (aim: 200)")
    table.add_row("wall time of a decision", f"{result['wall_ms']} ms")
    table.add_row("processor time of Python for it", f"{result['python_ms']} ms")
    table.add_row("goodput of the cell", f"{result['goodput_mbps']} Mb/s")
    table.print(terminal.results())
    return 0
