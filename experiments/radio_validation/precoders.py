# SPDX-License-Identifier: GPL-2.0-only
"""Several UEs on the same resource blocks: goodput of precoders from PyTorch and of zero forcing, as predicted.

Four UEs with one antenna each, at one distance from a gNB with four, fade independently and alike over the whole band
(nr-urban-micro, deployment Rayleigh). Every slot, the program looks at the channels and sets a precoder. The SINRs of
these weights and the channels of the slot predict what arrives, through EESM and the best MCS.
"""

import asyncio
import collections
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgelam import cosim
from edgelam.air import beamforming as bf
from edgelam.air import full_buffers
from edgelam.air.beamforming.rules import RULES
from edgelam.air.link_rate import Link
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .runner import Runner

TABLE = "precoders"
SCHEMA = {"snr_db": float, "method": str, "age": int, "drop": int, "bits": float, "predicted_bits": float}
"""`age`: of the channels that a precoder is from, slots; bits of all UEs in five slots (DDDSU), and predicted."""
SHARING = "sharing"
SHARING_SCHEMA = {"snr_db": float, "drop": int, "alone_bits": float, "both_bits": float,
                  "predicted_alone": float, "predicted_both": float}  # fmt: skip
"""Two UEs in turn, and both at once."""

UES, ANTENNAS, PRBS, GROUPS, DMRS = 4, 4, 51, 13, 12
FLAT = {
    "deployment": "Rayleigh",
    "numUe": UES,
    "gnbRows": 1,
    "gnbColumns": ANTENNAS,
    "gnbPolarisations": 1,
    "gnbElement": "isotropic",
    "downtilt": 0,
    "ueAntennas": 1,
    "minDistance": 100,
    "maxDistance": 101,
    "bandwidth": 20,
    "beams": "external",
    "selection": "external",
    "numEdge": 1,
}
# Nothing is late, and channels are computed anew in every slot.
AT_ONCE = {
    f"edgelam::{each}": 0 for each in ("nr::Cell::GnbDelay", "nr::Cell::CsiDelay", "RadioChannel::CoherenceDistance")
}
NOISE_DBM = -174 + 9 + 10 * math.log10(12 * 30e3)  # of a resource block, at a UE
LOSS_DB = 20 * math.log10(4 * math.pi * 100.86 * 3.5e9 / 299792458)  # in the middle, from 10 m to 1.5 m high
METHODS = {name: RULES[name.lower()] for name in ("MRT", "ZF", "RZF", "WMMSE")}
LATE = ("RZF", "WMMSE")  # those that are also computed from channels that are past
SLOTS = 5  # DDDSU
SLOT_S = 0.5e-3
FILLING = 4  # periods before anything is counted
ELEMENTS = 64  # of the gNB where two UEs share the band
WITHIN, WITHIN_LATE = 0.05, 0.08  # late weights disturb others, and the outer loop learns it


def gnb_dbm(snr_db: float) -> float:
    """Power of the gNB for this mean SNR of one antenna that sends with all of it, dBm."""
    return snr_db + LOSS_DB + NOISE_DBM + 10 * math.log10(PRBS)


def downlink(h: np.ndarray, dbm: float) -> bf.Downlink:
    """The problem of the middle group: complex128, power over the noise of a resource block.

    h: complex [ue, ue_antenna, element, prb_group].
    """
    power = 10 ** ((dbm - 10 * math.log10(PRBS) - NOISE_DBM) / 10)
    return bf.Downlink(torch.from_numpy(h[:, 0, :, h.shape[-1] // 2]).to(torch.complex128), power=power)


def as_control(problem: bf.Downlink, precoder: torch.Tensor) -> np.ndarray:
    """complex64 [ue, group, element, layer 1] of weights [antenna, user]; power at most 1 in each group."""
    weights = (precoder / math.sqrt(problem.power)).T.to(torch.complex64).numpy()
    return np.repeat(weights[:, None, :, None], GROUPS, axis=1)


def fill(sim: cosim.Simulation, ues: int = UES) -> asyncio.Future[None]:
    """Fill the buffers of the UEs until cancelled."""
    nodes = [sim.node(f"ue{ue}") for ue in range(ues)]
    return asyncio.ensure_future(full_buffers.fill(sim, sim.node("edge0"), nodes, prbs=PRBS, slot_s=SLOT_S))


async def decoded_bits(sim: cosim.Simulation) -> float:
    """Bits in downlink that have arrived at all UEs."""
    return float((await sim.observable("ue_block_counts").read()).value[0]["decoded_bits"].sum())


def predicted(link: Link, sinr: np.ndarray) -> float:
    """Bits in five slots of all UEs with these SINRs, linear [ue], the same over the band."""
    return SLOTS * sum(link.bits_per_slot(np.full(GROUPS, each)) for each in sinr)


def link_of_band() -> Link:
    """The tables for blocks over the whole band."""
    return Link(2, [4] * (GROUPS - 1) + [PRBS - 4 * (GROUPS - 1)], DMRS)


def drive(snr_db: float, name: str, age: int, *, seed: int, periods: int) -> dict[str, Any]:
    """Let a method drive a cell; UEs walk at 3 km/h. The same seed gives all methods the same channels.

    age: in slots, of the channels that the method sees. Channels are looked at, and weights set, 0.1 ms before every
    slot; the gNB decides for the slot that begins. Returns a row of SCHEMA without the drop.
    """
    link, dbm = link_of_band(), gnb_dbm(snr_db)

    async def main(sim: cosim.Simulation) -> tuple[float, float]:
        channel, control = sim.observable("ue_channel"), sim.control("precoder")
        await asyncio.sleep(SLOT_S - 0.1e-3)
        sending = fill(sim)
        seen: collections.deque[bf.Downlink] = collections.deque(maxlen=age + 1)
        found, begun = [], 0.0
        for step in range(SLOTS * (FILLING + periods)):
            if step == SLOTS * FILLING:
                begun = await decoded_bits(sim)
            problem = downlink((await channel.read()).value, dbm)
            seen.append(problem)
            precoder = METHODS[name](seen[0])
            await control.set(as_control(problem, precoder))
            if step >= SLOTS * FILLING:
                found.append(predicted(link, problem.sinr(precoder).numpy()))
            await asyncio.sleep(SLOT_S)
        bits = (await decoded_bits(sim) - begun) / periods
        sending.cancel()
        return bits, float(np.mean(found))

    options = FLAT | AT_ONCE | {"gnbPower": dbm, "speed": 3 / 3.6}
    bits, expected = cosim.simulate(main, scenario="nr-urban-micro", options=options, seed=seed)
    return {"snr_db": snr_db, "method": name, "age": age, "bits": bits, "predicted_bits": expected}


def share(snr_db: float, seed: int, **options: Any) -> tuple[np.ndarray, float]:
    """Two UEs that stand still, before a gNB of 64 elements with beams of its own: channels, and bits in five slots.

    snr_db: of a UE with all of the power; options: beams and selection. The channels are complex [ue, element], in
    units in which their power is the SINR of a UE alone.
    """
    periods, dbm = 60, gnb_dbm(snr_db) - 10 * math.log10(ELEMENTS)

    async def main(sim: cosim.Simulation) -> tuple[np.ndarray, float]:
        h = (await sim.observable("ue_channel").read()).value
        sending = fill(sim, ues=2)
        await asyncio.sleep(0.03)
        before = await decoded_bits(sim)
        await asyncio.sleep(periods * SLOTS * SLOT_S)
        bits = (await decoded_bits(sim) - before) / periods
        sending.cancel()
        problem = downlink(h, dbm)
        return problem.channel.numpy() * math.sqrt(problem.power), bits

    array = {"gnbRows": 8, "gnbColumns": ELEMENTS // 8, "numUe": 2, "speed": 0, "gnbPower": dbm}
    return cosim.simulate(main, scenario="nr-urban-micro", options=FLAT | array | options, seed=seed)


def expected_of_two(h: np.ndarray) -> tuple[float, float]:
    """Bits in five slots that the channels of `share` predict: in turn, and with zero forcing to both at once."""
    link, gram = link_of_band(), h @ h.conj().T
    alone = predicted(link, gram.diagonal().real) / 2
    return alone, predicted(link, 0.5 / np.linalg.inv(gram).diagonal().real)


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """All methods at each SNR, late ones at the highest; then two UEs at once."""
    writer, sharing = folder.table(TABLE, SCHEMA), folder.table(SHARING, SHARING_SCHEMA)
    ways = [(snr_db, name, 0) for snr_db in config.precoder_snr_db for name in METHODS]
    ways += [(config.precoder_snr_db[-1], name, age) for age in config.precoder_ages for name in LATE]
    total = config.precoder_drops * (len(ways) + 2 * len(config.sharing_snr_db))
    runner.progress.begin("precoders", total, "runs")
    done = 0
    for drop in range(config.precoder_drops):
        seed = config.seed + drop
        for way in ways:
            writer.append({**drive(*way, seed=seed, periods=config.precoder_periods), "drop": drop})
            runner.progress.step(done := done + 1)
        for snr_db in config.sharing_snr_db:
            h, alone = share(snr_db, seed, beams="zf", selection="none")
            runner.progress.step(done := done + 1)
            _, both = share(snr_db, seed, beams="zf", selection="greedy")
            runner.progress.step(done := done + 1)
            of_alone, of_both = expected_of_two(h)
            sharing.append({"snr_db": snr_db, "drop": drop, "alone_bits": alone, "both_bits": both,
                            "predicted_alone": of_alone, "predicted_both": of_both})  # fmt: skip


def _means(rows: Frame) -> Frame:
    """Over drops, [snr_db, age, method] in the order of METHODS: Mbit/s, predicted Mbit/s and their ratio."""
    mbps = 1e-6 / (SLOTS * SLOT_S)
    found = rows.groupby(["snr_db", "age", "method"])[["bits", "predicted_bits"]].mean() * mbps
    found = found.rename(columns={"bits": "mbps", "predicted_bits": "predicted"})
    found["ratio"] = found["mbps"] / found["predicted"]
    return found.reindex([name for name in METHODS if name in rows["method"].unique()], level="method")


def _ratios(run: Run) -> Frame:
    """Goodput of two UEs at once over that in turn, means over drops, [snr_db]: found and predicted."""
    sums = run[SHARING].groupby("snr_db")[list(SHARING_SCHEMA)[2:]].sum()
    return sums.assign(
        found=sums["both_bits"] / sums["alone_bits"], predicted=sums["predicted_both"] / sums["predicted_alone"]
    )


def draw(run: Run) -> list[Path]:
    """Carried over predicted rates of each method; the same over the age of channels; two UEs at once over in turn."""
    means, ratios = _means(run[TABLE]), _ratios(run)
    late = means.xs(means.index.get_level_values("snr_db").max(), level="snr_db")
    with figures.figure(run.path / "precoders", width_in=figures.PAGE_IN, height_in=2.3, columns=3) as (_, panels):
        for index, name in enumerate(METHODS):
            style: dict[str, Any] = {"color": figures.COLOURS[index], "ms": 4}
            some = means.xs((0, name), level=("age", "method"))
            panels[0].plot(some.index, some["mbps"], "o", **style, label=name)
            panels[0].plot(some.index, some["predicted"], "-", **style, lw=0.9)
            some = late.xs(name, level="method")
            if len(some) > 1:
                panels[1].plot(some.index * 1e3 * SLOT_S, some["mbps"], "o", **style, label=name)
                panels[1].plot(some.index * 1e3 * SLOT_S, some["predicted"], "-", **style, lw=0.9)
        panels[0].set(xlabel="SNR of one antenna (dB)", ylabel="goodput of four UEs (Mbit/s)", ylim=(0, None))
        panels[1].set(xlabel="age of the channels (ms)", ylim=(0, None))
        panels[2].plot(ratios.index, ratios["found"], "o", color=figures.COLOURS[0], ms=4, label="found")
        panels[2].plot(ratios.index, ratios["predicted"], "-", color=figures.COLOURS[0], lw=0.9, label="predicted")
        shannon = [2 * math.log2(1 + snr / 2) / math.log2(1 + snr) for snr in 10 ** (ratios.index / 10)]
        panels[2].plot(ratios.index, shannon, ":", color="#7F7F7F", lw=0.9, label="Shannon")
        panels[2].set(xlabel="SNR of a UE (dB)", ylabel="two at once / in turn", ylim=(1, 2))
        for axes in panels:
            axes.legend(fontsize=6)
    return [run.path / "precoders.svg"]


def numbers(run: Run) -> list[TextTable]:
    """Carried beside predicted."""
    table = TextTable("Precoders to four UEs with one antenna each, four antennas", "SNR", "channels", "precoder",
                      "goodput", "predicted", "ratio")  # fmt: skip
    for (snr_db, age, name), row in _means(run[TABLE]).iterrows():
        old = f"{1e3 * SLOT_S * age:g} ms old" if age else "new"
        table.add_row(f"{snr_db:g} dB", old, name, f"{row['mbps']:.1f} Mbit/s", f"{row['predicted']:.1f} Mbit/s",
                      f"{row['ratio']:.3f}")  # fmt: skip
    both = TextTable("Two UEs at once, zero forcing, 64 antennas", "SNR of a UE", "over in turn", "predicted")
    for snr_db, row in _ratios(run).iterrows():
        both.add_row(f"{snr_db:g} dB", f"{row['found']:.3f}", f"{row['predicted']:.3f}")
    return [table, both]


def checks(run: Run) -> list[Check]:
    """Rates are those that SINRs predict; the order of precoders; what two at once gain."""
    means, ratios = _means(run[TABLE]), _ratios(run)
    results = []
    for age, some in means.groupby("age"):
        worst = some["ratio"].loc[(some["ratio"] - 1).abs().idxmax()]
        what = f"{1e3 * SLOT_S * age:g} ms old" if age else "new"
        within = WITHIN_LATE if age else WITHIN
        results.append(Check("precoders", f"goodput with channels that are {what} is what their SINRs predict",
                             f"{worst:.3f} of it at the most", bool(abs(worst - 1) <= within)))  # fmt: skip
    for snr_db in means.index.unique("snr_db"):
        mrt, zf, rzf, wmmse = means.loc[(snr_db, 0), "mbps"][list(METHODS)]
        found = f"{mrt:.1f}, {zf:.1f}, {rzf:.1f}, {wmmse:.1f} Mbit/s"
        if snr_db >= 20:
            results.append(Check("precoders", f"at {snr_db:g} dB 2 MRT <= ZF <= RZF <= WMMSE", found,
                                 bool(2 * mrt <= zf <= rzf <= wmmse)))  # fmt: skip
        elif snr_db <= 0:
            results.append(Check("precoders", f"at {snr_db:g} dB ZF is below MRT", found, bool(zf < mrt)))
    worst = (ratios["found"] / ratios["predicted"] - 1).abs().max()
    results.append(Check("precoders", "two UEs at once carry as much more as predicted", f"{100 * worst:.1f} % off",
                         bool(worst <= WITHIN)))  # fmt: skip
    return results
