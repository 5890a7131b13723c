# SPDX-License-Identifier: GPL-2.0-only
"""radio-validation from end to end, small: what its figures must show holds, in numbers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from edgelam.experiments.radio_validation import bler, cases, dense_urban, interference, peak
from edgelam.experiments.radio_validation.checks import jain
from edgelam.experiments.radio_validation.config import CASES, Config
from edgelam.experiments.radio_validation.delay import reckon
from edgelam.experiments.radio_validation.distance import PLACES
from edgelam.experiments.radio_validation.drops import within
from edgelam.experiments.radio_validation.runner import Runner
from edgelam.experiments.radio_validation.schedulers import EQUAL, SNR_AT_0_DBM_DB
from edgelam.experiments.radio_validation.tcp import INITIAL_WINDOW, SEGMENT, explain

from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.output.progress import Progress
from edgelam.runs import load

SMALL = (
    "--peak-seconds", "0.1", "--arrivals", "2", "--street-distances", "50", "300", "--hall-distances", "10", "80",
    "--drops", "5", "--drop-seconds", "0.05", "--fading-ues", "1", "4", "--fading-snr-db", "8",
    "--fading-seconds", "1.5", "--street-ues", "4", "--street-drops", "2", "--street-seconds", "0.1",
    "--rlc-packets", "1000", "--tcp-delays-ms", "20", "--tcp-bytes", "3000000",
    "--geometry-drops", "3", "--geometry-ues", "114", "--evaluation-ues", "57",
    "--evaluations", "hotspot_12", "rural_lmlc", "--large-scale-ues", "57",
    "--precoder-snr-db", "0", "20", "--precoder-ages", "8", "--precoder-periods", "16", "--precoder-drops", "1",
    "--sharing-snr-db", "10",
)  # fmt: skip


def run_small(out: Path, *more: str) -> Path:
    assert cli.main(["run", "radio-validation", "--out", str(out), *SMALL, *more]) == 0
    (path,) = (out / "radio-validation").iterdir()
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_small(tmp_path_factory.mktemp("runs"))


def test_what_must_hold_holds(finished):
    found = cases.checks(finished)
    assert {check.case for check in found} == set(CASES)
    few = {"geometry", "evaluations", "large_scale"}  # small drops do not tell: test_nr_link_budget has larger ones
    assert [check for check in found if not check.holds and check.case not in few] == []


@pytest.mark.parametrize(
    ("values", "drops", "verdict"),
    [
        ([-0.4, 5.0], 10, "yes"),
        ([0.6, 5.0], 10, "yes"),
        ([-0.6, 5.0], 10, "NO"),  # its interval reaches into the envelope
        ([0.5, 8.6], 2, "NO"),
        ([0.5, 5.0], 1, "undecided"),
        ([-0.6, 5.0], 1, "undecided"),
    ],
)
def test_percentiles_are_judged_and_not_their_intervals(values, drops, verdict):
    index = pd.Index([5, 50], name="percentile")
    found = pd.DataFrame({"value": values, "low": [-3.0, 4.0], "high": [3.0, 9.0]}, index=index)
    known = pd.DataFrame({"min": [0.0, 4.0], "max": [1.0, 8.0]}, index=index)
    check = within("geometry", "gain", found, known, drops)
    assert check.verdict == verdict
    assert "dB beyond it at most: at " in check.found


def test_every_case_has_figures(finished):
    names = {path.stem for path in finished.glob("*.svg")}
    assert names == {
        "bler", "harq", "peak", "delay", "delay_parts", "delay_distribution", "distance", "pf_gain", "schedulers",
        "rlc", "tcp", "geometry", "evaluations_coupling_gain", "evaluations_geometry", "large_scale",
        "interference", "precoders",
    }  # fmt: skip
    assert names == {path.stem for path in finished.glob("*.png")}


def test_peak_rates_are_those_of_the_list(finished):
    rows = load(finished)["peak"].set_index("row")
    listed = (2337.0e6, 625.0e6, 907.4e6, 226.9e6, 3232e6, 1773.6e6)
    assert rows["formula_bps"].tolist()[: len(listed)] == pytest.approx(listed, rel=1e-3)
    assert rows["scheduled_bps"].iloc[0] == pytest.approx(1_179_864 / 0.5e-3, rel=1e-9)  # 38.214 5.1.3.2, 273 PRB
    product = rows[list(peak.FACTORS)].prod(axis="columns")
    assert (rows["delivered_bps"] / rows["formula_bps"] / product).tolist() == pytest.approx([1] * 8, abs=0.005)
    fdd = rows[rows["slots"] == 1]
    assert (fdd["delivered_bps"] / fdd["formula_bps"]).tolist() == pytest.approx([1] * len(fdd), abs=0.02)


@pytest.mark.parametrize(("prbs", "near_db"), [(50, 0.15), (10, 0.3)])
def test_error_rates_are_near_those_of_simulated_codes(prbs, near_db):
    points = bler.ldpc_points(prbs)
    assert len(points) > 5
    lines = Runner(2, Progress()).run("bler", [{"mcsTable": table, "prbs": prbs} for table in (1, 2, 3, 4)])
    found = {
        (scheme["bits_per_symbol"], round(1024 * scheme["code_rate"], 1)): bler.threshold_db(
            pd.DataFrame(scheme["points"], columns=["sinr_db", "bler"])
        )
        for table in lines
        for scheme in table
    }
    for (bits, rate), sinr_db in points.items():
        assert found[bits, round(1024 * rate, 1)] == pytest.approx(sinr_db, abs=near_db), (bits, rate)


def test_the_same_seed_gives_the_same_tables_and_figures(finished, tmp_path, capsys):
    again = run_small(tmp_path, "--cases", "rlc", "--processes", "1")
    for name in ("rlc", "rlc_delay"):
        assert (again / f"{name}.parquet").read_bytes() == (finished / f"{name}.parquet").read_bytes()
    capsys.readouterr()
    (again / "rlc.svg").unlink()
    assert cli.main(["plot", str(again)]) == 0
    assert (again / "rlc.svg").read_bytes() == (finished / "rlc.svg").read_bytes()
    assert "AM delivers what is sent" in capsys.readouterr().out
    place = {"deployment": "UMi", "los": "Never", "distance": 50.0, "drops": 5, "seed": 1, "seconds": 0.05}
    (lines,) = Runner(1, Progress()).run("distance", [place | PLACES["UMi"]])
    rows = load(finished)["distance"].query("deployment == 'UMi' and los == 'Never' and distance_m == 50")
    assert lines == rows[list(lines[0])].to_dict("records")


def test_interference_follows_from_what_is_on_the_air(finished):
    rows = load(finished)["interference"]
    for uplink in (False, True):
        for number in (8, 2):
            some = rows[(rows["explicit"] == number) & (rows["uplink"] == uplink)]
            assert len(some) > (20 if uplink else 100)  # of five slots, one is up
            assert some["ue"].nunique() >= 4
            assert (some["sinr_db"] - some["recomputed_db"]).abs().max() < 0.1
            assert (some["alone_db"] - some["sinr_db"]).median() > 1  # other cells decide it, not noise


def test_ues_that_send_together_are_received_over_all_ports():
    """Several UEs of a cell on the same resource blocks, among UEs of other cells: every SINR by NumPy."""
    job = {"seed": 2, "bandwidth": 20, "sites": 3, "sectors": 1, "uesPerCell": 3, "watched": 9, "uplink": True}
    (lines,) = Runner(1, Progress()).run("interference", [job | {"uplinkSelection": "greedy", "siteDistance": 150}])
    rows = pd.DataFrame(interference.recompute(lines))
    sent = [line for line in lines if line["kind"] == "sent"]
    beside = {
        (one["slot"], one["sender"])
        for one in sent
        for other in sent
        if one["slot"] == other["slot"] and one["cell"] == other["cell"] and one["sender"] != other["sender"]
        and one["groups"] & other["groups"]
    }  # fmt: skip
    together = [(row.slot, row.ue) in beside for row in rows.itertuples()]
    assert sum(together) > 10
    assert (rows["sinr_db"] - rows["recomputed_db"]).abs().max() < 0.02
    assert (rows["alone_db"] - rows["sinr_db"])[together].median() > 0.1  # others cost something


def test_ues_that_share_the_band_in_fades_get_together_what_one_gets():
    """A block of half the band cannot be as small as the lowest MCS would make it; losing it teaches nothing."""
    shared = EQUAL | {"gnbPower": 2 - SNR_AT_0_DBM_DB, "scheduler": "rr", "seconds": 2}
    one, two = Runner(2, Progress()).run("schedulers", [shared | {"numUe": 1}, shared | {"numUe": 2}])
    assert sum(ue["decoded_bps"] for ue in two) > 0.75 * one[0]["decoded_bps"]


def test_delays_reckoned_by_hand():
    # FDD, in the middle of a slot: 0.5 + 1 + 1 + 1 down; 0.5 + 2 (request) + 1 + 2 (K2) + 1 + 1 up.
    assert sum(reckon("FDD", False, 0, 0.5, 1).values()) == 3.5
    assert sum(reckon("FDD", True, 0, 0.5, 1).values()) == 7.5
    # At 120 kHz a UE decodes in two slots and needs three from grant to block.
    assert sum(reckon("FDD", False, 0, 0.5, 3).values()) == 4.5
    assert sum(reckon("FDD", True, 0, 0.5, 3).values()) == 8.5
    # DDDSU: a packet of slot 2 would go out in slot 4, the U, and waits for one more.
    assert [sum(reckon("DDDSU", False, slot, 0.5, 1).values()) for slot in range(5)] == [3.5, 3.5, 4.5, 3.5, 3.5]
    # Up from slot 4: request in 8 (S), known in 10, decided in 11, granted in 12, block in 14, read at 16.
    assert sum(reckon("DDDSU", True, 4, 0.5, 1).values()) == 16 - 4.5


def test_tcp_times_by_hand():
    window = INITIAL_WINDOW * SEGMENT
    # One window: connection, one way, the air.
    assert explain(window, 8 * window / 0.001, 0.1, 0.05) == pytest.approx(0.1 + 0.05 + 0.001)
    # 1 + 2 + 4 windows and one more: three round trips more.
    assert explain(8 * window, 8 * window / 0.001, 0.1, 0.05) == pytest.approx(0.4 + 0.05 + 0.001)
    # An air that is full with the second window never stops.
    assert explain(9 * window, 8 * window / 0.06, 0.1, 0.05) == pytest.approx(0.2 + 0.05 + 8 * 0.06)


def test_jain():

    assert jain(np.array([1.0, 1, 1, 1])) == 1
    assert jain(np.array([1.0, 0, 0, 0])) == 0.25
    assert jain(np.zeros(3)) == 1


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"drops": 1}, "drops is 1; legal is 2 to"),
        ({"seed": 0}, "seed is 0; legal is 1 to"),
        ({"street_distances": (100, 50)}, "ascending"),
        ({"fading_ues": (2, 4)}, "the first is 1"),
        ({"cases": ("peak", "peak")}, "at most once"),
    ],
)
def test_illegal_settings_are_refused(settings, text):
    with pytest.raises(ConfigurationError, match=text):
        Config(**settings)


def test_a_run_that_fails_says_why():
    before = psutil.Process().children(recursive=True)  # of other tests
    with pytest.raises(EdgelamError, match=r"bandwidth 33 MHz.*90 or 100 MHz"):
        Runner(2, Progress()).run("peak", [{"bandwidth": 33}, {"seconds": 100}])
    assert set(psutil.Process().children(recursive=True)) <= set(before)


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    command = [sys.executable, "-m", "edgelam", "run", "radio-validation", "--out", str(tmp_path)]
    command += ["--cases", "distance", "--drops", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        children: list[psutil.Process] = []
        for _ in range(600):
            assert process.poll() is None, process.stderr.read()
            children = psutil.Process(process.pid).children(recursive=True)
            if len(children) == 2:
                break
            time.sleep(0.1)
        assert len(children) == 2
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running()]
    (path,) = (tmp_path / "radio-validation").iterdir()
    assert load(path).state == "interrupted"


def test_dense_urban_counts_what_is_decoded(tmp_path, capsys):
    """Three cells for a moment: sums by hand, rules of what shares a group, and nothing claimed of so few cells."""
    small = ("--dense-urban-rings", "0", "--dense-urban-begin", "0.02", "--dense-urban-seconds", "0.03")
    assert cli.main(["run", "radio-validation", "--config", "dense-urban-small", "--out", str(tmp_path), *small]) == 0
    (path,) = (tmp_path / "radio-validation").iterdir()
    run = load(path)
    rows, drops = run["dense_urban"], run["dense_urban_drops"].set_index("csi")
    found = dense_urban.efficiencies(run)
    assert list(found.index) == ["subband", "etype2"]
    for csi, row in found.iterrows():
        some = rows[rows["csi"] == csi]
        assert len(some) == 30
        assert row["average"] == pytest.approx(some["bits"].sum() / 0.03 / 10e6 / 3)
        assert row["low"] == pytest.approx(np.percentile(some["bits"] / 0.03 / 10e6, 5))
        assert 1 < row["ues"] <= row["layers"] <= 12
        assert (some["shared_first"] <= some["first"]).all()
        assert (some["lost"] <= some["first"]).all()
        budget = drops.loc[csi]
        used = budget["control_elements"] + budget["overhead_elements"]
        assert (budget["data_few"], budget["data_many"]) == (168 - used - 12, 168 - used - 24)
    assert found["average"]["etype2"] < found["average"]["subband"]
    assert (path / "dense_urban.svg").is_file()
    assert {check.case for check in cases.checks(path)} == {"dense_urban"}
    assert not any("within" in check.what for check in cases.checks(path))
    assert "PDCCH" in capsys.readouterr().out
