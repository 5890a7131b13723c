# SPDX-License-Identifier: GPL-2.0-only
"""The ledger: table `devices`, what a simulation cost each node that took part in it, whatever the workload.

node, role         as in table `nodes`
compute_s          seconds of its compute blocks, added up (blocks side by side count each)
compute_j          joules of these blocks above idle power
radio_j            joules of its radio; null: nobody knows them yet
idle_j             joules of idle power over the whole simulation, from its first to its last simulated second
peak_memory_bytes  most that was allocated at a time; null where the workload allocates nothing
storage_bytes      most that it stored at a time; null where the workload stores nothing
lifetime_s         simulated second at which its battery was empty; null: it was not, or there is none
bytes_up           payload bytes it sent: of a transfer that came to its end (complete, partial) all of them, lost or
                   not, of one that was stopped (cancelled, expired, failed) those that had arrived; once for each
                   receiver, as in table `transfers`
bytes_down         payload bytes that arrived at it
prb_slots          resource blocks times slots that a cell gave it, both directions, retransmissions too, what it shares
                   with others (multicast) not; null where the scenario has no observable `ue_prb_slots`

A node takes part when it computes, allocates memory, or is an end of a transfer that is over; network equipment that
only forwards has no row. Sums are over what this process has recorded in the tables `transfers` and `compute`, up to
the end of the simulation or to where it failed; a process that is killed (SIGKILL) leaves no rows of the simulation
that was under way. Workloads add columns of their own with `Ledger.note`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgelam.cosim.records import ComputeRecord, TransferRecord

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation

TABLE = "devices"
COLUMNS: dict[str, type] = {
    "node": str, "role": str, "compute_s": float, "compute_j": float, "radio_j": float, "idle_j": float,
    "peak_memory_bytes": int, "storage_bytes": int, "lifetime_s": float, "bytes_up": int, "bytes_down": int,
    "prb_slots": int,
}  # fmt: skip
OF_THE_NETWORK = ("compute_s", "compute_j", "radio_j", "idle_j", "lifetime_s", "bytes_up", "bytes_down", "prb_slots")
"""What a replay over another network, or on other devices, has anew."""
PRB_SLOTS = "ue_prb_slots"
"""The observable [direction, ue] that counts them, of the nodes of role ue in the scenario's order."""
_WHOLE = ("complete", "partial")  # of a transfer: it was sent to its end


@dataclass(slots=True)
class _Sums:
    compute_s: float = 0.0
    compute_j: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0


class Ledger:
    """Adds up the records of one simulation by node."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._sums: defaultdict[str, _Sums] = defaultdict(_Sums)
        self._facts: defaultdict[str, dict[str, Any]] = defaultdict(dict)

    def transfer(self, record: TransferRecord) -> None:
        """A transfer is over at one receiver."""
        sent = record.size_bytes if record.status in _WHOLE else record.delivered_bytes
        self._sums[record.source].bytes_up += sent
        self._sums[record.receiver].bytes_down += record.delivered_bytes

    def compute(self, record: ComputeRecord) -> None:
        """A computation is over."""
        sums = self._sums[record.node]
        sums.compute_s += record.end_s - record.start_s
        sums.compute_j += record.energy_j

    def note(self, node: str, **facts: Any) -> None:
        """What else is known of a node: columns, of the workload's own or instead of what is known here."""
        self._facts[node] |= facts

    def rows(
        self, nodes: Iterable[Node], simulated_s: float, prb_slots: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        """A row for each of `nodes` that took part in a simulation of `simulated_s` seconds, in their order."""
        return [
            self._row(node, simulated_s) | {"prb_slots": (prb_slots or {}).get(node.name)} | self._facts[node.name]
            for node in nodes
            if node.name in self._sums or node.name in self._facts or node.memory.peak_bytes or node.storage.peak_bytes
        ]

    def _row(self, node: Node, simulated_s: float) -> dict[str, Any]:
        sums, lifetime_s = self._sums[node.name], None if node.battery is None else node.battery.lifetime_s
        return {
            "node": node.name,
            "role": node.role,
            "compute_s": sums.compute_s,
            "compute_j": sums.compute_j,
            "idle_j": node.device.idle_w * (simulated_s if lifetime_s is None else min(simulated_s, lifetime_s)),
            "peak_memory_bytes": int(node.memory.peak_bytes) or None,
            "storage_bytes": int(node.storage.peak_bytes) or None,
            "lifetime_s": lifetime_s,
            "bytes_up": sums.bytes_up,
            "bytes_down": sums.bytes_down,
        }


def is_ledger(columns: Iterable[str]) -> bool:
    """Whether a table `devices` of these columns is one: that of an older run, or of an experiment's own, is not."""
    return {"simulation", *COLUMNS} <= set(columns)


async def read_prb_slots(sim: Simulation) -> dict[str, int]:
    """Node name -> resource blocks times slots so far; empty where the scenario does not count them."""
    if PRB_SLOTS not in sim.observables:
        return {}
    counts = (await sim.observable(PRB_SLOTS).read()).value.sum(axis=0)
    ues = [node.name for node in sim.nodes.values() if node.role == "ue"]
    return dict(zip(ues, counts.tolist(), strict=False))
