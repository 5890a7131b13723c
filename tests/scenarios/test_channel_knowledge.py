# SPDX-License-Identifier: GPL-2.0-only
"""What programs are told of the channel: pairs of cells and UEs, pilots with their noise and age, quantisation."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ControlRefused, ObservableRefused

PILOTS = {"numUe": 2, "speed": 0, "bandwidth": 20, "gnbRows": 2, "gnbColumns": 2, "numEdge": 1}
GRID = {"sites": 2, "sectors": 1, "numUe": 3, "bandwidth": 20, "speed": 0, "handover": "external", "beams": "external"}


async def value(sim, name):
    return np.array((await sim.observable(name).read()).value)


def single(main, **options):
    return cosim.simulate(main, scenario="nr-urban-micro", options=PILOTS | options, seed=5)


def grid(main, **options):
    options = GRID | options
    return cosim.simulate(main, scenario="nr-urban-grid", options=options, seed=5, arena_bytes=64 << 20)


def weights_for(sim, h):
    """Each row's own direction from its first antenna: complex64 [..., prb_group, element, layer]."""
    layers = sim.control("precoder").shape[-1]
    w = np.zeros((*h.shape[:-3], h.shape[-1], h.shape[-2], layers), np.complex64)
    first = np.moveaxis(h[..., 0, :, :].conj(), -1, -2)
    w[..., 0] = 0.99 * first / np.linalg.norm(first, axis=-1, keepdims=True)
    return w


def test_single_cell_as_all_pairs():
    async def main(sim):
        return await value(sim, "ue_channel"), await value(sim, "csi_pairs"), sim.control("precoder").shape

    h, pairs, shape = single(main)
    all_h, all_pairs, all_shape = single(main, csiPairs="all")
    assert h.shape[0] == 2 and all_h.shape == (1, *h.shape) and all_shape == (1, *shape)  # noqa: PT018
    assert (all_h[0] == h).all()
    assert pairs.tolist() == all_pairs.tolist() == [[0, 0], [0, 1]]


def test_all_pairs_of_a_network():
    """The rows of serving pairs are those of the default layout, and the same weights do the same."""

    async def main(sim):
        serving = (await value(sim, "serving_cell")).tolist()
        h = await value(sim, "ue_channel")
        sending = [
            asyncio.ensure_future(sim.node("edge0").send(sim.node(f"ue{ue}"), bytes(300_000), protocol="udp"))
            for ue in range(3)
        ]
        await asyncio.sleep(0.02)
        w = weights_for(sim, h)
        if h.ndim == 5:
            for cell in range(h.shape[0]):
                w[cell, np.array(serving) != cell] = 0
            wrong = w.copy()
            wrong[1 - serving[1], 1, 2, 0, 0] = 0.5
            with pytest.raises(ControlRefused, match=f"UE 1 in cell {1 - serving[1]}, but it is in cell {serving[1]}"):
                await sim.control("precoder").set(wrong)
        wrong = w.copy()
        row = wrong[serving[1], 1] if h.ndim == 5 else wrong[1]
        row[3, :, 0] = np.nan
        with pytest.raises(ControlRefused, match="finite"):
            await sim.control("precoder").set(wrong)
        await sim.control("precoder").set(w)
        await asyncio.sleep(0.05)
        counts = await value(sim, "ue_block_counts")
        last = await value(sim, "ue_last_block")
        for task in sending:
            task.cancel()
        return serving, h, counts, last["sinr_db"]

    serving, h, counts, sinr = grid(main)
    of_all, all_h, all_counts, all_sinr = grid(main, csiPairs="all")
    assert serving == of_all
    assert len(set(serving)) == 2
    for ue, cell in enumerate(serving):
        assert (all_h[cell, ue] == h[ue]).all()
        assert np.abs(all_h[1 - cell, ue]).mean() < np.abs(h[ue]).mean()
    assert (counts == all_counts).all()
    assert (sinr[0] == all_sinr[0]).all()


def test_selected_pairs():
    async def main(sim):
        serving = await value(sim, "serving_cell")
        first = await value(sim, "csi_pairs")
        assert first.tolist() == [[cell, ue] for ue, cell in enumerate(serving)]
        control, precoder = sim.control("csi_pairs"), sim.control("precoder")
        for wrong, words in (
            ([[2, 0]], "cell 2 and UE 0 in row 0; legal are cells 0 to 1 and UEs 0 to 2"),
            ([[0, 1], [0, 3]], "UE 3 in row 1"),
            ([[0, 1], [0, 1]], "twice"),
            (np.zeros((0, 2), np.uint32), "at least one"),
        ):
            with pytest.raises(ControlRefused, match=words):
                await control.set(wrong)
        assert (await value(sim, "csi_pairs")).tolist() == first.tolist()
        wanted = [[1 - int(serving[2]), 2], [int(serving[2]), 2]]
        await control.set(wanted)
        h = await value(sim, "ue_channel")
        slots = await value(sim, "ue_channel_slot")
        assert (await value(sim, "csi_pairs")).tolist() == wanted
        w = weights_for(sim, h)
        with pytest.raises(ControlRefused, match="3 rows; legal is one for each of the 2 pairs"):
            await precoder.set(np.concatenate([w, w[:1]]))
        with pytest.raises(ControlRefused, match="UE 2 in cell"):
            await precoder.set(w)
        w[0] = 0
        await precoder.set(w)
        return h, slots.shape

    h, slots = grid(main, csiPairs="selected")
    assert h.shape[0] == 2
    assert slots == (2,)
    assert np.abs(h[1]).mean() > np.abs(h[0]).mean()  # the serving cell is the stronger one


def test_beyond_the_arena_is_refused_with_both_sizes():
    async def main(sim):
        with pytest.raises(ObservableRefused) as refusal:
            await sim.observable("ue_channel").read()
        await asyncio.sleep(0.001)
        return str(refusal.value), sim.observable("ue_channel").shape

    options = PILOTS | {"numUe": 20, "gnbRows": 8, "gnbColumns": 8}
    text, shape = cosim.simulate(main, scenario="nr-urban-micro", options=options, arena_bytes=1 << 20)
    megabytes = 8 * np.prod(shape) / 1e6
    assert f"{megabytes:.1f} MB" in text
    assert "1.0 MB" in text
    assert "arena_bytes" in text


@pytest.mark.parametrize(("csi", "uplink"), [("srs", True), ("csi-rs", False)])
def test_pilots_follow_the_link_budget(csi, uplink):
    """Noise of the variance that power and noise figure give, an age, and the mean over each group's blocks."""

    async def main(sim):
        await asyncio.sleep(0.01)
        begin = await value(sim, "ue_channel_slot")
        read = []
        for _ in range(40):
            names = ("ue_pilots", "ue_pilot_noise", "ue_channel_slot", "ue_channel", "ue_link")
            read.append([await value(sim, name) for name in names])
            await asyncio.sleep(0.01)
        return begin, [np.array(each) for each in zip(*read, strict=True)], await value(sim, "cell")

    options = {"csiSource": csi, "edgelam::nr::Cell::CsiPeriod": 20, "edgelam::nr::Cell::CsiDelay": 4}
    begin, (pilots, noise, slots, h, link), cell = single(main, **options)
    _, (same, *_), _ = single(main, **options)
    assert (pilots == same).all()
    assert (begin == 20).all()  # of a first look: now
    now = 20 + 20 * np.arange(40)[:, None]
    age = now - slots
    assert (age[1:] >= 4).all()
    assert (age[1:] < 20 + 4 + 5).all()
    pattern = "DDDSU"
    assert {pattern[slot % 5] for slot in slots[2:].ravel()} <= ({"U", "S"} if uplink else {"D", "S"})
    # The channel stands still, so the mean of 40 measurements is nearly it, and the rest is noise.
    rest = pilots[::2] - pilots[1::2]  # of different slots
    measured = (np.abs(rest) ** 2).mean(axis=(0, 2, 3, 4)) / 2
    prbs = int(cell["prbs"])
    noise_dbm = -174 + 10 * np.log10(12 * 30e3) + (5 if uplink else 9)
    if uplink:
        loss = -link["gain_db"][0]
        quarter = max(1, prbs // 4)
        power = np.minimum(-90 + 10 * np.log10(2 * quarter) + 0.8 * loss, 23) - 10 * np.log10(quarter)
        expected = 10 ** ((noise_dbm - power) / 10) / 12
    else:
        expected = np.full(2, 10 ** ((noise_dbm - 44 + 10 * np.log10(prbs)) / 10))
    assert noise[0] == pytest.approx(expected, rel=1e-3)
    assert measured == pytest.approx(expected, rel=0.02)
    per_group = int(cell["prbs_per_group"])
    of_group = pilots[0][..., per_group : 2 * per_group].mean(-1)
    assert np.abs(h[0][..., 1] - of_group).max() < 1e-5 * np.abs(of_group).max()


def test_quantised_channel():
    async def main(sim):
        return await value(sim, "ue_channel")

    h = single(main)
    for bits in (3, 8):
        q = single(main, csiBits=bits)
        for ue in range(2):
            parts, exact = (each[ue].view(np.float32).astype(float) for each in (q, h))
            step = 2 * np.abs(exact).max() / 2**bits
            levels = np.round(parts / step - 0.5)
            assert np.abs(parts - (levels + 0.5) * step).max() < 1e-5 * step
            assert levels.min() >= -(2 ** (bits - 1))
            assert levels.max() <= 2 ** (bits - 1) - 1
            assert np.abs(parts - exact).max() <= step / 2 * (1 + 1e-5)
