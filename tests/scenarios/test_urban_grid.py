# SPDX-License-Identifier: GPL-2.0-only
"""Scenario nr-urban-grid: every node reaches every other, whichever gNB serves it; bad options are refused."""

import asyncio
import json

import numpy as np
import pytest
from scenario_runs import start

from edgelam import cosim

SMALL = {"sites": 3, "sectors": 1, "numUe": 4, "bandwidth": 20, "los": "Always"}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_every_gnb_and_every_ue_reach_each_other(protocol):
    async def body(sim):
        gnbs = [sim.node(f"gnb{i}") for i in range(3)]
        ues = [sim.node(f"ue{i}") for i in range(4)]
        pairs = [(a, b) for gnb in gnbs for ue in ues for a, b in ((gnb, ue), (ue, gnb))]
        pairs += [(a, b) for a in ues for b in ues if a is not b]
        records = await asyncio.gather(*(a.send(b, bytes(2000), tag=a.name, protocol=protocol) for a, b in pairs))
        return await sim.observable("serving_cell").read(), records

    cells, records = cosim.simulate(body, scenario="nr-urban-grid", options=SMALL, seed=2)
    assert len(set(np.asarray(cells.value).tolist())) > 1  # UEs of several gNBs
    assert len(records) == 36
    assert {record.status for record in records} == {"complete"}


def test_the_same_seed_gives_the_same_traffic_and_another_one_other_traffic():
    def table(seed):
        done = start(
            "nr-urban-grid",
            "--sites=3",
            "--numUe=6",
            "--bytes=1e5",
            "--bandwidth=20",
            f"--seed={seed}",
            "--format=json",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split('"wall_s"')[0]

    assert table(1) == table(1) != table(2)


COMMON = {
    "rings": 1, "sectors": 1, "siteDistance": 200, "gnbHeight": 10, "deployment": "UMi", "los": "Hard", "numUe": 14,
    "frequency": 3.5e9, "indoorFraction": 0.3, "indoorDistanceLaw": "uniform", "buildingLoss": "mixed",
    "mostFloors": 4, "carFraction": 0.5, "gnbRows": 8, "gnbColumns": 2, "gnbPortRows": 2, "gnbVerticalSpacing": 0.8,
    "electricalTilt": 5, "downtilt": 3, "ueAntennas": 4,
}  # fmt: skip


def observe(scenario, names, seed=3, **options):
    async def main(sim):
        return {name: np.array((await sim.observable(name).read()).value) for name in names}

    return cosim.simulate(main, scenario=scenario, options=options, seed=seed)


@pytest.mark.parametrize("form", [{"rsrp": "rays"}, {"rsrp": "mean"}, {"rsrp": "strongest", "rayCells": 3}])
def test_received_power_is_that_of_nr_link_budget(form):
    """The same sites, images, ports, buildings and cars: packets change nothing of what is received on average."""
    names = ("coupling_gain", "ue_drop")
    budget = observe("nr-link-budget", names, **COMMON, **form)
    grid = observe("nr-urban-grid", names, **COMMON, **form, bandwidth=20, speed=0, carSpeed=0)
    for field in ("x", "y", "z", "indoor", "building", "car", "car_db"):
        assert (grid["ue_drop"][field] == budget["ue_drop"][field]).all()
    assert grid["ue_drop"]["indoor"].any()
    assert grid["ue_drop"]["car"].any()
    assert grid["coupling_gain"] == pytest.approx(budget["coupling_gain"], abs=1e-6)


def test_images_ports_and_walls_reach_the_network():
    plain = observe("nr-urban-grid", ["coupling_gain"], **COMMON, bandwidth=20)["coupling_gain"]
    for changed in ({"wrapAround": False}, {"electricalTilt": 0}, {"indoorFraction": 0}, {"rsrp": "mean"}):
        other = observe("nr-urban-grid", ["coupling_gain"], **{**COMMON, **changed}, bandwidth=20)["coupling_gain"]
        assert np.abs(other - plain).max() > 1, changed


def test_margin_of_attachment():
    found = observe("nr-urban-grid", ["coupling_gain", "serving_cell"], **{**COMMON, "numUe": 40}, attachMargin=6,
                    bandwidth=20)  # fmt: skip
    gains, serving = found["coupling_gain"], found["serving_cell"]
    behind = gains.max(axis=1) - gains[np.arange(40), serving]
    assert (behind <= 6).all()
    assert (behind > 0).any()


def test_cells_from_a_file(tmp_path):
    sites = tmp_path / "sites.csv"
    sites.write_text("0,0,10,0,40\n0,0,10,180,40\n150,0,25,90,43,UMa\n")
    names = ["gnb_of_cell", "coupling_gain", "rsrp_dbm", "ue_drop"]

    async def main(sim):
        await asyncio.sleep(0.05)
        return {name: np.array((await sim.observable(name).read()).value) for name in names}

    options = {"layout": "file", "sitesFile": str(sites), "numUe": 6, "bandwidth": 20, "carFraction": 0, "speed": 0}
    found = cosim.simulate(main, scenario="nr-urban-grid", options=options, seed=1)
    assert found["gnb_of_cell"].tolist() == [0, 0, 1]
    per_subcarrier = np.array([40, 40, 43]) - 10 * np.log10(12 * 51)
    assert found["rsrp_dbm"] == pytest.approx(found["coupling_gain"] + per_subcarrier, abs=1e-6)
    near = np.hypot(found["ue_drop"]["x"] - [0, 150, 0] * 2, found["ue_drop"]["y"])  # site by site, cell by cell
    assert (near < 200 / np.sqrt(3)).all()
    assert (near >= 10).all()


def test_cells_of_a_file_have_their_carriers(tmp_path):
    """Two gNBs with a cell of each carrier: the same shadowing, other losses, and no interference between carriers."""
    sites = tmp_path / "carriers.csv"
    sites.write_text("".join(f"{x},0,10,{way},40,,{hz}\n" for x, way in ((0, 0), (100, 180)) for hz in ("", "3.7e9")))

    async def main(sim):
        await asyncio.sleep(0.05)
        names = ("gnb_of_cell", "rsrp_dbm", "cell_sinr_db", "ue_drop")
        found = [np.array((await sim.observable(name).read()).value) for name in names]
        records = [await sim.node(f"ue{i}").send(sim.node("cloud0"), bytes(30_000)) for i in range(8)]
        return *found, records

    options = {"layout": "file", "sitesFile": str(sites), "siteDistance": 100, "numUe": 8, "bandwidth": 20, "speed": 0,
               "los": "Always", "rsrp": "direction", "indoorFraction": 0.5, "carFraction": 0}  # fmt: skip
    gnbs, rsrp, sinr, drop, records = cosim.simulate(main, scenario="nr-urban-grid", options=options, seed=2)
    assert gnbs.tolist() == [0, 0, 1, 1]
    outdoors = drop["indoor"] == 0
    assert 0 < outdoors.sum() < 8
    assert (rsrp[:, ::2] - rsrp[:, 1::2])[outdoors] == pytest.approx(20 * np.log10(3.7 / 3.5), abs=1e-3)
    power = 10 ** (rsrp / 10)
    noise = 10 ** ((-174 + 10 * np.log10(30e3) + 9) / 10)
    assert sinr == pytest.approx(rsrp - 10 * np.log10(power[:, [2, 3, 0, 1]] + noise), abs=1e-6)
    assert {record.status for record in records} == {"complete"}


def test_carriers_of_a_file_that_overlap_in_part_are_refused(tmp_path):
    sites = tmp_path / "overlapping.csv"
    for line, texts in (("90,0,10,0,,,3.505e9", ["3505 MHz", "overlaps cell 0"]), ("90,0,10,0,,,3", ["line 1", "'3'"])):
        sites.write_text(line + "\n")
        done = start("nr-urban-grid", "--sites=1", "--sectors=1", "--bandwidth=20", f"--sitesFile={sites}")
        assert done.returncode == 2
        assert all(text in done.stderr for text in texts), done.stderr


@pytest.mark.parametrize("mobility", ["straight", "waypoints", "grid"])
def test_cars_are_faster_than_walkers_whatever_their_way(mobility):
    async def main(sim):
        await asyncio.sleep(0.1)
        return [np.array((await sim.observable(name).read()).value) for name in ("ue_drop", "ue_velocity")]

    options = {**SMALL, "numUe": 20, "mobility": mobility, "carFraction": 0.5, "speed": 1.5, "carSpeed": 12}
    drop, velocity = cosim.simulate(main, scenario="nr-urban-grid", options=options, seed=3)
    assert 0 < (drop["car"] != 0).sum() < 20
    assert np.linalg.norm(velocity, axis=1) == pytest.approx(np.where(drop["car"] != 0, 12, 1.5))


@pytest.mark.parametrize(("numerology", "noise_figure"), [(1, 9), (2, 6)])
def test_sinr_of_cells_is_what_their_rsrp_says(numerology, noise_figure):
    async def main(sim):
        await asyncio.sleep(0.05)
        return [np.array((await sim.observable(name).read()).value) for name in ("rsrp_dbm", "cell_sinr_db")]

    options = {**SMALL, "sectors": 3, "numerology": numerology, "ueNoiseFigure": noise_figure, "speed": 0}
    rsrp, sinr = cosim.simulate(main, scenario="nr-urban-grid", options=options, seed=4)
    assert rsrp.shape == sinr.shape == (4, 9)
    power = 10 ** (rsrp / 10)
    noise = 10 ** ((-174 + 10 * np.log10(15e3 * 2**numerology) + noise_figure) / 10)
    expected = 10 * np.log10(power / (power.sum(axis=1, keepdims=True) - power + noise))
    assert sinr == pytest.approx(expected, abs=1e-6)


def test_more_sites_than_a_byte_has_numbers(tmp_path):
    sites = tmp_path / "many.csv"
    sites.write_text("".join(f"{200 * i},0,10,0\n" for i in range(258)))

    async def main(sim):
        records = [await sim.node(f"edge{i}").send(sim.node("ue0"), bytes(500), protocol="udp") for i in (1, 255, 257)]
        return [record.delivered_bytes for record in records]

    options = {"layout": "file", "sitesFile": str(sites), "siteDistance": 100, "numUe": 1, "bandwidth": 20, "speed": 0}
    assert cosim.simulate(main, scenario="nr-urban-grid", options=options, seed=1) == [500, 500, 500]


def test_a_gnb_far_below_the_noise_changes_nothing(tmp_path):
    """Neither with its interference, nor by being one more gNB."""
    sites = tmp_path / "faint.csv"
    sites.write_text("90,0,10,180,-45\n")

    def transfers(*more):
        done = start("nr-urban-grid", "--sites=1", "--numUe=3", "--bytes=3e5", "--bandwidth=20", "--numSiteEdge=0",
                     "--format=json", *more)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["transfers"]

    assert transfers(f"--sitesFile={sites}") == transfers()


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--sites=92"], ["--sites=92", "0 to 91"]),
        (["--sectors=7"], ["1 to 6"]),
        (["--carFraction=2"], ["0 to 1"]),
        (["--siteDistance=1"], ["5 to 20000"]),
        (["--layout=file"], ["--layout=file", "--sitesFile"]),
        (["--minDistance=500"], ["500", "up to 132 m"]),
        (["--gnbRows=4", "--gnbPortRows=3"], ["3 rows of ports for 4 rows", "divisors of 4"]),
        (["--indoor=place"], ["--indoor=place", "--indoor=ue"]),
        (["--layout=office", "--deployment=InH-Open", "--indoorFraction=1"], ["InH-Open", "RMa, UMa and UMi"]),
        (["--rsrp=none"], ["strongest, rays, mean, direction"]),
        (["--edgelam::nr::Network::Relevance=5"], ["--relevance"]),
    ],
)
def test_bad_options_are_refused(arguments, texts):
    done = start("nr-urban-grid", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for text in texts:
        assert text in done.stderr


@pytest.mark.parametrize(("asked", "there"), [(1, 3), (3, 3), (6, 6)])
def test_edge_servers_that_are_missing_are_behind_the_upf(asked, there):
    """Two sites with a server each, and one behind the UPF: an experiment that needs more gets them."""

    async def main(sim):
        return [node.name for node in sim.nodes.values() if node.role == "edge"]

    options = {"sites": 2, "sectors": 1, "numUe": 1, "numEdge": asked}
    assert len(cosim.simulate(main, scenario="nr-urban-grid", options=options)) == there
