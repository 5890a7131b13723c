# SPDX-License-Identifier: GPL-2.0-only
"""The ledger: table `devices`, the cost of a simulation for each node that took part, whatever the workload.

node, role         as in table `nodes`
compute_s          seconds of its compute blocks, added up (blocks side by side count each)
compute_j          joules of these blocks above idle power
radio_j            joules of its radio, which sends, receives, listens and sleeps (docs/energy.md), up to the last slot
                   that was over; null without the observable `ue_radio_j` (`gnb_radio_j` for a gNB)
idle_j             joules of idle power over the whole simulation, from its first to its last simulated second
total_j            compute_j, radio_j (if it is known) and idle_j together
peak_memory_bytes  the most that was allocated at a time; null if the workload allocates nothing
storage_bytes      the most that it stored at a time; null if the workload stores nothing
lifetime_s         simulated second at which its battery became empty; null: it did not, or there is none
bytes_up           payload bytes that it sent: all bytes, lost or not, of a transfer that ended (complete, partial), and
                   those that had arrived of a transfer that was stopped (cancelled, expired, failed); once for each
                   receiver, as in table `transfers`
bytes_down         payload bytes that arrived at it
prb_slots          resource blocks times slots that a cell gave it, in both directions, including retransmissions, but
                   not those shared with others (multicast); null without the observable `ue_prb_slots`

Tables of older runs have no total_j.

A node takes part if it computes, allocates memory, or is an end of a transfer that has ended; network equipment that
only forwards has no row. Sums are over what this process has recorded in the tables `transfers` and `compute`, up to
the end of the simulation or until it failed. A process that is killed (SIGKILL) leaves no rows of the simulation in
progress. Workloads add columns of their own with `Ledger.note`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.cosim.radio_energy import GNB_RADIO_J, UE_RADIO_J
from edgelam.cosim.records import ComputeRecord, TransferRecord

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation

TABLE = "devices"
COLUMNS: dict[str, type] = {
    "node": str, "role": str, "compute_s": float, "compute_j": float, "radio_j": float, "idle_j": float,
    "peak_memory_bytes": int, "storage_bytes": int, "lifetime_s": float, "bytes_up": int, "bytes_down": int,
    "prb_slots": int, "total_j": float,
}  # fmt: skip
OF_THE_NETWORK = ("compute_s", "compute_j", "radio_j", "idle_j", "lifetime_s", "bytes_up", "bytes_down", "prb_slots",
                  "total_j")  # fmt: skip
"""Columns that are new in a replay over another network or on other devices."""
PRB_SLOTS = "ue_prb_slots"
"""Observable [direction, ue], for the nodes of role ue in the scenario's order."""
_WHOLE = ("complete", "partial")  # states of a transfer that was sent to its end


@dataclass(slots=True)
class _Sums:
    compute_s: float = 0.0
    compute_j: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0


class Ledger:
    """Adds up the records of one simulation by node."""

    def __init__(self) -> None:
        """Begin with no records."""
        self._sums: defaultdict[str, _Sums] = defaultdict(_Sums)
        self._facts: defaultdict[str, dict[str, Any]] = defaultdict(dict)

    def transfer(self, record: TransferRecord) -> None:
        """Add a transfer that has ended at one receiver."""
        sent = record.size_bytes if record.status in _WHOLE else record.delivered_bytes
        self._sums[record.source].bytes_up += sent
        self._sums[record.receiver].bytes_down += record.delivered_bytes

    def compute(self, record: ComputeRecord) -> None:
        """Add a computation that has ended."""
        sums = self._sums[record.node]
        sums.compute_s += record.end_s - record.start_s
        sums.compute_j += record.energy_j

    def note(self, node: str, **facts: Any) -> None:
        """Note more about a node: columns of the workload's own, or values that replace those known here."""
        self._facts[node] |= facts

    def rows(
        self, nodes: Iterable[Node], simulated_s: float, radio: Mapping[str, Mapping[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Return a row for each of `nodes` that took part in a simulation of `simulated_s` seconds, in their order.

        radio: for each node, what `read_radio` has found.
        """
        rows = [
            self._row(node, simulated_s, (radio or {}).get(node.name, {})) | self._facts[node.name]
            for node in nodes
            if node.name in self._sums or node.name in self._facts or node.memory.peak_bytes or node.storage.peak_bytes
        ]
        for row in rows:
            row["total_j"] = row["compute_j"] + (row["radio_j"] or 0.0) + row["idle_j"]
        return rows

    def _row(self, node: Node, simulated_s: float, radio: Mapping[str, Any]) -> dict[str, Any]:
        sums, lifetime_s = self._sums[node.name], None if node.battery is None else node.battery.lifetime_s
        return {
            "node": node.name,
            "role": node.role,
            "compute_s": sums.compute_s,
            "compute_j": sums.compute_j,
            "radio_j": radio.get("radio_j"),
            "idle_j": node.device.idle_w * (simulated_s if lifetime_s is None else min(simulated_s, lifetime_s)),
            "peak_memory_bytes": int(node.memory.peak_bytes) or None,
            "storage_bytes": int(node.storage.peak_bytes) or None,
            "lifetime_s": lifetime_s,
            "bytes_up": sums.bytes_up,
            "bytes_down": sums.bytes_down,
            "prb_slots": radio.get("prb_slots"),
        }


def is_ledger(columns: Iterable[str]) -> bool:
    """Whether a table `devices` with these columns is a ledger; that of an older run, or an experiment's, is not."""
    return {"simulation", *COLUMNS} - {"total_j"} <= set(columns)


async def read_radio(sim: Simulation) -> dict[str, dict[str, Any]]:
    """Return node name -> columns `prb_slots` and `radio_j` so far, as far as the scenario knows them."""
    found: dict[str, dict[str, Any]] = {}
    for observable, role, column in (
        (PRB_SLOTS, "ue", "prb_slots"), (UE_RADIO_J, "ue", "radio_j"), (GNB_RADIO_J, "gnb", "radio_j"),
    ):  # fmt: skip
        if observable in sim.observables:
            sums = np.atleast_1d((await sim.observable(observable).read()).value.sum(axis=0)).tolist()
            names = [node.name for node in sim.nodes.values() if node.role == role]
            for name, value in zip(names, sums, strict=False):
                found.setdefault(name, {})[column] = value
    return found
