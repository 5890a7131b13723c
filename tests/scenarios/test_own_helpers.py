# SPDX-License-Identifier: GPL-2.0-only
"""What people bring from ns-3: helpers that must outlive build, settings made with Config, sinks, a warm-up."""

import asyncio
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgelam import cosim, scenarios
from edgelam.errors import ConfigurationError, ControlRefused, ObservableRefused, ScenarioDied, ScenarioEnded

SOURCE = Path(__file__).parent / "own-helpers.cc"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda main, **settings: cosim.simulate(main, scenario=SOURCE, **settings)


async def nothing(sim):
    raise AssertionError


def test_kept_helpers_outlive_the_run(run, tmp_path):
    async def main(sim):
        await sim.node("ue0").send(sim.node("edge0"), bytes(100_000))

    log = tmp_path / "log"
    run(main, scenario_log=log)
    ends = [line for line in log.read_text().splitlines() if "farewell" in line or "end" in line]
    assert ends == [
        "the end of the simulation",
        *(f"farewell of the {who}" for who in ("one that was moved in", "second", "first")),
    ]
    flows = ElementTree.parse(tmp_path / "flows.xml").findall("FlowStats/Flow")
    assert sum(int(flow.get("rxBytes")) for flow in flows) > 100_000
    assert ElementTree.parse(tmp_path / "animation.xml").getroot().tag == "anim"


def test_a_helper_that_ends_with_build_is_hinted_at(run):
    async def main(sim):
        await asyncio.sleep(1)

    with pytest.raises(ScenarioDied, match=r"dereference zero pointer(.|\n)*scenario\.Keep holds it"):
        run(main, options={"keep": "none"})


def test_warm_up(run):
    async def main(sim):
        async def read(name):
            reading = await sim.observable(name).read()
            return reading.time_s, reading.value.item()

        first = [await read(name) for name in ("happened", "simulator_s", "now_ns")]
        record = await sim.node("ue0").send(sim.node("edge0"), bytes(1400), protocol="udp")
        await asyncio.sleep(0.5 - sim.now_s)
        readings = []
        async with sim.observable("simulator_s").subscribe(0.125) as subscription:
            async for reading in subscription:
                readings.append((reading.time_s, reading.value.item()))
                if len(readings) == 2:
                    break
        return first, (record.queued_s, record.last_byte_s), readings

    without = run(main)
    assert without[0] == [(0, False), (0, 0), (0, 0)]
    warm = run(main, options={"warmUp": 0.5})
    assert warm[0] == [(0, True), (0, 0.5), (0, 0)]
    assert warm[1] == without[1]  # the network is the same
    assert without[2] == [(0.5, 0.5), (0.625, 0.625)]
    assert warm[2] == [(0.5, 1), (0.625, 1.125)]


def test_the_end_counts_from_the_warm_up_too(run):
    async def main(sim):
        await asyncio.sleep(10)

    with pytest.raises(ScenarioEnded, match=r"ended at its stopTime, t = 0\.250000 s"):
        run(main, options={"warmUp": 1, "stopTime": "250ms"})
    with pytest.raises(
        ScenarioDied, match=r"the warm-up of 2\.0+ s was stopped after 1\.0+ s: the scenario calls ns3::S"
    ):
        run(nothing, options={"warmUp": 2, "stop": 1})
    with pytest.raises(ConfigurationError, match=r"a warm-up of -1\.0+ s; legal are 0 to 1e8 s"):
        run(nothing, options={"warmUp": -1})
    alone = [
        subprocess.run(
            [*scenarios.find(SOURCE), "--bytes=20000", "--protocol=udp", f"--warmUp={seconds}"],
            check=True, capture_output=True, text=True,
        ).stdout.splitlines()
        for seconds in (0, 1)
    ]  # fmt: skip
    assert [line for line in alone[0] if line.startswith(("ue0", "edge0"))] == [
        line for line in alone[1] if line.startswith(("ue0", "edge0"))
    ]


@pytest.mark.parametrize("sink", ["tcp", "udp"])
@pytest.mark.parametrize("where", ["any", "own"])
@pytest.mark.parametrize("early", [True, False])
def test_a_port_that_is_taken(run, sink, where, early):
    named = (
        rf"node 'edge0': port 5001.*ns3::PacketSink over ns3::{sink.title()}SocketFactory.*TransferApplication::Port"
    )
    with pytest.raises(ScenarioDied, match=named):
        run(nothing, options={"sink": sink, "where": where, "early": early})


def test_another_port_of_the_transfers(run):
    async def main(sim):
        for protocol in ("tcp", "udp"):
            record = await sim.node("ue0").send(sim.node("edge0"), bytes(5000), protocol=protocol)
            assert (record.status, record.delivered_bytes) == ("complete", 5000)

    run(main, options={"sink": "udp", "edgelam::TransferApplication::Port": 7001})


def test_queue_discs_and_congestion_control_are_those_of_the_scenario(run):
    async def main(sim):
        record = await sim.node("ue0").send(sim.node("edge0"), bytes(1_000_000))
        return record.acknowledged_s, record.retransmissions, (await sim.observable("marked").read()).value.item()

    found = [run(main, options={"congestion": f"ns3::Tcp{name}"}) for name in ("Cubic", "Dctcp")]
    assert all(marked > 0 for _, _, marked in found)
    assert found[0] != found[1]


def test_whatever_a_function_throws_refuses_the_request(run):
    async def main(sim):
        with pytest.raises(
            ObservableRefused, match=r"^observable 'broken': its function threw something that is no std"
        ):
            await sim.observable("broken").read()
        with pytest.raises(ObservableRefused, match=r"^observable 'broken': its function threw"):
            await anext(aiter(sim.observable("broken").subscribe(0.1)))
        with pytest.raises(ObservableRefused, match=r"^observable 'trace_broken': its function threw"):
            await anext(aiter(sim.observable("trace_broken").subscribe(0.1)))
        with pytest.raises(ControlRefused, match=r"^control 'broken': its function threw something that is no std"):
            await sim.control("broken").set(1)
        return (await sim.observable("happened").read()).value.item()

    assert run(main) is False


def test_options_of_the_scenario_are_checked(run):
    with pytest.raises(ConfigurationError, match="--warmUp=11 is not legal"):
        run(nothing, options={"warmUp": 11})
