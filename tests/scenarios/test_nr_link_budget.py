# SPDX-License-Identifier: GPL-2.0-only
"""Received powers of a network before any packet: observables, forms of RSRP, layouts, and what is refused."""

import numpy as np
import pytest
from edgelam.experiments.radio_validation import drops, geometry
from scenario_runs import start

from edgelam import cosim

NAMES = ("rsrp", "coupling_gain", "serving_cell", "geometry", "sir", "ue_drop")


def observe(**options):
    async def main(sim):
        return {name: (await sim.observable(name).read()).value for name in NAMES}

    return cosim.simulate(main, scenario="nr-link-budget", options=options, seed=3)


@pytest.fixture(scope="module")
def rays():
    return observe(numUe=114, rsrp="rays")


def test_observables_belong_together(rays):
    gains, serving = rays["coupling_gain"], rays["serving_cell"]
    assert gains.shape == (114, 57)
    assert rays["rsrp"] == pytest.approx(gains + 46 - 10 * np.log10(12 * 52), abs=1e-9)
    assert (serving == gains.argmax(axis=1)).all()
    power = 10 ** ((gains + 46) / 10)
    wanted = power[np.arange(114), serving]
    others = power.sum(axis=1) - wanted
    noise = 10 ** ((-174 + 10 * np.log10(10e6) + 7) / 10)
    assert rays["geometry"] == pytest.approx(10 * np.log10(wanted / (others + noise)), abs=1e-6)
    assert rays["sir"] == pytest.approx(10 * np.log10(wanted / others), abs=1e-6)
    assert set(rays["ue_drop"]["building"][rays["ue_drop"]["indoor"] == 1]) == {2}


def test_forms_of_received_power(rays):
    mean, strongest = observe(numUe=114, rsrp="mean"), observe(numUe=114, rsrp="strongest", rayCells=5)
    assert (mean["ue_drop"] == rays["ue_drop"]).all()
    off = mean["coupling_gain"] - rays["coupling_gain"]
    assert abs(np.median(off)) < 0.5
    same = strongest["coupling_gain"] == rays["coupling_gain"]
    assert (same.sum(axis=1) == 5).all()
    assert (strongest["coupling_gain"][~same] == mean["coupling_gain"][~same]).all()
    # Along the straight line, the narrow beams gain more than over all rays.
    straight = observe(numUe=114, rsrp="direction")
    assert np.median(straight["coupling_gain"].max(axis=1) - rays["coupling_gain"].max(axis=1)) > 1


def test_wrap_around_makes_every_place_alike():
    wrapped, flat = (observe(numUe=228, rsrp="mean", wrapAround=wraps, rings=1) for wraps in (True, False))
    middle = (np.arange(228) % 21) < 3  # UEs of the site in the middle see most of their neighbours either way
    outside = ~middle
    gain = wrapped["geometry"] - flat["geometry"]
    assert np.mean(gain[outside]) < -0.5  # more cells are heard
    assert np.mean(gain[middle]) > np.mean(gain[outside])


def test_margin_of_attachment_chooses_among_the_strongest():
    found = observe(numUe=228, rsrp="mean", attachMargin=3)
    gains, serving = found["coupling_gain"], found["serving_cell"]
    behind = gains.max(axis=1) - gains[np.arange(228), serving]
    assert (behind <= 3).all()
    assert (behind > 0).any()


def test_received_power_follows_in_numpy_from_the_places():
    """Sites, images, sectors, path loss, walls and the pattern of a port, all of the defaults, but nothing random."""
    found = observe(numUe=171, rsrp="direction", los="Always", shadowing=False)
    drop, step = found["ue_drop"], 500.0
    grid = sorted(
        (max(abs(a), abs(b), abs(a + b)), b, a) for a in range(-2, 3) for b in range(-2, 3) if abs(a + b) <= 2
    )
    sites = np.array([((a + b / 2) * step, b * step * np.sqrt(3) / 2) for _, b, a in grid])
    turns = np.exp(1j * np.pi / 3 * np.arange(6))
    shifts = np.append(0, (3 * step + 2 * step * turns[1]) * turns)  # to the same site in the clusters around
    images = sites[:, 0, None] + 1j * sites[:, 1, None] + shifts
    away = (drop["x"] + 1j * drop["y"])[:, None, None] - images  # [ue, site, image]
    distances = np.sort(abs(away), axis=2)
    clear = distances[:, :, 1] - distances[:, :, 0] > 20  # where one image fades into another, there are two
    nearest = np.take_along_axis(away, abs(away).argmin(axis=2)[..., None], 2)[..., 0]
    flat, height = abs(nearest), 25 - 1.5
    distance, zenith = np.hypot(flat, height), 90 + np.degrees(np.arctan2(height, flat))
    # TR 38.901 table 7.4.1-1, UMa in line of sight at 4 GHz, and table 7.4.3-3
    breakpoint_m = 4 * (25 - 1) * (1.5 - 1) * 4e9 / 3e8
    near = 28 + 22 * np.log10(distance) + 20 * np.log10(4)
    far = 28 + 40 * np.log10(distance) + 20 * np.log10(4) - 9 * np.log10(breakpoint_m**2 + height**2)
    walls = np.where(drop["indoor"] == 1, 20 + 0.5 * drop["way_in_m"], 0)
    loss = np.where(flat <= breakpoint_m, near, far) + walls[:, None]
    # Table 7.3-1, and eight elements in phase towards 99 degrees
    azimuth = np.degrees(np.angle(nearest[..., None] * np.exp(-2j * np.pi / 3 * np.arange(3))))  # sectors 0, 120, 240
    vertical, horizontal = np.minimum(12 * ((zenith - 90) / 65) ** 2, 30), np.minimum(12 * (azimuth / 65) ** 2, 30)
    element = 8 - np.minimum(vertical[..., None] + horizontal, 30)
    phase = 0.8 * (np.cos(np.radians(zenith)) - np.cos(np.radians(99)))[..., None] * np.arange(8)
    port = 20 * np.log10(abs(np.exp(2j * np.pi * phase).sum(axis=-1))) - 10 * np.log10(8)
    expected = (element + port[..., None] - loss[..., None]).reshape(171, 57)
    assert clear.mean() > 0.8
    clear_cells = np.repeat(clear, 3, axis=1)
    assert found["coupling_gain"][clear_cells] == pytest.approx(expected[clear_cells], abs=2e-3)
    # Each UE is in front of its own cell: no farther than that hexagon reaches.
    own = np.arange(171) % 57
    ahead = (drop["x"] - sites[own // 3, 0] + 1j * (drop["y"] - sites[own // 3, 1])) * np.exp(
        -2j * np.pi / 3 * (own % 3)
    )
    assert (abs(ahead - step / 3) <= step / 3 + 1e-9).all()


def test_small_cells_of_their_own_deployment_come_from_a_file(tmp_path):
    sites = tmp_path / "small.csv"
    sites.write_text("x,y,z,bearing,power,deployment\n60,30,10,0,33,UMi\n60, 30, 10, 180, 33, UMi\n")
    found = observe(numUe=57, rings=0, sectors=3, rsrp="direction", gnbElement="isotropic", gnbRows=1, gnbColumns=1,
                    gnbPolarisations=1, ueAntennas=1, electricalTilt=0, shadowing=False, los="Never",
                    indoorFraction=0, wrapAround=False, sitesFile=str(sites))  # fmt: skip
    assert found["coupling_gain"].shape == (57, 5)
    drop = found["ue_drop"]
    distance = np.hypot(np.hypot(drop["x"] - 60, drop["y"] - 30), 8.5)
    far = np.hypot(drop["x"] - 60, drop["y"] - 30) > 60
    expected = 22.4 + 35.3 * np.log10(distance) + 21.3 * np.log10(4)  # TR 38.901 table 7.4.1-1, UMi, no line of sight
    assert -found["coupling_gain"][far, 3] == pytest.approx(expected[far], abs=1e-6)
    assert found["rsrp"][0, 3] - found["coupling_gain"][0, 3] == pytest.approx(33 - 10 * np.log10(624))


def test_ues_on_high_floors_are_above_the_gnb_and_still_in_their_buildings():
    found = observe(numUe=80, rings=0, sectors=1, deployment="UMi", siteDistance=200, gnbHeight=10, rsrp="direction",
                    gnbElement="isotropic", gnbRows=1, gnbColumns=1, gnbPolarisations=1, ueAntennas=1, electricalTilt=0,
                    shadowing=False, los="Never", indoorFraction=1, buildingLoss="legacy", indoorDistance=0,
                    leastFloors=8, mostFloors=8, wrapAround=False)  # fmt: skip
    drop = found["ue_drop"]
    assert (drop["z"] > 10).sum() > 20
    distance = np.sqrt(drop["x"] ** 2 + drop["y"] ** 2 + (drop["z"] - 10) ** 2)
    # TR 38.901 table 7.4.1-1, UMi, no line of sight, at 4 GHz; walls of 20 dB.
    loss = 22.4 + 35.3 * np.log10(distance) + 21.3 * np.log10(4) - 0.3 * (drop["z"] - 1.5)
    los = 32.4 + 21 * np.log10(distance) + 20 * np.log10(4)
    assert -found["coupling_gain"][:, 0] == pytest.approx(np.maximum(loss, los) + 20, abs=1e-6)


def test_an_office(rays):
    found = observe(layout="office", deployment="InH-Open", siteDistance=20, gnbHeight=3, gnbPower=24, sectors=1,
                    frequency=6e9, bandwidth=20, ueNoiseFigure=9, numUe=120, indoorFraction=0, rsrp="direction",
                    gnbElement="indoor", gnbRows=1, gnbColumns=1, electricalTilt=0, downtilt=90, ueHeight=1,
                    minDistance=0)  # fmt: skip
    assert found["coupling_gain"].shape == (120, 12)
    assert (found["ue_drop"]["z"] == 1).all()
    assert np.median(found["coupling_gain"].max(axis=1)) > np.median(rays["coupling_gain"].max(axis=1)) + 20


def test_a_cell_serves_over_the_best_of_its_beams_and_disturbs_over_any():
    common = {"numUe": 60, "rings": 1, "siteDistance": 150, "gnbPortRows": 2, "gnbPortColumns": 1, "rsrp": "direction"}
    azimuths, zeniths = (-40, 10, 30), (100, 130)
    single = [
        observe(**common, gnbBeamAzimuths=str(azimuth), gnbBeamZeniths=str(zenith))
        for azimuth in azimuths
        for zenith in zeniths
    ]
    several = observe(**common, gnbBeamAzimuths="-40,10,30", gnbBeamZeniths="100,130")
    gains = np.array([each["coupling_gain"] for each in single])
    assert (several["coupling_gain"] == gains.max(axis=0)).all()
    assert (several["serving_cell"] == several["coupling_gain"].argmax(axis=1)).all()
    assert len(set(gains.argmax(axis=0).ravel().tolist())) == 6
    # Interference is between that of the best beams and that of the worst.
    ues = np.arange(60)
    power = 10 ** (gains / 10)
    wanted = power.max(axis=0)[ues, several["serving_cell"]]
    others = wanted / 10 ** (several["sir"] / 10)
    power[:, ues, several["serving_cell"]] = 0
    assert (others <= power.max(axis=0).sum(axis=1) * (1 + 1e-9)).all()
    assert (others >= power.min(axis=0).sum(axis=1) * (1 - 1e-9)).all()
    assert others.sum() < 0.8 * power.max(axis=0).sum()


def test_a_ue_with_panels_receives_over_its_best_beam_and_hears_all_others_over_the_same():
    common = {"numUe": 57, "rings": 1, "rsrp": "direction", "ueRows": 2, "ueColumns": 4, "ueBeamZeniths": "75,105"}
    azimuths = (-50, 0, 50)
    single = [observe(**common, uePanels=1, ueBeamAzimuths=str(azimuth)) for azimuth in azimuths]
    several = observe(**common, uePanels=1, ueBeamAzimuths="-50,0,50")
    assert (several["ue_drop"] == single[0]["ue_drop"]).all()
    gains = np.array([each["coupling_gain"] for each in single])
    assert (several["coupling_gain"] == gains.max(axis=0)).all()
    ues = np.arange(57)
    serving = several["serving_cell"]
    assert (serving == several["coupling_gain"].argmax(axis=1)).all()
    # The same beam for all cells, where that of one azimuth alone (of two zenith angles) is the best for them all.
    best = gains[:, ues, serving].argmax(axis=0)
    same = [ue for ue in range(57) if single[best[ue]]["serving_cell"][ue] == serving[ue]]
    assert len(same) > 50
    for ue in same:
        assert several["sir"][ue] == single[best[ue]]["sir"][ue]
    # Two panels back to back look both ways; they gain over isotropic antennas, and turn away from interference.
    both = observe(**common, uePanels=2, ueBeamAzimuths="-50,0,50")
    assert (both["coupling_gain"] >= several["coupling_gain"]).all()
    isotropic = observe(numUe=57, rings=1, rsrp="direction")
    more = both["coupling_gain"].max(axis=1) - isotropic["coupling_gain"].max(axis=1)
    assert 6 < np.median(more) < more.max() < 5 + 10 * np.log10(8) + 1e-6
    assert np.median(both["sir"]) > np.median(isotropic["sir"]) + 3


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--ueBeamAzimuths=100", "--uePanels=1"], ["--ueBeamAzimuths=100", "-90 to 90"]),
        (["--ueBeamAzimuths=30", "--uePanels=2"], ["azimuth of 30", "one column"]),
        (["--gnbBeamAzimuths=10,x"], ["--gnbBeamAzimuths=10,x", "-90 to 90"]),
        (["--gnbBeamAzimuths=10"], ["azimuth of 10", "one column"]),
        (["--deployment=InH-A", "--frequency=28e9", "--indoorFraction=0"], ["InH-A", "0.5e9 to 6e9 Hz"]),
        (["--gnbPortRows=3"], ["3 rows of ports for 8 rows", "divisors of 8"]),
        (["--gnbPortRows=8"], ["electrical tilt of 9", "legal is 0"]),
        (["--indoor=place", "--mostFloors=3"], ["--indoor=place", "--indoor=ue"]),
        (["--deployment=InH-Open"], ["InH-Open", "RMa, UMa and UMi"]),
        (["--sitesFile=/none/such.csv"], ["--sitesFile=/none/such.csv", "cannot be read"]),
        (["--ueAntennas=3"], ["--ueAntennas=3", "even"]),
    ],
)
def test_impossible_settings_are_refused(arguments, texts):
    done = start("nr-link-budget", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("nr-link-budget: ")
    assert done.stderr.count("\n") == 1
    for text in texts:
        assert text in done.stderr


@pytest.mark.parametrize(
    ("line", "text"),
    [("1,2,3", "3 fields"), ("1,2,x,0", "'x' is not a number"), ("1,2,nan,0", "'nan'"),
     ("1,2,3,0,30,Town", "'Town'"), ("0,0,25,0", "faces this direction already")],
)  # fmt: skip
def test_faults_of_a_file_of_sites_are_named(tmp_path, line, text):
    sites = tmp_path / "sites.csv"
    sites.write_text(f"# cells\n{line}\n")
    done = start("nr-link-budget", f"--sitesFile={sites}")
    assert done.returncode == 2
    assert f"{sites}, line 2: " in done.stderr
    assert text in done.stderr


def test_calibration_within_the_envelope_of_companies():
    """Two small drops, so within 2 dB; ten whole ones are a case of radio-validation."""
    rows = [row for drop in (1, 2) for row in drops.observe({"numUe": 285, "rsrp": "rays", "runNumber": drop}, seed=1)]
    for (quantity, percent), theirs in geometry.companies().iterrows():
        value = np.percentile([row[quantity] for row in rows], percent)
        assert theirs["min"] - 2 < value < theirs["max"] + 2, (quantity, percent)
