# SPDX-License-Identifier: GPL-2.0-only
"""A scenario in one file outside edgelam: compiled with the command of docs/writing-a-scenario.md, run by its path."""

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest
from scenario_runs import compile_scenario

from edgelam import cosim
from edgelam.errors import ConfigurationError, ControlRefused, ScenarioDied, TransferRefused

SOURCE = Path(__file__).parent / "one-wire.cc"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the compiled scenario in it."""
    folder = tmp_path_factory.mktemp("own")
    compile_scenario(SOURCE, folder)
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return lambda main, **settings: cosim.simulate(main, scenario="./one-wire", **settings)


def test_alone(folder):
    done = subprocess.run(["./one-wire", "--bytes=10000"], cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert "all arrived" in done.stdout


def test_times_options_observables_and_controls(run):
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        record = await ue.send(edge, bytes(1400), protocol="udp")
        wire = (await sim.observable("wire").read()).value
        with pytest.raises(ControlRefused, match=r"delay -1.000000 s; legal are values above 0"):
            await sim.control("abort").set(-1)
        return record.last_byte_s, wire["rate_bps"].item(), wire["waiting_packets"].item()

    assert run(main, options={"rate": "5Mbps"}) == (pytest.approx(1430 * 8 / 5e6 + 1e-3, abs=2e-9), 5e6, 0)
    with pytest.raises(ConfigurationError, match="one-wire: option --rate=fast is not legal"):
        run(main, options={"rate": "fast"})


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_no_route_is_refused(run, protocol):
    async def main(sim):
        await sim.node("ue0").send(sim.node("island0"), 1, protocol=protocol)

    with pytest.raises(TransferRefused, match="there is no route from ue0 to island0"):
        run(main)


def test_abort_is_reported_with_its_text(run):
    async def main(sim):
        await sim.control("abort").set(0.25)
        await sim.node("ue0").send(sim.node("edge0"), bytes(10_000_000))

    with pytest.raises(ScenarioDied, match="one-wire died after simulated time") as caught:
        run(main)
    assert caught.value.exit_status == -signal.SIGABRT
    assert "aborted on request" in caught.value.last_lines


def test_arguments_are_not_options(run):
    async def main(sim):
        await asyncio.sleep(0)

    for name in ("seed", "edgelam-participants"):
        with pytest.raises(ConfigurationError, match=f"options: {name}"):
            run(main, options={name: 2})


def test_own_cell(tmp_path):
    """A 5G cell from the headers: options, shares, an observable of its own, traces."""
    program = compile_scenario(SOURCE.with_name("own-cell.cc"), tmp_path)

    async def main(sim):
        await sim.control("prb_share").set([[0.75, 0.25], [0.5, 0.5]])
        sending = [asyncio.ensure_future(sim.node("edge0").send(sim.node(f"ue{i}"), bytes(40_000_000))) for i in (0, 1)]
        blocks = []
        async with sim.observable("trace_blocks").subscribe(0.05) as readings:
            async for reading in readings:
                blocks.append(reading.value[reading.value["uplink"] == 0])
                if len(blocks) == 5:  # TCP fills the bearers by then
                    break
        distances = (await sim.observable("gnb_distance_m").read()).value
        for each in sending:
            each.cancel()
        return blocks[-1], distances

    options = {"scheduler": "external", "distance": 30}
    blocks, distances = cosim.simulate(main, scenario=program, options=options)
    assert distances == pytest.approx([(30**2 + 20**2 + 8.5**2) ** 0.5] * 2)
    assert blocks["prbs"][blocks["ue"] == 0].sum() / blocks["prbs"].sum() == pytest.approx(0.75, abs=0.005)
    with pytest.raises(ConfigurationError, match="has no uplink"):
        cosim.simulate(main, scenario=program, options={"pattern": "DDD"})
