# SPDX-License-Identifier: GPL-2.0-only
"""nr-highway: cells from a file, and UEs in cars."""

import numpy as np
import pytest
from scenario_runs import start

from edgelam import cosim

NAMES = ("gnb_of_cell", "coupling_gain", "ue_position", "ue_drop")


def observe(**options):
    async def main(sim):
        return {name: np.array((await sim.observable(name).read()).value) for name in NAMES}

    options = {"numUe": 5, "bandwidth": 20, "speed": 0, "los": "Always"} | options
    return cosim.simulate(main, scenario="nr-highway", options=options, seed=4)


def test_cells_of_a_file_are_those_of_the_same_row(tmp_path):
    sites = tmp_path / "row.csv"
    sites.write_text("x,y,z,bearing\n" + "".join(f"{x},40,30,0\n{x},40,30,180\n" for x in (0, 300)))
    row, file = observe(numGnb=2, spacing=300, setback=40, gnbHeight=30), observe(sitesFile=str(sites), spacing=300)
    assert file["gnb_of_cell"].tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(file["ue_position"], row["ue_position"])
    np.testing.assert_array_equal(file["coupling_gain"], row["coupling_gain"])


def test_places_powers_and_deployments_of_a_file(tmp_path):
    sites = tmp_path / "sites.csv"
    sites.write_text("-200,-20,12,90,,UMi\n100,60,35,-90,46,RMa\n100,60,35,0,46,RMa\n")
    found = observe(sitesFile=str(sites), spacing=100, rsrp="direction")
    assert found["gnb_of_cell"].tolist() == [0, 1, 1]
    x = found["ue_position"][:, 0]
    assert (x >= -250).all()
    assert (x <= 150).all()  # half a spacing beyond the outermost gNBs


@pytest.mark.parametrize("form", ["\ufeffx,y,z,bearing\n{}", "# by hand\n\n X,Y,Z,bearing\n  \n{}\n# end\n", "{}"])
def test_files_of_spreadsheets_and_editors_are_understood(tmp_path, form):
    sites = tmp_path / "sites.csv"
    sites.write_text(form.format("0, 40, 30, 0\n0,40,30,180").replace("\n", "\r\n"))
    assert observe(sitesFile=str(sites), spacing=300)["gnb_of_cell"].tolist() == [0, 0]


def test_a_car_takes_its_loss_from_every_cell():
    outside, inside = observe(), observe(carFraction=1, carLoss=12, carLossDeviation=3)
    loss = inside["ue_drop"]["car_db"]
    assert (inside["ue_drop"]["car"] == 1).all()
    assert 0 < np.ptp(loss) < 30
    np.testing.assert_allclose(
        outside["coupling_gain"] - inside["coupling_gain"], loss[:, None] + 0 * outside["coupling_gain"], atol=1e-6
    )
    assert (outside["ue_drop"]["car_db"] == 0).all()


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("", ["--sitesFile=", "no cells"]),
        ("1,2,3", ["line 1", "3 fields"]),
        ("0,0,25,0,30,City", ["'City'"]),
        ("0,0,25,90\n0,0,25,450", ["line 2", "450", "-360 to 360"]),
        ("0,0,25,180\n0,0,25,-180", ["line 2", "direction"]),
    ],
)
def test_bad_files_are_refused(tmp_path, text, texts):
    sites = tmp_path / "sites.csv"
    sites.write_text(text + "\n")
    done = start("nr-highway", f"--sitesFile={sites}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for each in texts:
        assert each in done.stderr
