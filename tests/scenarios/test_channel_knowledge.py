# SPDX-License-Identifier: GPL-2.0-only
"""What programs are told of the channel: pairs of cells and UEs, pilots and reports with their age, quantisation."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ControlRefused, EdgelamError, ObservableRefused

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


def test_reports_of_the_enhanced_type_two_codebook():
    """Precoders of the channel's own directions, the same in a sub-band, with the gain of CQIs; known late."""
    csi = {"edgelam::nr::Cell::CsiPeriod": 20, "edgelam::nr::Cell::CsiDelay": 4, "gnbPower": 20}

    async def main(sim):
        await asyncio.sleep(0.01)
        read = []
        for _ in range(8):
            names = ("ue_channel", "ue_report", "ue_channel_slot")
            read.append([await value(sim, name) for name in names])
            await asyncio.sleep(0.005)
        return read, await value(sim, "cell")

    async def truth(sim):
        return await value(sim, "ue_channel")

    exact = single(truth, **csi)
    read, cell = single(main, csiSource="etype2", **csi)
    slots = [slot.tolist() for _, _, slot in read]
    assert slots[0] == [20, 20]  # a first look: now
    for step, each in enumerate(slots[1:], 1):
        assert each == [(20 + 10 * step - 4) // 20 * 20] * 2
    h, report, _ = read[-1]
    assert h.shape == exact.shape
    noise_dbm = -174 + 9 + 10 * np.log10(12 * 30e3)
    snr = 10 ** ((20 - 10 * np.log10(int(cell["prbs"])) - noise_dbm) / 10)
    groups_of_subband = max(1, 4 // int(cell["prbs_per_group"]))
    for ue in range(2):
        rank = int(report["rank"][ue])
        assert 1 <= rank <= 4
        assert 1 <= report["cqi"][ue] <= 15
        assert 50 < report["bits"][ue] < 600
        assert (h[ue, rank:] == 0).all()
        rows = np.moveaxis(h[ue, :rank].astype(complex), -1, 0)  # [group, layer, element]
        norms = np.linalg.norm(rows, axis=-1, keepdims=True)
        directions = rows / norms
        for first in range(0, len(rows), groups_of_subband):
            same = directions[first : first + groups_of_subband]
            assert np.abs(same - same[0]).max() < 1e-5
        true = np.moveaxis(exact[ue].astype(complex), -1, 0)
        _, sigma, right = np.linalg.svd(true)
        # How much of each reported direction lies in the span of as many of the channel's own.
        inside = np.linalg.norm(np.einsum("gle,gke->glk", directions, right[:, :rank].conj()), axis=-1) ** 2
        assert inside.mean() > 0.75, inside.mean()
        # Gains stand for SINRs of CQIs, in which a layer has its part of the power.
        got, best = snr / rank * (norms**2).sum((1, 2)), snr / rank * (sigma[:, :rank] ** 2).sum(1)
        top = 10 ** (25.0 / 10) * rank  # nobody reports more than the highest CQI
        ratio_db = 10 * np.log10(got.mean() / np.minimum(best, top).mean())
        assert -6 < ratio_db < 3, ratio_db


def test_precoders_from_reports_drive_the_cell():
    """Zero forcing to two UEs by what they report is better than one direction each, and worse than by the channels."""
    options = PILOTS | {"gnbRows": 4, "gnbColumns": 4, "ueAntennas": 1, "beams": "external", "selection": "external"}

    def run(source, nulls):
        async def main(sim):
            sending = [
                asyncio.ensure_future(
                    sim.node("edge0").send(sim.node(f"ue{ue}"), bytes(20_000_000), protocol="udp", rate_bps=100e6)
                )
                for ue in range(2)
            ]
            for _ in range(4):
                h = await value(sim, "ue_channel")
                rows = np.moveaxis(h[:, 0].astype(complex), -1, 0)  # [group, ue, element]
                w = np.linalg.pinv(rows) if nulls else rows.conj().swapaxes(1, 2)
                w = 0.7 * w / np.linalg.norm(w, axis=1, keepdims=True)
                precoder = np.zeros(sim.control("precoder").shape, np.complex64)
                precoder[..., 0] = w.transpose(2, 0, 1)
                await sim.control("precoder").set(precoder)
                await asyncio.sleep(0.02)
            counts = await value(sim, "ue_block_counts")
            for task in sending:
                task.cancel()
            return counts["decoded_bits"][0].sum()

        return cosim.simulate(main, scenario="nr-urban-micro", options=options | {"csiSource": source}, seed=3)

    perfect, reported = run("perfect", nulls=True), run("etype2", nulls=True)
    matched = run("etype2", nulls=False)
    assert matched < reported < 1.02 * perfect
    assert reported > 0.5 * perfect


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"gnbRows": 8, "gnbColumns": 4}, ["etype2", "(8, 4)", "(8, 2)"]),
        ({"csiBits": 4}, ["--csiBits=4", "--csiSource=etype2", "legal is 0"]),
        ({"edgelam::nr::Cell::EtypeTwoCombination": 7}, ["EtypeTwoCombination 7", "1 to 6"]),
    ],
)
def test_reports_that_there_cannot_be(options, texts):
    async def main(sim):
        raise AssertionError

    with pytest.raises(EdgelamError) as refusal:
        single(main, csiSource="etype2", **options)
    for text in texts:
        assert text in str(refusal.value)
