# SPDX-License-Identifier: GPL-2.0-only
"""Analog transfers in a cell: resource elements by hand, noise by hand, gains beside the channel that is published."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError, TransferRefused

CELL = {"numUe": 4, "speed": 0, "los": "Always", "minDistance": 30, "maxDistance": 60, "ueAntennas": 1}
PRBS, GROUPS, A_GROUP = 273, 18, 16  # of 100 MHz at 30 kHz; the last group has 1
A_BLOCK = 14 * 12 - 12  # without DMRS; PUCCH and sounding have symbols of the special slot
SLOT_S = 0.5e-3
PATTERN = 5  # DDDSU: slot 4 of each five is for uplink


def simulate(main, scenario="nr-urban-micro", **options):
    return cosim.simulate(main, scenario=scenario, options={**CELL, **options}, seed=3)


def ues(sim, count=4):
    return [sim.node(f"ue{i}") for i in range(count)]


TAKES = [  # resource elements, most resource blocks in a slot, and those that are taken in each slot
    (1, None, [1]),  # the last group
    (A_BLOCK + 1, None, [1 + A_GROUP]),
    (A_BLOCK * PRBS, None, [PRBS]),
    (A_BLOCK * PRBS + 1, None, [PRBS, 1]),
    (A_BLOCK * 100, 40, [1 + 2 * A_GROUP] * 3 + [1]),
]


def test_resource_elements_and_times_by_hand():
    async def main(sim):
        found = []
        for elements, most, _ in TAKES:
            await asyncio.sleep(0.0101)
            asked_s = sim.now_s
            found.append((asked_s, await sim.node("gnb0").over_the_air(ues(sim), elements, most_prbs=most)))
        return found

    for (asked_s, found), (elements, _, blocks) in zip(simulate(main), TAKES, strict=True):
        assert found.num_elements == A_BLOCK * sum(blocks) >= elements
        assert found.num_slots == len(blocks)
        starts, counts = np.unique(found.start_s, return_counts=True)
        assert counts.tolist() == blocks
        slots = np.round(starts / SLOT_S).astype(int)
        assert (slots % PATTERN == PATTERN - 1).all()
        assert (np.diff(slots) == PATTERN).all()  # one uplink slot after the other
        # The grant is decided on after the request, at least K2 and GnbDelay slots before the slot.
        assert asked_s + 2 * SLOT_S <= starts[0] <= asked_s + 2 * PATTERN * SLOT_S
        assert found.begin_s == starts[0]
        assert found.end_s == pytest.approx(starts[-1] + 2 * SLOT_S)  # the slot, and GnbDelay
        for start, count in zip(starts, blocks, strict=True):  # from the highest group on
            assert found.prb[found.start_s == start].tolist() == list(range(PRBS - count, PRBS))
        assert (found.elements == A_BLOCK).all()
        assert found.gains.shape == found.known.shape == (4, 64, sum(blocks))


def test_noise_and_power_by_hand():
    async def main(sim):
        return await sim.node("gnb0").over_the_air(ues(sim), 10)

    found = simulate(main, gnbNoiseFigure=7, uePower=20)
    by_hand = 1.380649e-23 * 290 * 30e3 * 10**0.7
    assert found.noise_w == pytest.approx(by_hand, rel=5e-3)  # -174 dBm/Hz is 0.02 dB off
    assert found.noise_figure_db == 7
    assert found.power_w == pytest.approx(0.1)
    assert (found.interference_w == 0).all()


@pytest.mark.parametrize("deployment", ["UMi", "Rayleigh"])
def test_gains_are_those_of_the_channel_that_is_published(deployment):
    async def main(sim):
        found = await sim.node("gnb0").over_the_air(ues(sim), A_BLOCK * PRBS)
        return found, np.array((await sim.observable("ue_channel").read()).value)

    found, channel = simulate(main, deployment=deployment)  # [ue, antenna, element, group]
    assert channel.shape == (4, 1, 64, GROUPS)
    assert np.array_equal(found.gains, found.known)  # nobody moves
    last, published = found.gains[:, :, -1].astype(complex), channel[:, 0, :, -1].astype(complex)
    for mine, theirs in zip(last, published, strict=True):  # the last group is one resource block: the same frequency
        phase = np.vdot(theirs, mine)  # of the one antenna's weight
        assert mine == pytest.approx(theirs * phase / abs(phase), rel=1e-3, abs=1e-3 * np.abs(theirs).max())
        assert abs(phase) == pytest.approx(np.linalg.norm(theirs) ** 2, rel=1e-4)
    if deployment == "UMi":  # the middle of a group lies between two blocks, which are alike in line of sight
        for g in range(GROUPS - 1):
            middle = A_GROUP * g + A_GROUP // 2
            beside = np.linalg.norm(found.gains[:, :, middle - 1 : middle + 1], axis=1).mean(axis=1)
            assert beside == pytest.approx(np.linalg.norm(channel[:, 0, :, g], axis=1), rel=0.05)


def test_channels_change_between_grant_and_transmission():
    async def main(sim):
        return await sim.node("gnb0").over_the_air(ues(sim), 5000)

    found = simulate(main, speed=10)
    difference = np.linalg.norm(found.gains - found.known) / np.linalg.norm(found.known)
    # 2 slots at least, 10 mm at 10 m/s: up to 0.12 wavelengths, a phase of 0.7
    assert 0.01 < difference < 1.5


def test_data_has_the_blocks_that_are_left_and_no_others():
    """A full buffer of ue0 has all resource blocks of each uplink slot but those that analog transfers take."""
    most = 100  # 1 + 6 x 16: 97 resource blocks

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        records, taken = [], []
        upload = asyncio.ensure_future(ue.send(edge, bytes(8_000_000), protocol="udp", rate_bps=1e9))

        async def trace():
            async with sim.observable("trace_blocks").subscribe(0.01) as readings:
                async for reading in readings:
                    records.append(reading.value)

        tracing = asyncio.ensure_future(trace())
        await asyncio.sleep(0.05)  # the buffer is full, and the gNB knows it
        for senders in (ues(sim)[1:], ues(sim)[1:], ues(sim)):  # the last with ue0 itself
            taken.append(await sim.node("gnb0").over_the_air(senders, A_BLOCK * 97 * 4, most_prbs=most))
            await asyncio.sleep(0.02)
        tracing.cancel()
        upload.cancel()
        return np.concatenate(records), taken

    blocks, taken = simulate(main)
    up = blocks[(blocks["uplink"] == 1) & (blocks["ue"] == 0)]
    slots = [np.unique(np.round(each.start_s / SLOT_S).astype(int), return_counts=True) for each in taken]
    assert [counts.tolist() for _, counts in slots] == [[97] * 4] * 3
    beside = {slot for found, _ in slots[:2] for slot in found}
    its_own = set(slots[2][0])
    full = up[(up["slot"] > 100) & (up["slot"] <= up["slot"].max())]
    assert beside <= set(full["slot"])
    assert not its_own & set(full["slot"])  # who sends analog sends no data beside it
    for block in full:
        left = PRBS - 97 if block["slot"] in beside else PRBS
        assert block["prbs"] == left
    uplink = set(range(PATTERN * (100 // PATTERN) + PATTERN - 1, int(full["slot"].max()) + 1, PATTERN))
    assert {slot for slot in uplink if slot > 100} - its_own == set(full["slot"])


def test_two_transfers_come_one_after_the_other():
    async def main(sim):
        gnb = sim.node("gnb0")
        return await asyncio.gather(*(gnb.over_the_air(ues(sim), A_BLOCK * PRBS) for _ in range(2)))

    first, second = simulate(main)
    assert second.begin_s == pytest.approx(first.begin_s + PATTERN * SLOT_S)


def test_one_that_is_cancelled_leaves_the_band():
    async def main(sim):
        gnb = sim.node("gnb0")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await gnb.over_the_air(ues(sim), 10_000_000)
        after = await gnb.over_the_air(ues(sim), 1)
        await asyncio.sleep(0.05)
        return after

    assert simulate(main).begin_s < 0.02 + 3 * PATTERN * SLOT_S


def test_cells_hear_one_another():
    """In a network, the other cell's data is interference, and its UEs are refused."""

    async def main(sim):
        serving = np.array((await sim.observable("serving_cell").read()).value)
        gnb_of = np.array((await sim.observable("gnb_of_cell").read()).value)
        mine = [i for i in range(len(serving)) if serving[i] == serving[0]]
        other = next(i for i in range(len(serving)) if gnb_of[serving[i]] != gnb_of[serving[0]])
        gnb = sim.node(f"gnb{gnb_of[serving[0]]}")
        with pytest.raises(TransferRefused, match=f"UE {other} is in no cell of this gNB; legal are UEs of one cell"):
            await gnb.over_the_air([sim.node("ue0"), sim.node(f"ue{other}")], 10)
        quiet = await gnb.over_the_air([sim.node(f"ue{i}") for i in mine], 1000)
        cloud, others = sim.node("cloud0"), [i for i in range(len(serving)) if serving[i] != serving[0]]
        sending = [
            asyncio.ensure_future(sim.node(f"ue{i}").send(cloud, bytes(2_000_000), protocol="udp", rate_bps=5e8))
            for i in others
        ]
        await asyncio.sleep(0.05)
        loud = await gnb.over_the_air([sim.node(f"ue{i}") for i in mine], A_BLOCK * 200)
        for each in sending:
            each.cancel()
        return quiet, loud

    quiet, loud = cosim.simulate(main, scenario="nr-highway", options={"numUe": 8, "speed": 0}, seed=2)
    assert (quiet.interference_w == 0).all()
    assert loud.interference_w.max() > 0.01 * loud.noise_w


REFUSED = [
    (lambda sim: sim.node("edge0").over_the_air(ues(sim), 1), "edge0 has no radio.*legal is a gNB"),
    (lambda sim: sim.node("ue0").over_the_air([sim.node("gnb0")], 1), "ue0 has no radio"),  # downlink
    (lambda sim: sim.node("gnb0").over_the_air([sim.node("edge0")], 1), "no UE.*legal senders are UEs.*goes up"),
    (lambda sim: sim.node("gnb0").over_the_air(ues(sim), 1, most_prbs=300), "most 300.*legal are 16.*273"),
    (lambda sim: sim.node("gnb0").over_the_air(ues(sim), 1, most_prbs=3), "most 3 .*legal are 16.*273"),
]


def test_what_a_cell_does_not_take_is_refused_and_the_run_goes_on():
    async def main(sim):
        for wrong, says in REFUSED:
            with pytest.raises(TransferRefused, match=says):
                await wrong(sim)
        return await sim.node("gnb0").over_the_air(ues(sim), 1)

    assert simulate(main).num_elements == A_BLOCK


@pytest.mark.parametrize(
    ("senders", "elements", "most", "says"),
    [
        ([], 1, None, "of nobody: give at least one"),
        (["ue0", "ue0"], 1, None, "of the same node twice"),
        (["gnb0"], 1, None, "of itself"),
        (["ue9"], 1, None, "must be nodes of this simulation; there are: ue0, gnb0"),
        (["ue0"], 0, None, "0 resource elements; legal are 1 to 100000000"),
        (["ue0"], 1.5, None, "1.5 resource elements"),
        (["ue0"], 1, 0, "most_prbs 0; legal are 1"),
    ],
)
def test_mistakes_are_refused_at_once(senders, elements, most, says):
    async def main(sim):
        with pytest.raises(ConfigurationError, match=says):
            await sim.node("gnb0").over_the_air(
                [sim.nodes.get(name, name) for name in senders], elements, most_prbs=most
            )

    cosim.simulate(main, nodes={"ue0": "ue", "gnb0": "gnb"})


@pytest.mark.parametrize("scenario", ["wired-star", "lte-macro", None])
def test_networks_without_a_cell_refuse_it(scenario):
    async def main(sim):
        nodes = list(sim.nodes.values())
        says = (
            "there is no radio without a scenario" if scenario is None else "has no radio.*legal is a gNB of an NR cell"
        )
        with pytest.raises(TransferRefused, match=says):
            await nodes[-1].over_the_air(nodes[:1], 1)

    if scenario is None:
        cosim.simulate(main, nodes={"ue0": "ue", "edge0": "edge"})
    else:
        cosim.simulate(main, scenario=scenario, options={"numUe": 1})


def test_analog_beams_refuse_it():
    async def main(sim):
        with pytest.raises(TransferRefused, match="Beams 'analog', of which one has a slot"):
            await sim.node("gnb0").over_the_air([sim.node("ue0")], 1)

    options = {"numUe": 1, "frequency": "28e9", "numerology": 3, "bandwidth": 100, "beams": "analog"}
    cosim.simulate(main, scenario="nr-indoor", options=options)
