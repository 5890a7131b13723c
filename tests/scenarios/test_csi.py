# SPDX-License-Identifier: GPL-2.0-only
"""Scenario csi, live from Python; and CSI from a scenario of somebody else, in one file."""

import asyncio
import itertools
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from scenario_runs import compile_scenario, start

from edgelam import cosim
from edgelam.air import csi as recordings
from edgelam.errors import ConfigurationError, ObservableRefused, TransferRefused
from edgelam.paths import installed

SMALL = {"gnbRows": 2, "gnbColumns": 2, "tones": 12, "snapshots": 4}
OWN = Path(__file__).parent / "own-csi.cc"


def run(main, options=None, **settings):
    return cosim.simulate(main, scenario="csi", options={**SMALL, **(options or {})}, **settings)


async def blocks(sim, count, name="ue0", kinds=("csi", "csi-state")):
    """The first blocks of a link: arrays copied, states."""
    found = []
    async with (
        sim.observable(f"{kinds[0]}/{name}").subscribe() as h,
        sim.observable(f"{kinds[1]}/{name}").subscribe() as s,
    ):
        for _ in range(count):
            reading, state = await anext(h), await anext(s)
            found.append((reading.time_s, reading.value.copy(), state.value[()]))
    return found


def test_help_and_mistakes():
    done = start("csi", "--help")
    assert done.returncode == 0
    for option in ("--numUe=", "--deployment=", "--frequency=", "--redraw", "--edgelam-address="):
        assert option in done.stdout
    for argument, text in (
        ("--numUE=3", "did you mean --numUe?"),
        ("--frequency=0", "500000000 to 4.5e+11 Hz"),
        ("--gnbRows=0", "it takes a whole number, 1 to 256"),
        ("--minSpeed=-1", "0 to 1000 km/h"),
        ("--minDistance=300", "it takes at most --maxDistance, 200"),
        ("--period=0s", "option --period=0s is not legal"),
        ("--deployment=UMx", "RMa, UMa, UMi"),
    ):
        done = start("csi", argument)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert text in done.stderr


def test_alone_it_says_what_it_does_instead_of_traffic():
    done = start("csi", "--stopTime=10ms", "--gnbRows=1", "--tones=4")
    assert done.returncode == 0
    assert done.stdout.startswith("no test traffic, as there is no pair of a ue and a server with IPv4: 0.010000 simul")


def test_live_from_python():
    torch = pytest.importorskip("torch")

    async def main(sim):
        assert {node.role for node in sim.nodes.values()} == {"gnb", "ue"}
        h = sim.observable("csi/ue0")
        assert h.period_s == 0.0005
        assert (h.dtype, h.shape, h.axes) == (np.complex64, (1, 8, 1, 12), ["time", "rx", "tx", "subcarrier"])
        times, tensors = [], []
        async with h.subscribe() as readings:
            async for reading in readings:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    tensors.append(torch.from_numpy(reading.value))
                times.append(reading.time_s)
                if len(times) == 5:
                    break
        await asyncio.sleep(0.1)
        with pytest.raises(TransferRefused, match="ue0 has no IPv4"):
            await sim.node("ue0").send(sim.node("gnb0"), 1)
        return times, tensors, sim.now_s

    times, tensors, now_s = run(main, {"snapshots": 1, "redraw": False})
    assert times == pytest.approx([0, 0.0005, 0.001, 0.0015, 0.002])
    assert now_s == pytest.approx(0.102)
    assert {tensor.dtype for tensor in tensors} == {torch.complex64}
    moved = [abs(b - a).pow(2).sum() / abs(a).pow(2).sum() for a, b in itertools.pairwise(tensors)]
    assert all(0 < change < 0.3 for change in moved)  # kept while later ones came, and no two alike


def test_same_seed_same_channel():
    def channel(seed, **options):
        return run(lambda sim: blocks(sim, 3), options, seed=seed)

    first, again, other = channel(3), channel(3), channel(4)
    for (time, h, state), (time2, h2, state2) in zip(first, again, strict=True):
        assert time == time2
        assert np.array_equal(h, h2)
        assert state.tobytes() == state2.tobytes()  # NaN too
    assert not any(np.allclose(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_live_snapshots_are_those_of_blocks():
    options = {"redraw": False, "minSpeed": 50, "maxSpeed": 50}
    in_blocks = run(lambda sim: blocks(sim, 2), options)
    live = run(lambda sim: blocks(sim, 8), {**options, "snapshots": 1})
    whole = np.concatenate([h for _, h, _ in in_blocks])
    assert np.array_equal(whole, np.concatenate([h for _, h, _ in live]))


def test_redraw_makes_independent_samples_and_leaves_the_block_alone():
    options = {"minSpeed": 36, "maxSpeed": 36, "numUe": 2}
    redrawn = run(lambda sim: blocks(sim, 40), options)
    walking = run(lambda sim: blocks(sim, 40), {**options, "redraw": False})
    for found in (redrawn, walking):
        assert [state["time_s"].item() for _, _, state in found] == pytest.approx([k * 0.002 for k in range(40)])
        assert [time for time, _, _ in found] == pytest.approx([k * 0.002 + 0.0015 for k in range(40)])
        assert all(state["speed_mps"] == pytest.approx(10) for _, _, state in found)
        for _, h, _ in found:  # within a block the user walks on: half a millisecond, 5 mm, a 25th of a wavelength
            for one, next_one in itertools.pairwise(h):
                assert np.sum(abs(next_one - one) ** 2) < 0.3 * np.sum(abs(one) ** 2)
    assert np.array_equal(redrawn[0][1], walking[0][1])
    places = np.array([state["tx_position_m"] for _, _, state in walking])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1) == pytest.approx(0.02)
    places = np.array([state["tx_position_m"] for _, _, state in redrawn])
    assert np.median(np.linalg.norm(np.diff(places, axis=0), axis=1)) > 10
    # the end of a block against the beginning of the next: the same channel 5 mm on, or another one
    assert np.mean([alike(a, b) for a, b in itertools.pairwise(walking)]) > 0.9
    assert np.mean([alike(a, b) for a, b in itertools.pairwise(redrawn)]) < 0.4


def alike(one, other):
    a, b = one[1][-1].ravel(), other[1][0].ravel()
    return abs(np.vdot(a, b)) / np.linalg.norm(a) / np.linalg.norm(b)


def test_downlink_is_the_transpose_of_the_uplink():
    def first(direction):
        return run(lambda sim: blocks(sim, 1), {"direction": direction, "ueAntennas": 2})[0]

    (_, up, at_gnb), (_, down, at_ue) = first("uplink"), first("downlink")
    assert up.shape == (4, 8, 2, 12)
    assert down.shape == (4, 2, 8, 12)
    assert np.array_equal(up, down.transpose(0, 2, 1, 3))
    assert np.array_equal(at_gnb["tx_position_m"], at_ue["rx_position_m"])


def test_state_info_tones_and_rays():
    async def main(sim):
        with pytest.raises(ObservableRefused, match="observable 'csi-state/ue1': no block is finished"):
            await sim.observable("csi-state/ue1").read()
        info = (await sim.observable("csi-info/ue1").read()).value[()]
        tones = (await sim.observable("csi-tones/ue1").read()).value
        (_, h, state), *_ = await blocks(sim, 1, "ue1")
        rays = (await sim.observable("rays/ue1").read()).value
        return info, tones, h, state, rays

    info, tones, h, state, rays = run(main, {"numUe": 2, "rays": True, "los": "Always"})
    assert info["carrier_hz"] == 2.4e9
    assert info["rx"]["node"] == 0
    assert info["tx"]["node"] == 2
    assert np.diff(tones) == pytest.approx(np.full(11, 180e3))
    assert state["link"]["los"] == 1
    assert state["mean_gain_db"] == pytest.approx(10 * np.log10(np.mean(np.abs(h) ** 2)), abs=1e-4)
    # all power of the rays, over 8 x 1 pairs of antennas, within what four snapshots of twelve tones fade
    assert 10 * np.log10(rays["gain"].sum() / 8) == pytest.approx(state["mean_gain_db"], abs=4)
    assert np.abs(rays["doppler_hz"]).max() <= state["speed_mps"] / 299_792_458 * 2.4e9 * 1.001


def test_the_strongest_direction_is_the_users():
    async def main(sim):
        return await blocks(sim, 1), (await sim.observable("csi-info/ue0").read()).value[()]

    options = {"los": "Always", "deployment": "RMa", "gnbRows": 8, "gnbColumns": 8, "downtilt": 0, "minDistance": 50,
               "maxDistance": 200}  # fmt: skip
    [(_, h, state)], info = run(main, options, seed=2)
    from edgelam.air.csi.spectra import angle_spectrum

    array = {name: info["rx"][name].item() for name in info["rx"].dtype.names}
    horizontal, vertical, power, end = angle_spectrum(h, {"rx": array})
    assert end == "rx"
    way = state["tx_position_m"] - state["rx_position_m"]
    way = way / np.linalg.norm(way)  # the array lies in the y-z plane: its cosines are those two
    row, column = np.unravel_index(power.argmax(), power.shape)
    assert horizontal[column] == pytest.approx(way[1], abs=0.1)
    assert vertical[row] == pytest.approx(way[2], abs=0.1)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return compile_scenario(OWN, tmp_path_factory.mktemp("own"))


def test_csi_of_a_scenario_in_one_file(own, tmp_path):
    path = tmp_path / "walk.npz"
    recordings.record(recordings.RecordSettings(out=path, scenario=str(own), samples=50, set=("speed=2",)))
    data = recordings.load(path)
    assert data.csi.shape == (50, 1, 1, 8, 64)
    assert data.link.tolist() == ["walk"] * 50
    assert data.time_s == pytest.approx(np.arange(50) * 1e-3)
    assert data.rx_position_m[:, 1] == pytest.approx(-20 + 2 * np.arange(50) * 1e-3)
    assert (data.speed_mps == 2).all()
    with pytest.raises(ConfigurationError, match="own-csi: option --speed=fast"):
        recordings.record(recordings.RecordSettings(out=tmp_path / "b.npz", scenario=str(own), set=("speed=fast",)))
    done = subprocess.run([own], check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no test traffic" in done.stdout


def test_headers_are_installed():
    for header in ("csi-publisher.h", "block-feed.h", "shared-memory.h", "radio-channel.h"):
        assert (installed("include/edgelam") / header).exists()
