# SPDX-License-Identifier: GPL-2.0-only
"""Requests over a network, with measures that no other experiment has: latency, sum rate. For tests of reports."""

import dataclasses
from pathlib import Path

from edgelam import cosim
from edgelam.runs.recording import SimulationRecorder
from edgelam.runs.scores import Score

SCORES = (
    Score("latency", "ms", "lower", table="requests", column="latency_ms", take="p95", across="request"),
    Score("sum_rate", "Mb/s", "higher", table="cells", column="rate", where={"cell": "all"}),
)


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1
    rate: str = "100Mbps"
    devices: int = 2
    note: str = ""


RECIPES = {"small": Config}


def run(config: Config, folder, progress) -> None:
    options = {"numUe": config.devices, "rate": config.rate}
    recorder = SimulationRecorder(folder, "served", {"scheme": "served"})
    requests = folder.table("requests", {"scheme": str, "request": int, "latency_ms": float})
    cells = folder.table("cells", {"scheme": str, "cell": str, "rate": float})

    async def main(sim):
        async with recorder.following(sim, options):
            edge, sent = sim.node("edge0"), 0
            for request in range(10):
                begun_s, size = sim.now_s, 1000 * (request + 1)
                await edge.send(sim.node(f"ue{request % config.devices}"), bytes(size))
                sent += size
                latency_ms = 1e3 * (sim.now_s - begun_s)
                requests.append({"scheme": "served", "request": request, "latency_ms": latency_ms})
            rate = 8e-6 * sent / sim.now_s
            cells.append({"scheme": "served", "cell": "one", "rate": 2 * rate})
            cells.append({"scheme": "served", "cell": "all", "rate": rate})

    cosim.simulate(
        main, scenario="wired-star", options=options, seed=config.seed, on_transfer=recorder.on_transfer,
        on_compute=recorder.on_compute, scenario_log=folder.path / "scenario.log",
    )  # fmt: skip
    recorder.done()


def plot(path: Path) -> list[Path]:
    return []


def report(path: Path, console) -> None:
    console.print("served")
