# SPDX-License-Identifier: GPL-2.0-only
"""What a run keeps of its simulations: where nodes were, by hand, and that looking changes nothing."""

import asyncio
import dataclasses

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import DeadlockError
from edgelam.runs import RunFolder, load, places
from edgelam.runs.places import FIRST_PERIOD_S, Walks
from edgelam.runs.recording import SimulationRecorder

OPTIONS = {"numUe": 2, "speed": 20}


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1


def kept(readings):
    walks = Walks(["n"])
    rows = [row for t, x in readings for row in walks.add(t, np.array([[x, 0.0, 0.0]]))]
    return [(row["time_s"], row["x_m"]) for row in [*rows, *walks.end()]]


def test_of_a_straight_walk_the_ends_are_kept():
    assert kept([(t, 2.0 * t) for t in range(50)]) == [(0, 0), (49, 98)]
    assert kept([(t, 7.0) for t in range(50)]) == [(0, 7), (49, 7)]
    assert kept([(3.0, 1.0)]) == [(3, 1)]


def test_of_a_turn_the_corner_is_kept():
    there_and_back = [(t, float(t if t <= 10 else 20 - t)) for t in range(21)]
    assert kept(there_and_back) == [(0, 0), (10, 10), (20, 0)]
    waits_then_goes = [(t, float(max(0, t - 5))) for t in range(9)]
    assert kept(waits_then_goes) == [(0, 0), (5, 0), (8, 3)]


def test_a_reading_of_the_same_time_and_a_node_without_a_place_are_left_out():
    walks = Walks(["a", "b"])
    nowhere = [np.nan] * 3
    assert [row["node"] for row in walks.add(0.0, np.array([[0, 0, 0], nowhere]))] == ["a"]
    assert not list(walks.add(0.0, np.array([[9, 9, 9], nowhere])))
    assert not list(walks.end())


async def traffic(sim) -> None:
    """Two UEs send to and fro for some seconds."""
    edge = sim.node("edge0")

    async def device(ue):
        for size in sim.rng(ue.name).integers(20_000, 200_000, 12).tolist():
            await ue.send(edge, bytes(size))
            await edge.send(ue, bytes(size // 4))
            async with ue.compute("think", work=cosim.Work(flops=10**10)):
                pass

    await asyncio.gather(*map(device, sim.nodes_with_role("ue")))


@pytest.mark.parametrize("scenario", ["nr-urban-micro", "lte-macro"])
def test_recording_changes_nothing_and_places_are_those_of_the_scenario(tmp_path, scenario):
    plain: list[cosim.TransferRecord] = []
    cosim.simulate(traffic, scenario=scenario, options=OPTIONS, seed=3, on_transfer=plain.append)
    with RunFolder.create("tried", Config(), seed=3, out=tmp_path) as folder:
        recorder = SimulationRecorder(folder, "first", {"method": "first"})
        truth = {}

        async def main(sim):
            async with recorder.following(sim, OPTIONS):
                await traffic(sim)
            truth["s"], truth["ue"] = sim.now_s, (await sim.observable("ue_position").read()).value

        cosim.simulate(
            main, scenario=scenario, options=OPTIONS, seed=3,
            on_transfer=recorder.on_transfer, on_compute=recorder.on_compute,
        )  # fmt: skip
        recorder.done()
    run = load(folder.path)
    times = ["queued_s", "first_byte_s", "last_byte_s", "acknowledged_s"]
    recorded = run.transfers[["source", "receiver", "size_bytes", "retransmissions", *times]].to_numpy().tolist()
    assert recorded == [
        [r.source, r.receiver, r.size_bytes, r.retransmissions, *(getattr(r, time) for time in times)] for r in plain
    ]  # to the last bit
    assert len(run["compute"]) == 24
    assert run["simulations"].iloc[0].to_dict() == {
        "simulation": "first", "method": "first", "scenario": scenario, "options": "numUe=2 speed=20", "seed": 3
    }  # fmt: skip
    ways = run["positions"]
    assert set(ways["node"]) <= set(run["nodes"]["node"])
    for ue in range(2):
        way = ways[ways["node"] == f"ue{ue}"].sort_values("time_s")
        assert truth["s"] - way["time_s"].iloc[-1] < 2 * FIRST_PERIOD_S
        moved = np.hypot(*(truth["ue"][ue][:2] - way[["x_m", "y_m"]].iloc[-1]))
        assert moved <= 20 * 2 * FIRST_PERIOD_S
        assert len(way) < 6  # straight ways
    wall = run["wall"]
    assert wall["wall_s"].is_monotonic_increasing
    assert (wall["what"].iloc[0], wall["what"].iloc[-1]) == ("begin", "end")


def test_readings_become_rare_in_a_long_run(tmp_path, monkeypatch):
    """Here after 16 readings each, of 0.1 s, 0.2 s, 0.4 s and 0.8 s."""
    read = []
    add = Walks.add
    monkeypatch.setattr(Walks, "add", lambda self, t, at: read.append(t) or add(self, t, at))
    monkeypatch.setattr(places, "READINGS_PER_PERIOD", 16)
    with RunFolder.create("tried", Config(), seed=1, out=tmp_path) as folder:
        recorder = SimulationRecorder(folder, "long")

        async def main(sim):
            async with recorder.following(sim):
                await asyncio.sleep(20)

        cosim.simulate(main, scenario="csi", options={"numUe": 1, "tones": 1, "period": "10ms"})
    periods = np.diff(read)  # each further period begins with a reading of the time of the one before
    assert periods == pytest.approx([0.1] * 15 + [0] + [0.2] * 15 + [0] + [0.4] * 15 + [0] + [0.8] * (len(read) - 49))
    assert 19 < read[-1] <= 20


def test_looking_on_keeps_no_run_alive(tmp_path):
    folder = RunFolder.create("tried", Config(), seed=1, out=tmp_path)
    recorder = SimulationRecorder(folder, "stuck")

    async def main(sim):
        async with recorder.following(sim):
            await sim.node("edge0").receive()

    with pytest.raises(DeadlockError, match="edge0"):
        cosim.simulate(main, scenario="nr-indoor", options={"numUe": 1})
