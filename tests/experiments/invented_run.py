# SPDX-License-Identifier: GPL-2.0-only
"""Tables of a run with invented numbers, for tests of what reads them."""

import random
from types import SimpleNamespace

from edgelam.experiments.split_fedft.tables import MethodTables, write_control

from edgelam.cosim.devices import DEVICES, MemoryPool, StoragePool
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.federated.controls import ControlRow
from edgelam.federated.records import DeviceRecord, DeviceRoundRecord, EvaluationRecord, RoundRecord
from edgelam.runs import RunFolder

METHODS = {"split FedFT": 1.0, "FedIT": 1.7}


def transfer(number: int, source: str, receiver: str, start_s: float, size: int) -> TransferRecord:
    return TransferRecord(
        id=number, source=source, receiver=receiver, tag="embedding", protocol="tcp", encoding="fp16",
        status="complete", size_bytes=size, delivered_bytes=size, queued_s=start_s, first_byte_s=start_s + 0.01,
        last_byte_s=start_s + 0.1, acknowledged_s=start_s + 0.11, retransmissions=0, goodput_bps=size * 80.0,
        lost_bytes=0, participant=0,
    )  # fmt: skip


def fill(folder: RunFolder, rounds: int = 12, num_devices: int = 3) -> None:
    """What a run with two methods and two controls would report, with invented numbers."""
    chance = random.Random(1)
    for label, slowness in METHODS.items():
        tables = MethodTables(folder, label)
        tables.nodes = {
            name: SimpleNamespace(
                name=name,
                role=role,
                sent_bytes=0,
                device=DEVICES["phone"],
                memory=MemoryPool(name, 1),
                storage=StoragePool(name, 1),
                battery=None,
            )
            for name, role in (*((f"ue{i}", "ue") for i in range(num_devices)), ("edge0", "edge"))
        }
        for r in range(rounds):
            start, end = r * slowness, (r + 1) * slowness
            for i in range(num_devices):
                for name, size in ((f"ue{i}", 1000), ("edge0", 400)):
                    tables.nodes[name].sent_bytes += size
                tables.on_transfer(transfer(r, f"ue{i}", "edge0", start, 1000))
                tables.on_transfer(transfer(r, "edge0", f"ue{i}", start, 400))
                tables.on_compute(ComputeRecord(f"ue{i}", "embed", start, start + 0.1, 10**6, 10**5, 0.2, 0.0))
                parts = [chance.uniform(0.1, 0.24) * slowness for _ in range(3)]
                tables.report(
                    DeviceRoundRecord(
                        "m", r, f"ue{i}", start, end, *parts, slowness - sum(parts), 2.0 / (r + 1), 8, counted=True
                    )
                )
            tables.report(RoundRecord("m", r, r + 1, start, end, 2.0 / (r + 1), 24, 3, 0, 0))
            if r % 4 == 3:
                accuracy = 0.6 - 0.4 / (r + 1) / slowness
                tables.report(EvaluationRecord("m", r + 1, end, "average", "global", accuracy, 1.1, 400))
                tables.report(EvaluationRecord("m", r + 1, end, "ue0", "local", accuracy + 0.1, 1.0, 400))
        for i in range(num_devices):
            tables.report(DeviceRecord("m", f"ue{i}", "ue", 800 + i, int(2e7 * slowness), 12.5 + i, 10**10))
        tables.report(DeviceRecord("m", "edge0", "edge", 0, 10**8, 900.0, 10**12))
        tables.write_devices(tables.ledger.rows(tables.nodes.values(), rounds * slowness))
        tables.done()
    write_control(folder, ControlRow("TF-IDF + linear (all samples)", 0.55, 1.4, 7000), 400)
    write_control(folder, ControlRow("majority class", 0.2, 2.2, 7000), 400)
    folder.note(without_network=[])
