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

    with pytest.raises(ScenarioDied, match="one-wire died at simulated time") as caught:
        run(main)
    assert caught.value.exit_status == -signal.SIGABRT
    assert "aborted on request" in caught.value.last_lines


def test_arguments_are_not_options(run):
    async def main(sim):
        await asyncio.sleep(0)

    for name in ("seed", "edgelam-participants"):
        with pytest.raises(ConfigurationError, match=f"options: {name}"):
            run(main, options={name: 2})
