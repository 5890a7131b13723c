# SPDX-License-Identifier: GPL-2.0-only
"""How UEs move in the 5G scenarios: mobility files and ways, as options."""

import asyncio

import numpy as np
import pytest
from scenario_runs import start

from edgelam import cosim

FILE = """
$node_(0) set X_ 30
$node_(0) set Y_ 0
$node_(1) set X_ 40
$node_(1) set Y_ -10
$ns_ at 0.5 "$node_(0) setdest 50 0 10"
$ns_ at 1.0 "$node_(1) setdest 40 -20 5"
"""


def places(seconds, scenario="nr-urban-micro", **options):
    """ue_position [time, ue, xyz] at these times."""

    async def main(sim):
        seen = []
        for time in seconds:
            await asyncio.sleep(time - sim.now_s)
            seen.append((await sim.observable("ue_position").read()).value)
        return np.array(seen)

    return cosim.simulate(main, scenario=scenario, options=options)


def test_a_mobility_file_moves_ues(tmp_path):
    path = tmp_path / "movements.tcl"
    path.write_text(FILE)
    seen = places([0.25, 1, 2, 4], numUe=2, mobilityFile=str(path))
    assert seen[:, 0, 0] == pytest.approx([30, 35, 45, 50])
    assert seen[:, 1, 1] == pytest.approx([-10, -10, -15, -20])
    assert seen[:, :, 2] == pytest.approx(1.5)


def sumo(courses):
    """What SUMO's traceExporter.py writes of [(first second, places each second)]: a vehicle's first place when it
    begins, and in each second where it is by then and how fast it is, also when it stands."""
    lines = []
    for second in range(60):
        for node, (first, places) in enumerate(courses):
            at = second - first
            if not 0 <= at < len(places):
                continue
            x, y = places[at]
            speed = np.hypot(*np.subtract(places[at], places[max(at - 1, 0)]))
            if at == 0:
                lines += [f"$node_({node}) set {axis}_ {value}" for axis, value in (("X", x), ("Y", y), ("Z", 0))]
            lines.append(f'$ns_ at {second}.0 "$node_({node}) setdest {x} {y} {speed:.4f}"')
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_of_sumo_is_driven_as_sumo_drove_it(tmp_path, end):
    speeds = [0, 2, 5, 9, 13, 13, 9, 4, 0, 0, 0, 3, 8]  # stops, and goes on
    along = [(float(x), -2.0) for x in 20 + np.cumsum(speeds)]
    late = [(100.0 - 10 * i, 2.0 + (0.5 if i > 2 else 0)) for i in range(8)]  # begins late, and changes its lane
    path = tmp_path / "sumo.tcl"
    path.write_bytes(sumo([(0, along), (4, late)]).replace("\n", end).encode())
    seen = places([second + 0.9999 for second in range(14)], numUe=2, mobilityFile=str(path))
    for second, place in enumerate(along):
        assert seen[second, 0, :2] == pytest.approx(place, abs=0.01)
    assert (seen[:4, 1, :2] == (100, 2)).all()  # it waits at its first place
    for second, place in enumerate(late):
        assert seen[4 + second, 1, :2] == pytest.approx(place, abs=0.02)
    assert seen[:, :, 2] == pytest.approx(1.5)


@pytest.mark.parametrize("mobility", ["waypoints", "grid"])
def test_ways_stay_in_the_area_and_are_the_same_again(mobility):
    options = {"numUe": 6, "mobility": mobility, "block": 20, "speed": 15}
    seen = places(range(1, 30), **options)
    distance = np.hypot(seen[:, :, 0], seen[:, :, 1])
    assert (distance < 150 + 1e-6).all()
    assert (np.ptp(seen, axis=0)[:, :2].max(axis=1) > 20).all()
    np.testing.assert_array_equal(places([5], **options)[0], places([5], **options)[0])


@pytest.mark.parametrize(("scenario", "one"), [("lte-macro", {"numEnb": 1}), ("wifi-campus", {"numAp": 1})])
def test_other_radios_have_the_same_ways(tmp_path, scenario, one):
    path = tmp_path / "movements.tcl"
    path.write_text(
        FILE.replace("_ 30", "_ 3").replace("_ 40", "_ 4").replace("50 0 10", "13 0 10").replace("40 -20", "4 -20")
    )
    seen = places([0.25, 1, 2], scenario, numUe=2, mobilityFile=str(path), **one)
    assert seen[:, 0, 0] == pytest.approx([3, 8, 13])
    assert seen[:, 1, 1] == pytest.approx([-10, -10, -15])
    ways = places(range(1, 20, 3), scenario, numUe=4, mobility="waypoints", speed=12, **one)
    # Of one cell: a disc of half the distance of base stations, a square of that of access points.
    inside = np.hypot(ways[:, :, 0], ways[:, :, 1]) <= 250 if "numEnb" in one else np.abs(ways[:, :, :2]) <= 25
    assert inside.all()
    assert (np.ptp(ways, axis=0)[:, :2].max(axis=1) > 5).all()
    done = start(scenario, f"--mobilityFile={path}", "--numUe=1")
    assert done.returncode == 2
    assert "$node_(1)" in done.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "texts"),
    [
        (FILE, ["--numUe=1"], ["line 4", "$node_(1)", "$node_(0) to $node_(0)"]),
        (FILE, ["--numUe=3"], ["node 2 has no line"]),
        (FILE.replace("50 0 10", "5000 0 10"), ["--numUe=2"], ["line 6", "(5000, 0)", "x from -150 to 150 m"]),
        (FILE.replace("50 0 10", "5 0 10"), ["--numUe=2"], ["line 6", "(5, 0)", "parts of this rectangle"]),
        (FILE + '$ns_ at 0.2 "$node_(0) setdest 30 0 1"', ["--numUe=2"], ["line 8", "0.2 s", "goes back", "0.5 s"]),
        (FILE, ["--numUe=2", "--mobility=grid"], ["--mobility=grid", "--mobilityFile"]),
        ("\x00\x01 set\n" + FILE, ["--numUe=2"], ["line 1", "'?? set'"]),
    ],
)
def test_bad_files_are_refused(tmp_path, text, arguments, texts):
    path = tmp_path / "movements.tcl"
    path.write_text(text)
    done = start("nr-urban-micro", f"--mobilityFile={path}", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("nr-urban-micro: ")
    assert done.stderr.count("\n") == 1
    for each in texts:
        assert each in done.stderr
