# SPDX-License-Identifier: GPL-2.0-only
"""wifi-campus: stations are there when participants begin, C++ and Python are one network, and it is a template."""

import asyncio
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scenario_runs import report

from edgelam import cosim
from edgelam.scenarios import new

NOISE_DBM = -174 + 10 * math.log10(80e6) + 7


def python_report(folder, *arguments):
    """As `report`, of the scenario in Python that 'edgelam scenario new --python --wifi' writes."""
    program = folder / "campus.py"
    if not program.exists():
        new.new(str(folder / "campus"), ".py", wifi=True)
    command = [sys.executable, program, "--format=json", *arguments]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    del result["wall_s"], result["cpu_s"]
    return result


@pytest.mark.parametrize(
    "arguments", [["--bytes=2e5"], ["--numUe=3", "--numAp=3", "--seed=4", "--bytes=1e5", "--speed=30"]]
)
def test_python_is_the_same_network(tmp_path, arguments):
    here = report("wifi-campus", *arguments)
    assert here == python_report(tmp_path, *arguments)  # to the nanosecond, and to the event
    assert here["transfers"][0]["queued_ns"] == 0


def test_stations_are_associated_when_participants_begin():
    async def main(sim):
        found = {}
        for name in ("ue_associated", "ue_ap", "ue_rssi_dbm", "ue_snr_db", "ue_position", "node_position"):
            reading = await sim.observable(name).read()
            assert reading.time_s == 0
            found[name] = reading.value
        return found, {node.name: node.role for node in sim.nodes.values()}

    found, roles = cosim.simulate(main, scenario="wifi-campus", options={"numUe": 6, "numAp": 2, "speed": 0})
    assert roles == {
        **{f"ue{i}": "ue" for i in range(6)}, "edge0": "edge", "cloud0": "cloud", "ap0": "ap", "ap1": "ap",
    }  # fmt: skip
    assert found["ue_associated"].tolist() == [1] * 6
    stations, points = found["node_position"][:6], found["node_position"][8:]
    assert stations.tolist() == found["ue_position"].tolist()
    distances = np.linalg.norm(stations[:, None] - points[None], axis=2)
    assert found["ue_ap"].tolist() == distances.argmin(axis=1).tolist()
    # 20 dBm less 46.6777 dB at 1 m and 30 dB for each ten times the distance, as ns-3's model says
    expected = 20 - 46.6777 - 30 * np.log10(distances.min(axis=1))
    assert found["ue_rssi_dbm"] == pytest.approx(expected, abs=1e-6)
    assert found["ue_snr_db"] == pytest.approx(expected - NOISE_DBM, abs=1e-6)


def test_without_a_warm_up_the_first_transfer_waits_for_association():
    async def main(sim):
        assert (await sim.observable("ue_associated").read()).value.tolist() == [0]
        record = await sim.node("ue0").send(sim.node("edge0"), bytes(1000))
        assert (await sim.observable("ue_ap").read()).value.tolist() == [0]
        return record.last_byte_s

    cold, warm = (
        cosim.simulate(
            main if seconds == "0s" else warm_main, scenario="wifi-campus",
            options={"numUe": 1, "numAp": 1, "warmUp": seconds},
        )
        for seconds in ("0s", "1s")
    )  # fmt: skip
    assert cold > 0.1
    assert warm < 0.02


async def warm_main(sim):
    return (await sim.node("ue0").send(sim.node("edge0"), bytes(1000))).last_byte_s


def test_datagrams_of_all_arrive_from_the_first():
    async def main(sim):
        edge = sim.node("edge0")
        sending = [sim.node(f"ue{i}").send(edge, bytes(100_000), protocol="udp") for i in range(4)]
        return [record.status for record in await asyncio.gather(*sending)]

    assert cosim.simulate(main, scenario="wifi-campus") == ["complete"] * 4


def test_a_station_that_walks_away_looks_for_another_access_point():
    async def main(sim):
        await sim.control("ue_velocity").set([[40, 0, 0]])
        seen = []
        async with sim.observable("ue_ap").subscribe(0.1) as readings:
            async for reading in readings:
                seen.append(int(reading.value[0]))
                if len(seen) == 75:
                    break
        record = await sim.node("ue0").send(sim.node("edge0"), bytes(50_000))
        return seen, record.status

    seen, status = cosim.simulate(
        main, scenario="wifi-campus", options={"numUe": 1, "numAp": 2, "spacing": 150, "speed": 0}
    )
    assert seen[0] == 0
    assert seen[-1] == 1
    assert status == "complete"


def test_the_template_in_cpp(tmp_path):
    path = new.new(str(tmp_path / "campus"), ".cc", wifi=True)
    text = path.read_text()
    assert 'Scenario scenario("campus"' in text
    assert "wifi-campus" not in text

    async def main(sim):
        return (await sim.node("ue0").send(sim.node("cloud0"), bytes(50_000))).acknowledged_s

    times = [cosim.simulate(main, scenario=scenario) for scenario in (path, "wifi-campus")]
    assert times[0] == times[1]
