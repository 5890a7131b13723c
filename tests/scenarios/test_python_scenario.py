# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios in Python: coupled and alone, with the mistakes their authors make."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError, ControlRefused, ObservableRefused, ScenarioDied

WIRE = Path(__file__).parent / "wire.py"


def alone(*arguments):
    return subprocess.run([sys.executable, WIRE, *arguments], capture_output=True, text=True, check=False)


def test_transfers_observables_and_controls():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        record = await ue.send(edge, bytes(1400), protocol="udp")
        await asyncio.sleep(0.05 - record.last_byte_s)
        found = {}
        for name in ("ticks", "grid", "state"):
            found[name] = (await sim.observable(name).read()).value
        for name, reason in (
            ("broken", "observable 'broken': ZeroDivisionError: division by zero"),
            ("misshapen", r"observable 'misshapen' gave shape \[2\]"),
            ("exits", "observable 'exits': SystemExit: 5"),
        ):
            with pytest.raises(ObservableRefused, match=reason):
                await sim.observable(name).read()
        with pytest.raises(ControlRefused, match=r"101\.0 ticks; legal are up to 100"):
            await sim.control("ticks").set(101)
        with pytest.raises(ControlRefused, match=r"got \[7, -8\]"):
            await sim.control("row").set([7, -8])
        await sim.control("ticks").set(70)
        async with sim.observable("trace_ticks").subscribe(0.001) as readings:
            async for reading in readings:
                trace = reading.value
                break
        return record.last_byte_s, found, trace

    last_byte_s, found, trace = cosim.simulate(main, scenario=WIRE, options={"rate": "5Mbps"})
    assert 1446 * 8 / 5e6 < last_byte_s < 1446 * 8 / 5e6 + 0.02  # ARP comes first, after up to 10 ms
    assert found["ticks"] in (49, 50)  # the last is due at the very time
    assert found["ticks"].dtype == np.dtype("u4")
    assert found["grid"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found["state"]["tick"] == found["ticks"]
    assert found["state"]["place"].tolist() == [0.5, 1.5]
    assert len(trace) in (70, 71)
    assert set(trace["by"].tolist()) <= {0, 1}


def test_alone_and_mistakes_of_the_author():
    assert "--rate=10Mbps" in alone("--help").stdout
    done = alone("--mistake=refuse", "--rate=1Mbps", "--count=2", "--flag")
    assert (done.returncode, done.stderr) == (2, "wire: rate 1e+06, count 2, flag True\n")
    done = alone("--mistake=expose")
    assert (done.returncode, done.stderr) == (2, "wire: node 'ue0' is exposed twice\n")
    done = alone("--mistake=raise")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: raised in build\n")


def test_mistakes_are_reported_to_participants():
    async def main(sim):
        await asyncio.sleep(1)

    with pytest.raises(ConfigurationError, match="wire: option --count=9 is not legal"):
        cosim.simulate(main, scenario=WIRE, options={"count": 9})
    with pytest.raises(ScenarioDied, match=r"wire\.py died after simulated time") as caught:
        cosim.simulate(main, scenario=WIRE, options={"mistake": "die"})
    assert "RuntimeError: the third tick" in caught.value.last_lines
    for name in ("Run", "Stop", "Destroy"):
        with pytest.raises(ConfigurationError, match=rf"^wire: Simulator::{name}\(\) was called in the build function"):
            cosim.simulate(main, scenario=WIRE, options={"mistake": name.lower()})
    with pytest.raises(ConfigurationError, match="there is no such file"):
        cosim.simulate(main, scenario="./nowhere.py")


def test_what_ns3_says_as_it_aborts_comes_first():
    async def main(sim):
        raise AssertionError

    with pytest.raises(ScenarioDied) as caught:
        cosim.simulate(main, scenario=WIRE, options={"mistake": "typo"})
    first, _, rest = str(caught.value).partition("\n")
    assert 'msg="Invalid attribute set (Thickness)' in first
    assert first.endswith("(killed by SIGABRT); its last lines:")
    assert re.search(r"wire\.py\", line \d+ in build", rest)
    assert "0x" not in rest


def test_a_kept_helper_and_a_warm_up():
    async def main(sim):
        assert (sim.now_s, (await sim.observable("ticks").read()).value) == (0, 500)  # ticks of half a second
        await sim.node("ue0").send(sim.node("edge0"), bytes(100_000))
        return (await sim.observable("flow_bytes").read()).value

    assert cosim.simulate(main, scenario=WIRE, options={"warmUp": 0.5}) > 100_000


def test_a_port_that_is_taken():
    async def main(sim):
        await asyncio.sleep(1)

    with pytest.raises(ScenarioDied, match=r"node 'edge0': port 5001.*ns3::PacketSink over ns3::UdpSocketFactory"):
        cosim.simulate(main, scenario=WIRE, options={"mistake": "sink"})
