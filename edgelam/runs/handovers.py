# SPDX-License-Identifier: GPL-2.0-only
"""Table `handovers`: what happened to the connections of UEs in a network of cells (docs/mobility.md), whoever asked.

node                     the UE
time_s                   when the event was over
event                    handover, handover failure, link failure, reestablishment, abandoned,
                         preparation failure (the target has no room), rejection (nor has it for a re-establishment)
source, target           cells; null: none
started_s                the decision; of a re-establishment, the failure
left_s, access_s         when the UE left its cell, and when random access had succeeded; null: not so
interruption_s           the time between these two
preambles                sent in random access
too_late, too_early, wrong_cell, ping_pong   TS 38.300 15.5.2.1, and a handover back within a second
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

TABLE, OBSERVABLE = "handovers", "handovers"
COLUMNS: dict[str, type] = {
    "node": str, "time_s": float, "event": str, "source": int, "target": int, "started_s": float, "left_s": float,
    "access_s": float, "interruption_s": float, "preambles": int, "too_late": bool, "too_early": bool,
    "wrong_cell": bool, "ping_pong": bool,
}  # fmt: skip
EVENTS = (
    "handover", "handover failure", "link failure", "reestablishment", "abandoned", "preparation failure", "rejection",
)  # fmt: skip
"""By the number that the scenario has for them (nr-handover-records.h)."""
VERDICTS = ("too_late", "too_early", "wrong_cell", "ping_pong")


async def read(sim: Simulation) -> list[dict[str, Any]]:
    """Return the rows of the simulation so far, in the order of time; none if the scenario has no handovers."""
    if OBSERVABLE not in sim.observables:
        return []
    records = (await sim.observable(OBSERVABLE).read()).value
    ues = [node.name for node in sim.nodes.values() if node.role == "ue"]
    return [_row(ues, record) for record in records]


def _row(ues: list[str], record: Any) -> dict[str, Any]:
    left_s, access_s = _seconds(record["left_ns"]), _seconds(record["access_ns"])
    return {
        "node": ues[record["ue"]],
        "time_s": _seconds(record["time_ns"]),
        "event": EVENTS[record["event"]],
        "source": _cell(record["source"]),
        "target": _cell(record["target"]),
        "started_s": _seconds(record["started_ns"]),
        "left_s": left_s,
        "access_s": access_s,
        "interruption_s": None if left_s is None or access_s is None else access_s - left_s,
        "preambles": int(record["preambles"]),
        **{name: bool(record[name]) for name in VERDICTS},
    }


def _seconds(time_ns: int) -> float | None:
    return None if time_ns < 0 else float(time_ns) / 1e9


def _cell(number: int) -> int | None:
    return None if number < 0 else int(number)
