# SPDX-License-Identifier: GPL-2.0-only
import contextlib
import io
import os
import subprocess
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from edgelam.experiments.split_fedft import plotting, reporting, results
from edgelam.experiments.split_fedft.config import Config
from invented_run import fill
from rich.console import Console

from edgelam.runs import RunFolder, figures, load

FIGURES = ("accuracy_time", "accuracy_bytes", "round_breakdown", "device_costs")


def edgelam(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "edgelam", *arguments],
        capture_output=True, text=True, cwd=folder, env=environment, check=False,
    )  # fmt: skip


def test_plot_redraws_the_same_figures_from_the_tables_alone(finished_run):
    contents = []
    for _ in range(2):
        done = edgelam("plot", str(finished_run))
        assert done.returncode == 0, done.stderr
        for name in FIGURES:
            svg, png = finished_run / f"{name}.svg", finished_run / f"{name}.png"
            assert f"figure: {svg}" in done.stdout
            assert ElementTree.fromstring(svg.read_text()).tag.endswith("svg")
            assert png.read_bytes().startswith(b"\x89PNG")
            contents.append((name, svg.read_bytes()))
            svg.unlink()
            png.unlink()
    assert contents[: len(FIGURES)] == contents[len(FIGURES) :]


def test_the_tables_carry_every_method_and_control(finished_run):
    done = edgelam("plot", str(finished_run))
    for text in (
        "split FedFT",
        "FedIT",
        "TF-IDF + linear (all samples)",
        "majority class",
        "36 kB",
        "14.4 kB",
    ):
        assert text in done.stdout
    for column in ("accuracy", "loss", "simulated", "up", "down", "compute", "uplink", "downlink", "waiting"):
        assert column in done.stdout
    assert f"run folder: {finished_run}" in done.stdout.strip().splitlines()[-1]


def test_the_numbers_are_those_of_the_records(finished_run):
    run = load(finished_run)
    curves = results.accuracy_curves(run)
    assert list(curves) == ["split FedFT", "FedIT", "TF-IDF + linear (all samples)", "majority class"]
    split = curves["split FedFT"]
    assert split["step"].tolist() == [4, 8, 12]
    assert split["uplink_bytes"].tolist() == [4 * 3 * 1000, 8 * 3 * 1000, 12 * 3 * 1000]
    assert split["downlink_bytes"].tolist() == [4 * 3 * 400, 8 * 3 * 400, 12 * 3 * 400]
    assert results.simulated_seconds(run)["FedIT"] == pytest.approx(12 * 1.7)
    shares = results.time_shares(run)
    assert shares.sum(axis=1).tolist() == pytest.approx([1.0, 1.0])
    breakdown = results.round_breakdown(run)
    assert breakdown.loc["split FedFT"].sum(axis=1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_many_devices_keep_readable_names(finished_run, monkeypatch):
    run = load(finished_run)
    one = run["device_rounds"].iloc[:1]
    run._read["device_rounds"] = pd.concat([one.assign(device=f"ue{i}") for i in range(100)])
    monkeypatch.setattr(plotting, "load", lambda path: run)
    drawn = []

    @contextlib.contextmanager
    def capture(path, **options):
        with figures.figure(path, **options) as (figure, axes):
            yield figure, axes
            drawn.append((path.name, figure, axes))

    monkeypatch.setattr(plotting, "figures", types.SimpleNamespace(**(vars(figures) | {"figure": capture})))
    plotting.plot(finished_run)
    ((_, figure, (axes,)),) = [entry for entry in drawn if entry[0] == "round_breakdown"]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) <= plotting.MAX_NAMES
    assert names[:2] == ["ue0", "ue7"]
    assert len(axes.patches) == 100 * len(results.PARTS)
    assert figure.get_size_inches()[1] < 9


def test_many_devices_are_counted_not_listed(finished_run, monkeypatch):
    run = load(finished_run)
    one = run["devices"][run["devices"]["role"] == "ue"].iloc[:1]
    run._read["devices"] = pd.concat(
        [*(one.assign(node=f"ue{i}") for i in range(50)), one.assign(node="e", role="edge")]
    )
    monkeypatch.setattr(reporting, "load", lambda path: run)
    console = Console(record=True, width=80, file=io.StringIO())
    reporting.report(finished_run, console)
    text = console.export_text()
    assert " ue7 " in text
    assert " ue8 " not in text
    assert " e " in text
    assert "and 42 more rows of devices in devices.parquet" in text


def test_units_are_in_the_column_names(finished_run):
    run = load(finished_run)
    assert {"transfers", "metrics", "rounds", "device_rounds", "devices", "compute", "wall"} == set(run)
    unit = ("_s", "_bytes", "_bps", "_j", "_nats", "_samples", "bytes_up", "bytes_down")
    numeric = {
        f"{table}.{column}" for table in run for column in run[table].select_dtypes("number").columns
        if not column.endswith(unit)
    }  # fmt: skip
    counts = {
        "transfers.transfer", "transfers.priority", "transfers.retransmissions", "transfers.participant",
        "metrics.step", "metrics.accuracy", "rounds.round", "rounds.step",
        "rounds.num_devices", "rounds.num_dropped", "rounds.num_late",
        "device_rounds.round", "devices.flops", "devices.prb_slots", "compute.flops", "wall.round",
    }  # fmt: skip
    assert numeric == counts
    assert not any("wall" in column for table in run if table != "wall" for column in run[table].columns)


def test_a_run_that_was_cut_short_is_drawn_as_far_as_it_got(tmp_path):
    folder = RunFolder.create("split-fedft", Config(), seed=1, out=tmp_path)
    fill(folder, rounds=5)
    for table in folder._tables.values():
        table.flush()
    done = edgelam("plot", str(folder.path))
    assert done.returncode == 0, done.stderr
    assert (folder.path / "round_breakdown.svg").exists()


def test_a_run_without_results_is_no_error(tmp_path):
    folder = RunFolder.create("split-fedft", Config(), seed=1, out=tmp_path)
    folder.close("interrupted", "Ctrl-C")
    done = edgelam("plot", str(folder.path))
    assert done.returncode == 0, done.stderr
    assert "interrupted" in done.stderr
    assert not list(folder.path.glob("*.svg"))
