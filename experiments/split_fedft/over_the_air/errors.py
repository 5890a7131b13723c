# SPDX-License-Identifier: GPL-2.0-only
"""The error of a mean over the air by the number of devices, with drawn updates: the channel alone, without learning.

    python -m edgelam.experiments.split_fedft.over_the_air.errors FOLDER

writes errors.csv and error.svg. K devices of nr-urban-micro, which walk, send vectors of norm 1 with random directions
in one transfer. All errors are sums of squares over the mean's values, in units of one update's.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from edgelam import cosim
from edgelam.learning.over_the_air import elements_for, look, receive, symbols_of
from edgelam.learning.privacy import analog
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.runs import figures

DEVICES, SEEDS = (1, 2, 4, 8, 16), (1, 2, 3, 4, 5)
VALUES, TRUNCATION, SCENARIO = 20_000, 0.05, "nr-urban-micro"


def measure(devices: int, seed: int) -> dict[str, float]:
    """One transfer of so many devices.

    error: all of it; noise: expected, of noise (there is no other cell); silence: of who is silent; age: of that and of
    channels that have changed since the grant. elements, slots; z: the noise multiplier that thermal noise supplies to
    a clip of 1.
    """

    async def main(sim: cosim.Simulation) -> cosim.AnalogTransfer:
        nodes = [sim.node(f"ue{k}") for k in range(devices)]
        return await sim.node("gnb0").over_the_air(nodes, elements_for(VALUES))

    found = cosim.simulate(main, scenario=SCENARIO, options={"numUe": devices}, seed=seed)
    rng = from_numbers(derive_seed(seed, f"updates of {devices} devices"))
    updates = rng.normal(size=(devices, VALUES))
    updates /= np.linalg.norm(updates, axis=1, keepdims=True)
    sky = look(found, TRUNCATION)
    eta = sky.needed(np.abs(symbols_of(updates)) ** 2)
    got = receive(updates, sky, eta, rng)
    quiet = dataclasses.replace(found, noise_w=0.0, interference_w=0 * found.interference_w)
    old = dataclasses.replace(quiet, gains=quiet.known)
    age, silence = (receive(updates, dataclasses.replace(sky, transfer=each), eta, rng).error for each in (quiet, old))
    return {
        "devices": devices, "seed": seed, "error": got.error, "noise": got.noise_error, "silence": silence, "age": age,
        "silent": 1.0 - float(sky.sends.mean()), "elements": found.num_elements, "slots": found.num_slots,
        "z": analog.supplied_to_sum(1.0, sky.amplitude(eta), found.noise_w),
    }  # fmt: skip


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Draw means of logarithms over seeds, and one standard deviation around them."""
    with figures.figure(path, height_in=2.5) as (_, (axes,)):
        parts = {"error": "all", "age": "silence and age of channels", "noise": "noise"}
        for index, (column, label) in enumerate(parts.items()):
            logs = np.log10(rows.set_index("devices")[column]).groupby("devices")
            mean, spread = logs.mean(), logs.std()
            axes.plot(mean.index, 10**mean, label=label, **figures.line_style(index, len(mean)))
            axes.fill_between(mean.index, 10 ** (mean - spread), 10 ** (mean + spread), alpha=0.15)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("devices")
        axes.set_ylabel("squared error of the mean,\nin units of an update")
        axes.legend(fontsize=6)


def main(folder: Path) -> None:
    """Measure, and write the table and the figure."""
    found = []
    for seed in SEEDS:
        found += [measure(devices, seed) for devices in DEVICES]
        pd.DataFrame(found).to_csv(folder / "errors.csv", index=False, float_format="%.4g")
    draw(pd.DataFrame(found), folder / "error")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
