# SPDX-License-Identifier: GPL-2.0-only
"""Observables, traces, controls and bearers of several cells, while UEs are handed over from cell to cell."""

import asyncio
import re

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ControlRefused, EdgelamError

ROAD = {
    "numUe": 2,
    "bandwidth": 20,
    "numGnb": 2,
    "spacing": 150,
    "los": "Always",
    "handover": "external",
}
CELLS, UES, GNBS = 4, 2, 2  # two cells at each gNB
LEFT, RIGHT = 0, 3  # the cells of the two gNBs that face each other; both UEs drive slowly between them


@pytest.fixture
def drive(tmp_path):
    """Run a body over this road."""
    lines = []
    for ue in range(UES):
        lines += [f"$node_({ue}) set X_ {72 + 4 * ue}", f"$node_({ue}) set Y_ -2"]
        lines += [f'$ns_ at 0.1 "$node_({ue}) setdest 90 -2 1.5"']
    places = tmp_path / "road.ns_movements"
    places.write_text("\n".join(lines) + "\n")

    def run(body, **options):
        options = {**ROAD, "mobilityFile": str(places), **options}
        return cosim.simulate(body, scenario="nr-highway", options=options, seed=3)

    return run


class Traces:
    """Follows traces while the body runs, to the present time."""

    def __init__(self, sim, *names):
        self.sim, self.names = sim, names
        self.values = {name: [] for name in names}

    async def __aenter__(self):
        self.subscriptions = [aiter(self.sim.observable(name).subscribe(0.05)) for name in self.names]

        async def follow(name, subscription):
            async for reading in subscription:
                self.values[name].append(reading.value)

        self.tasks = [asyncio.ensure_future(follow(*each)) for each in zip(self.names, self.subscriptions, strict=True)]
        return self

    async def __aexit__(self, *error):
        for name in self.names:
            self.values[name].append((await self.sim.observable(name).read()).value)
        for task in self.tasks:
            task.cancel()

    def __getitem__(self, name):
        return np.concatenate(self.values[name])


async def read(sim, *names):
    return [np.array((await sim.observable(name).read()).value) for name in names]


async def hand_over(sim, ue, cell):
    targets = np.full(UES, -1, np.int32)
    targets[ue] = cell
    await sim.control("handover").set(targets)
    await asyncio.sleep(0.1)


def test_traces_and_sums_of_several_cells_agree_across_handovers(drive):
    async def main(sim):
        ues, edge = [sim.node(f"ue{i}") for i in range(UES)], sim.node("edge2")
        async with Traces(sim, "trace_blocks", "trace_packets", "trace_csi", "trace_power") as traces:
            (before,) = await read(sim, "serving_cell")
            sending = [asyncio.ensure_future(ue.send(edge, bytes(400_000), protocol="udp", rate_bps=4e6)) for ue in ues]
            sending += [
                asyncio.ensure_future(edge.send(ue, bytes(400_000), protocol="udp", rate_bps=4e6)) for ue in ues
            ]
            visited = [[int(cell)] for cell in before]
            for _ in range(3):
                for ue in range(UES):
                    target = LEFT + RIGHT - visited[ue][-1]
                    await hand_over(sim, ue, target)
                    visited[ue].append(target)
            records = await asyncio.gather(*sending)
        assert {record.status for record in records} == {"complete"}
        sums = await read(sim, "ue_block_counts", "ue_prb_slots", "ue_bearer_counts", "ue_radio_j", "gnb_radio_j",
                          "gnb_of_cell", "cell", "ue_last_block", "ue_radio_link", "ue_link")  # fmt: skip
        return visited, traces, sums

    visited, traces, sums = drive(main)
    counts, prb_slots, bearers, ue_j, gnb_j, gnb_of, cells, last, link, links = sums
    blocks, packets, csi, power = (traces[f"trace_{name}"] for name in ("blocks", "packets", "csi", "power"))
    assert cells.shape == (CELLS,)
    assert (cells["prbs"] == 51).all()
    assert link.tolist() == [0] * UES
    assert links.shape == (UES,)
    for rows in (blocks, packets, csi):
        for ue in range(UES):  # in the cells in which it has been, and in this order
            assert list(dict.fromkeys(rows["cell"][rows["ue"] == ue].tolist())) == list(dict.fromkeys(visited[ue]))
    for uplink in (0, 1):
        for ue in range(UES):
            own = blocks[(blocks["ue"] == ue) & (blocks["uplink"] == uplink)]
            assert own["prbs"].sum() == prb_slots[uplink, ue] > 0
            assert (own["attempt"] == 1).sum() == counts["blocks"][uplink, ue]
            assert (own["attempt"] > 1).sum() == counts["retransmissions"][uplink, ue]
            assert own["bits"][own["received"] == 1].astype(int).sum() == counts["decoded_bits"][uplink, ue]
            assert own["slot"][-1] == last["slot"][uplink, ue]
            handed_up = packets[(packets["ue"] == ue) & (packets["uplink"] == uplink)]
            assert len(handed_up) == bearers["delivered_packets"][uplink, ue]
            assert handed_up["bytes"].sum() == bearers["delivered_bytes"][uplink, ue] > 400_000
    assert bearers["lost_packets"].sum() == 0
    for ue in range(UES):  # every slot once, whatever the cell, and between them
        own = power[power["ue"] == ue]
        assert own["slot"][0] == 0
        assert (own["slot"][1:] == own["slot"][:-1] + own["slots"][:-1]).all()
        assert ue_j[:, ue] == pytest.approx([own["down_j"].sum(), own["up_j"].sum()], rel=1e-9)
    for cell in range(CELLS):
        own = power[(power["ue"] == -1) & (power["cell"] == cell)]
        assert (own["slot"][1:] == own["slot"][:-1] + own["slots"][:-1]).all()
    for gnb in range(GNBS):
        own = power[(power["ue"] == -1) & np.isin(power["cell"], np.flatnonzero(gnb_of == gnb))]
        assert gnb_j[:, gnb] == pytest.approx([own["down_j"].sum(), own["up_j"].sum()], rel=1e-9)


def test_controls_are_per_cell_and_refused_without_a_change_in_any(drive):
    async def main(sim):
        control = {name: sim.control(name) for name in ("prb_share", "prb_cap", "prb_least", "cell_prb_cap",
                                                        "slice_share", "guaranteed_bps")}  # fmt: skip
        shapes = {name: each.shape for name, each in control.items()}
        (cells,) = await read(sim, "cell")
        band = int(cells["prbs"][0])
        for ue in range(UES):  # both in one cell
            if int((await read(sim, "serving_cell"))[0][ue]) != LEFT:
                await hand_over(sim, ue, LEFT)
        texts = []
        caps = np.full((2, CELLS), band, np.uint32)
        caps[1, 2] = band + 1
        for name, value in [
            ("cell_prb_cap", caps),
            ("prb_share", np.full((2, UES), 0.6)),
            ("prb_cap", np.full((2, UES), band + 2, np.uint32)),
            ("slice_share", np.full((2, CELLS, 1), 1.5)),
            ("guaranteed_bps", np.full((2, UES, 2), 1e12)),
        ]:
            with pytest.raises(ControlRefused) as refusal:
                await control[name].set(value)
            texts.append(str(refusal.value))
        edge, ues = sim.node("edge2"), [sim.node(f"ue{i}") for i in range(UES)]
        async with Traces(sim, "trace_blocks") as traces:
            sending = [
                asyncio.ensure_future(edge.send(ue, bytes(99_000_000), protocol="udp", rate_bps=400e6)) for ue in ues
            ]
            await control["prb_share"].set(np.array([[0.75, 0.25], [0.5, 0.5]]))
            await asyncio.sleep(0.2)
            caps = np.full((2, CELLS), band, np.uint32)
            caps[:, RIGHT] = 8
            await control["cell_prb_cap"].set(caps)  # of the cell into which UE 1 goes now
            await hand_over(sim, 1, RIGHT)
            await asyncio.sleep(0.2)
            await control["prb_share"].set(np.array([[0.75, 0.9], [0.5, 0.9]]))  # legal now: they are apart
            await hand_over(sim, 1, LEFT)  # where both together have 1.65 now
            await asyncio.sleep(0.2)
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        return shapes, texts, traces["trace_blocks"], band

    shapes, texts, blocks, band = drive(main, scheduler="external", slices="0-1:0.5", bearers="2/40/1Mbps,9")
    assert shapes == {
        "prb_share": (2, UES), "prb_cap": (2, UES), "prb_least": (2, UES), "cell_prb_cap": (2, CELLS),
        "slice_share": (2, CELLS, 1), "guaranteed_bps": (2, UES, 2),
    }  # fmt: skip
    for text, parts in zip(
        texts,
        [
            [f"cap of {band + 1}", f"0 to {band}", "cell 2"],
            ["sum of 1.2", "at most 1", "cell 0"],
            [f"cap of {band + 2}", f"0 to {band}"],
            ["1.5", "0 to 1", "cell 0"],
            ["Mb/s down", "at most what the cell can carry"],
        ],
        strict=True,
    ):
        for part in parts:
            assert part in text
    down = blocks[(blocks["uplink"] == 0)]
    capped = down[down["cell"] == RIGHT]
    assert len(capped) > 20
    assert (capped["ue"] == 1).all()
    assert max(capped["prbs"][capped["slot"] == slot].sum() for slot in set(capped["slot"])) <= 8
    together = down[down["cell"] == LEFT]
    moved = int(capped["slot"][0])
    first, last = together[together["slot"] < moved], together[together["slot"] > capped["slot"][-1]]
    first, last = first[first["slot"] > first["slot"][0] + 100], last[last["slot"] > last["slot"][0] + 100]

    def share(rows):
        return rows["prbs"][rows["ue"] == 0].sum() / rows["prbs"].sum()

    assert share(first) == pytest.approx(0.75, abs=0.03)
    assert share(last) == pytest.approx(0.75 / 1.65, abs=0.04)


def test_precoders_and_slice_caps_are_those_of_one_cell(drive):
    """UE 0 stays in LEFT, UE 1 in RIGHT: what is set for UE 1, or for RIGHT, changes blocks there only."""

    async def main(sim):
        precoder, caps = sim.control("precoder"), sim.control("slice_prb_cap")
        for ue, cell in ((0, LEFT), (1, RIGHT)):
            if int((await read(sim, "serving_cell"))[0][ue]) != cell:
                await hand_over(sim, ue, cell)
        channel, cells = await read(sim, "ue_channel", "cell")
        band = int(cells["prbs"][0])
        _, groups, elements, layers = precoder.shape
        texts = []
        for control, value in [
            (precoder, np.full(precoder.shape, 1.0, np.complex64)),
            (caps, np.array([[[band], [band], [band + 3], [band]], [[band]] * CELLS], np.uint32)),
        ]:
            with pytest.raises(ControlRefused) as refusal:
                await control.set(value)
            texts.append(str(refusal.value))
        for control in (precoder, caps):
            with pytest.raises(EdgelamError, match=re.escape(str(tuple(control.shape)))):
                await control.set(np.zeros((1, *control.shape), control.dtype))
        edge, ues = sim.node("edge2"), [sim.node(f"ue{i}") for i in range(UES)]
        marks = []
        async with Traces(sim, "trace_blocks") as traces:
            sending = [
                asyncio.ensure_future(edge.send(ue, bytes(99_000_000), protocol="udp", rate_bps=300e6)) for ue in ues
            ]

            async def wait():
                await asyncio.sleep(0.05)
                marks.append(int((await read(sim, "ue_last_block"))[0]["slot"].max()))
                await asyncio.sleep(0.1)
                marks.append(int((await read(sim, "ue_last_block"))[0]["slot"].max()))

            await wait()
            weights = np.zeros(precoder.shape, np.complex64)
            for layer, element in enumerate((0, 5, elements - 1)):  # three layers, where line of sight has one or two
                weights[1, :, element, layer] = np.sqrt(1 / 3)
            await precoder.set(weights)
            await wait()
            few = np.full(caps.shape, band, np.uint32)
            few[0, RIGHT] = 8
            await caps.set(few)
            await wait()
            await hand_over(sim, 1, LEFT)  # where neither holds
            await wait()
            await hand_over(sim, 1, RIGHT)  # where the cap holds still, and the precoder no longer
            await wait()
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        (after,) = await read(sim, "ue_channel")
        return channel, after, (groups, elements, layers), texts, marks, traces["trace_blocks"], band

    channel, after, (groups, elements, layers), texts, marks, blocks, band = drive(
        main, beams="external", slices="0-1:1"
    )
    assert channel.shape == after.shape == (UES, 4, elements, groups)
    assert layers >= 3
    power = [np.abs(each[1] ** 2).mean() for each in (channel, after)]
    assert abs(10 * np.log10(power[1] / power[0])) > 1e-3  # another gNB's
    for part in ("power", "at most 1"):
        assert part in texts[0]
    for part in (f"{band + 3}", f"0 to {band}", "cell 2"):
        assert part in texts[1]
    down = blocks[(blocks["uplink"] == 0) & (blocks["attempt"] == 1)]

    def during(phase, ue):
        return down[(down["slot"] > marks[2 * phase]) & (down["slot"] <= marks[2 * phase + 1]) & (down["ue"] == ue)]

    for phase in range(5):
        for ue, cell in ((0, LEFT), (1, LEFT if phase == 3 else RIGHT)):
            assert set(during(phase, ue)["cell"].tolist()) == {cell}, (phase, ue)
    three = [(during(phase, 1)["layers"] == 3).mean() for phase in (0, 1, 2, 4)]
    assert [share > 0.9 for share in three] == [False, True, True, False], three
    assert during(1, 1)["prbs"].max() > 8
    assert 0 < during(2, 1)["prbs"].max() <= 8
    assert 0 < during(4, 1)["prbs"].max() <= 8
    for phase in range(3):
        assert (during(phase, 0)["layers"] != 3).mean() > 0.5, phase
        assert during(phase, 0)["prbs"].max() > 8
    assert during(3, 1)["prbs"].max() > 8


def test_bearers_keep_their_order_and_lose_nothing_over_handovers(drive):
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge2")
        async with Traces(sim, "trace_packets") as traces:
            sending = []
            for priority, rate in ((5, 2e6), (0, 6e6)):
                for a, b in ((ue, edge), (edge, ue)):
                    data = bytes(int(rate * 1.5 / 8))
                    sending.append(
                        asyncio.ensure_future(a.send(b, data, protocol="udp", rate_bps=rate, priority=priority))
                    )
            for _ in range(10):
                (cells,) = await read(sim, "serving_cell")
                await hand_over(sim, 0, LEFT + RIGHT - int(cells[0]))
                await asyncio.sleep(0.03)
            records = await asyncio.gather(*sending)
        handovers, counts = await read(sim, "handover_counts", "bearer_counts")
        return handovers["handovers"][0], counts, records, traces["trace_packets"]

    handovers, counts, records, packets = drive(main, bearers="2/40/3Mbps/3Mbps,9")
    assert handovers >= 10
    assert {record.status for record in records} == {"complete"}  # over udp: every datagram has come
    assert counts["lost_packets"].sum() == 0
    for uplink in (0, 1):
        for bearer in (0, 1):
            own = packets[(packets["ue"] == 0) & (packets["uplink"] == uplink) & (packets["group"] == -1 - bearer)]
            assert len(own) == counts["delivered_packets"][uplink, 0, bearer] > 200
            assert (np.diff(own["arrived_ns"]) >= 0).all()  # none overtakes another


def test_slices_name_ues_of_the_network(drive):
    async def main(sim):
        return (await read(sim, "ue_slice"))[0].tolist()

    assert drive(main, slices="1:0.5") == [-1, 0]
    with pytest.raises(EdgelamError, match="no UE 7; legal are the UEs of the network, 0 to 1"):
        drive(main, slices="7:0.5")
