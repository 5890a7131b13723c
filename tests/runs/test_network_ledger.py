# SPDX-License-Identifier: GPL-2.0-only
"""The run folder of a network of cells: radio energy of UEs and gNBs, handovers, and batteries that supply radios."""

import asyncio

import numpy as np
import pytest
from test_ledger import record

from edgelam import cosim
from edgelam.cosim import Work
from edgelam.errors import BatteryEmpty, DeadlockError
from edgelam.report import write_report

ROAD = {"numUe": 2, "numGnb": 2, "spacing": 150, "bandwidth": 20, "los": "Always", "handover": "external", "speed": 1}


async def follow(sim, name, into):
    async with sim.observable(name).subscribe(0.05) as readings:
        async for reading in readings:
            into.append(reading.value)


def test_radio_of_ues_and_gnbs_over_handovers(tmp_path):
    power, counts = [], []

    async def main(sim):
        following = asyncio.ensure_future(follow(sim, "trace_power", power))
        ue, edge = sim.node("ue0"), sim.node("edge2")
        async with ue.compute("forward", work=Work(flops=3 * 10**9, bytes=10**6)):
            pass
        await sim.node("gnb0").send(sim.node("ue1"), bytes(1000))
        await sim.node("gnb1").send(sim.node("ue1"), bytes(1000))
        for _ in range(2):
            await ue.send(edge, bytes(50_000))
            cell = int((await sim.observable("serving_cell").read()).value[0])
            await sim.control("handover").set(np.array([3 - cell if cell in (0, 3) else 0, -1], np.int32))
            await asyncio.sleep(0.2)
        power.append((await sim.observable("trace_power").read()).value)
        counts.append((await sim.observable("handover_counts").read()).value)
        following.cancel()

    run = record(tmp_path, main, "nr-highway", ROAD)
    rows = run["devices"].set_index("node")
    power = np.concatenate(power)
    energy = power["down_j"] + power["up_j"]
    cells_of = {"gnb0": (0, 1), "gnb1": (2, 3)}
    for node in ("ue0", "ue1", "gnb0", "gnb1"):
        own = power["ue"] == int(node[2:]) if node[:2] == "ue" else power["ue"] == -1
        own &= np.isin(power["cell"], cells_of.get(node, (0, 1, 2, 3)))
        assert rows.loc[node, "radio_j"] == pytest.approx(energy[own].sum(), rel=1e-9)
        assert rows.loc[node, "radio_j"] > 0
    costs = rows[["compute_j", "radio_j", "idle_j"]].fillna(0).sum(axis=1)
    assert rows["total_j"].to_numpy() == pytest.approx(costs.to_numpy(), rel=1e-12)
    handovers = run["handovers"]
    assert handovers["node"].tolist() == ["ue0", "ue0"]
    assert handovers["event"].tolist() == ["handover", "handover"]
    assert handovers["target"].tolist()[0] == handovers["source"].tolist()[1]
    assert handovers["interruption_s"].sum() == pytest.approx(counts[0]["interruption_s"][0], rel=1e-9)
    assert handovers["ping_pong"].tolist() == [False, handovers["target"][1] == handovers["source"][0]]
    page = write_report(run.path).read_text()
    assert '"heads":["node","handover"' in page.replace(", ", ",")


@pytest.mark.parametrize("scenario", ["nr-urban-micro", "nr-highway"])
def test_a_battery_supplies_the_radio_and_is_empty_when_all_three_have_used_it_up(scenario):
    """The sum of idle power, computing and radio at the instant at which it is empty is what the battery held."""
    options = {"nr-urban-micro": {"numUe": 2, "speed": 0, "bandwidth": 20}, "nr-highway": ROAD | {"speed": 0}}[scenario]
    capacity_j = 1.5
    device = f"phone,idle_w=0.5,busy_w=2.5,battery_j={capacity_j}"

    async def main(sim):
        ue, other, edge = sim.node("ue0"), sim.node("ue1"), sim.node("edge0")
        async with ue.compute("block", work=Work(flops=10**10, bytes=1)):
            pass
        computing_j = ue.energy_j - 0.5 * sim.now_s
        with pytest.raises(BatteryEmpty, match=r"ue0: its battery of 1.5 J is empty"):
            await ue.send(edge, bytes(2_000_000_000))
        radio_j = float((await sim.observable("ue_radio_j").read()).value.sum(axis=0)[0])
        ended_s = sim.now_s
        assert ue.battery.lifetime_s == ended_s
        assert ue.battery.used_j == capacity_j
        assert 0.5 * ended_s + computing_j + radio_j == pytest.approx(capacity_j, abs=1e-3 * (2.5 + 3))
        assert radio_j > 0.1
        energy_j = ue.energy_j
        await asyncio.sleep(5)
        assert ue.energy_j == energy_j
        # The other one only listened: it is empty as well, and the instant is known.
        assert other.battery.lifetime_s == pytest.approx(ended_s * 1.2, rel=1)
        with pytest.raises(BatteryEmpty):
            await other.receive()
        return ended_s, other.battery.lifetime_s

    found = [
        cosim.simulate(main, scenario=scenario, options=options, devices={"ue*": device}, seed=3) for _ in range(2)
    ]
    assert found[0] == found[1]
    ended_s, listened_s = found[0]
    assert ended_s < listened_s < capacity_j / 0.5


def test_a_battery_without_a_radio_that_is_known_is_what_it_was():
    async def main(sim):
        await asyncio.sleep(9)
        return sim.node("ue0").battery.lifetime_s

    device = "phone,idle_w=0.5,battery_j=2"
    options = {"numUe": 1, "rate": "1Mbps"}
    assert cosim.simulate(main, scenario="wired-star", options=options, devices={"ue0": device}) == 4.0


def test_a_battery_keeps_no_run_alive():
    async def main(sim):
        await sim.node("ue0").receive()

    with pytest.raises(DeadlockError):
        cosim.simulate(main, scenario="nr-urban-micro", options={"numUe": 1}, devices={"ue0": "phone,battery_j=40000"})
