# SPDX-License-Identifier: GPL-2.0-only
"""Received powers of a network before any packet: observables, forms of RSRP, layouts, and what is refused."""

import numpy as np
import pytest
from edgelam.experiments.radio_validation import geometry
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
    common = {"numUe": 60, "rings": 1, "gnbPortRows": 2, "gnbPortColumns": 1, "rsrp": "direction"}
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


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
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
     ("1,2,3,0,30,Town", "'Town'"), ("0,0,25,30", "faces this direction already")],
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
    rows = [
        row for drop in (1, 2) for row in geometry.observe({"numUe": 285, "rsrp": "rays", "runNumber": drop}, seed=1)
    ]
    for (quantity, percent), theirs in geometry.companies().iterrows():
        value = np.percentile([row[quantity] for row in rows], percent)
        assert theirs["min"] - 2 < value < theirs["max"] + 2, (quantity, percent)
