# SPDX-License-Identifier: GPL-2.0-only
"""Drops of UEs in nr-link-budget, and percentiles over them with their intervals."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from edgelam import cosim

from .checks import Check, Frame

RESAMPLED = 200  # times
BEYOND_DB = 0.5  # how far outside of what companies found a percentile may be


def observe(options: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """One drop of the scenario with these options: what it shows of each UE and its serving cell."""

    async def main(sim: cosim.Simulation) -> dict[str, np.ndarray]:
        names = ("coupling_gain", "serving_cell", "geometry", "sir", "ue_drop")
        return {name: (await sim.observable(name).read()).value for name in names}

    found = cosim.simulate(main, scenario="nr-link-budget", options=options, seed=seed)
    return [
        {
            "ue": ue,
            "serving_cell": int(cell),
            "indoor": bool(found["ue_drop"]["indoor"][ue]),
            "coupling_gain": float(found["coupling_gain"][ue, cell]),
            "geometry": float(found["geometry"][ue]),
            "sir": float(found["sir"][ue]),
        }
        for ue, cell in enumerate(found["serving_cell"])
    ]


def percentiles(rows: Frame, wanted: Iterable[tuple[str, int]], random: np.random.Generator) -> Frame:
    """Each wanted (quantity, percentile) over all UEs of `rows`: value, and its middle 95 % when resampled, dB.

    Drops are resampled; of a single drop its UEs, as if each had its own shadowing: that interval is too narrow.
    """
    units = np.arange(len(rows)) if len(set(rows["drop"])) == 1 else rows["drop"].to_numpy()
    members = [np.flatnonzero(units == unit) for unit in np.unique(units)]
    chosen = [
        np.concatenate([members[i] for i in random.integers(len(members), size=len(members))]) for _ in range(RESAMPLED)
    ]
    found = {}
    for quantity, percent in wanted:
        values = rows[quantity].to_numpy()
        low, high = np.percentile([np.percentile(values[ues], percent) for ues in chosen], [2.5, 97.5])
        found[quantity, percent] = {
            "value": float(np.percentile(values, percent)), "low": float(low), "high": float(high)
        }  # fmt: skip
    return pd.DataFrame.from_dict(found, orient="index").rename_axis(["quantity", "percentile"])


def within(case: str, what: str, found: Frame, known: Frame, drops: int) -> Check:
    """Check that every percentile over all drops is in the envelope of the companies, or at most BEYOND_DB outside.

    found: value, low, high by percentile, known: min, max, dB. With fewer than two drops it is undecided.
    """
    both = found.join(known)
    beyond = pd.concat([both["value"] - both["max"], both["min"] - both["value"]], axis=1).max(axis=1)
    at = beyond.idxmax()
    return Check(
        case, f"{what}: 5 to 95 % within {BEYOND_DB} dB of the envelope",
        f"{beyond[at]:+.2f} dB beyond it at most: at {at} % {both['value'][at]:.2f} dB, interval "
        f"{both['low'][at]:.2f} to {both['high'][at]:.2f}", None if drops < 2 else bool(beyond[at] <= BEYOND_DB),
    )  # fmt: skip
