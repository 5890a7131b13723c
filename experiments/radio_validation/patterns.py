# SPDX-License-Identifier: GPL-2.0-only
"""Slots of FDD and TDD patterns, read a second time: what the cell does with them is checked against this."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Slot:
    """Symbols of downlink and uplink."""

    downlink: int
    uplink: int


def slots(pattern: str) -> list[Slot]:
    """The slots of FDD, or of a pattern of D, S and U with special slots of 10, 2 and 2 symbols."""
    if pattern == "FDD":
        return [Slot(14, 14)]
    kinds = {"D": Slot(14, 0), "S": Slot(10, 2), "U": Slot(0, 14)}
    return [kinds[letter] for letter in pattern]
