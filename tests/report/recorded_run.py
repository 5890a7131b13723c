# SPDX-License-Identifier: GPL-2.0-only
"""A small run of two simulations with invented numbers, written through the recorder as an experiment does."""

import dataclasses
from pathlib import Path

import numpy as np

from edgelam import cosim
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.runs import RunFolder
from edgelam.runs.places import Walks
from edgelam.runs.recording import SimulationRecorder

EVIL = "<script>document.title = 'taken'</script>"


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1
    rate: float = 0.5
    note: str = EVIL + "</script><img src=x onerror=\"document.title='taken'\">"


def transfer(number, source, receiver, start_s, end_s, *, size=1000, status="complete", tag="data"):
    return TransferRecord(
        id=number, source=source, receiver=receiver, tag=tag, protocol="tcp", encoding="fp32", status=status,
        size_bytes=size, delivered_bytes=size, queued_s=start_s, first_byte_s=start_s, last_byte_s=end_s,
        acknowledged_s=end_s, retransmissions=0, goodput_bps=1.0, lost_bytes=0, participant=0,
    )  # fmt: skip


def computation(node, label, start_s, end_s) -> ComputeRecord:
    return ComputeRecord(node, label, start_s, end_s, 10**6, 10**5, 0.25, 0.0)


def record(folder: RunFolder, name: str, nodes: dict[str, str], transfers=(), computations=()) -> None:
    """Put invented records into a simulation without a network, by the recorder that experiments use."""
    recorder = SimulationRecorder(folder, name, {"method": name})

    async def main(sim):
        async with recorder.following(sim, {"numUe": 2}):
            for each in transfers:
                recorder.on_transfer(each)
            for each in computations:
                recorder.on_compute(each)

    cosim.simulate(main, nodes=nodes)
    recorder.done()


def small_run(out: Path, rate: float = 0.5, experiment: str = "nowhere") -> Path:
    """ue0 walks 40 m along x in 4 s; it sends from 1 s to 2 s, the server computes from 2 s to 3 s; "second" is empty
    but for a transfer that failed. One node is called like a script."""
    with RunFolder.create(experiment, Config(rate=rate), seed=1, out=out) as folder:
        nodes = {"ue0": "ue", EVIL: "ue", "gnb0": "gnb", "edge0": "edge"}
        transfers = [
            transfer(1, "ue0", "edge0", 1.0, 2.0, size=1_500_000),
            transfer(2, EVIL, "edge0", 1.5, 2.5, tag=EVIL),
            transfer(3, "edge0", "ue0", 3.0, 4.0, size=500),
        ]
        record(folder, "first", nodes, transfers, [computation("edge0", "encode", 2.0, 3.0)])
        walks = Walks(["ue0", "gnb0"])
        table = folder.table("positions", {"simulation": str, "method": str, "time_s": float, "node": str}
                             | {"x_m": float, "y_m": float, "z_m": float})  # fmt: skip
        rows = [row for t in range(5) for row in walks.add(float(t), np.array([[10.0 * t, 5, 1], [0, 0, 10]]))]
        for row in [*rows, *walks.end()]:
            table.append({"simulation": "first", "method": "first"} | row)
        record(folder, "second", {"ue0": "ue", "edge0": "edge"}, [transfer(1, "ue0", "edge0", 0, 1, status="failed")])
        metrics = folder.table("metrics", {"method": str, "step": int, "time_s": float, "accuracy": float})
        for step in range(4):
            metrics.append({"method": "first", "step": step, "time_s": float(step), "accuracy": rate + step / 10})
        metrics.append({"method": EVIL, "step": 0, "time_s": 0.0, "accuracy": 0.1})
    return folder.path
