# SPDX-License-Identifier: GPL-2.0-only
"""What an experiment of the user's own declares is shown everywhere, with unit and direction: none of it is known."""

import dataclasses
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.runs import RunFolder, experiments, load, results
from edgelam.runs.scores import Score, check

OWN = Path(__file__).parent / "own_experiments"


def edgelam(place: Path, *arguments: str, columns: int = 200, own: bool = True) -> str:
    """What a command prints, in a process of its own; own: whether it finds the experiment."""
    environment = os.environ | {"COLUMNS": str(columns)} | ({"EDGELAM_EXPERIMENTS": str(OWN)} if own else {})
    done = subprocess.run(
        [sys.executable, "-m", "edgelam", *map(str, arguments)],
        capture_output=True, text=True, cwd=place, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> list[Path]:
    """A run over a fast network and one over a slow one."""
    place, found = tmp_path_factory.mktemp("served"), []
    for rate in ("100Mbps", "10Mbps"):
        out = place / rate
        edgelam(place, "run", "serving", "--rate", rate, "--out", str(out), "--no-report")
        found += (out / "serving").iterdir()
    return found


def measured(path: Path) -> tuple[float, float]:
    run = load(path)
    latency = float(np.percentile(run["requests"]["latency_ms"], 95))
    return latency, float(run["cells"].loc[run["cells"]["cell"] == "all", "rate"].iloc[0])


def test_compare_names_them_and_marks_the_best(served, tmp_path):
    """By the run folders alone: the experiment is not found."""
    printed = edgelam(tmp_path, "compare", *served, own=False)
    told = " ".join(printed.split())
    for head in ("latency (ms, lower is better)", "sum_rate (Mb/s, higher is better)"):
        assert head in told
    (fast_ms, fast_rate), (slow_ms, slow_rate) = map(measured, served)
    assert (fast_ms < slow_ms, fast_rate > slow_rate) == (True, True)
    rows = [line for line in printed.splitlines() if "completed" in line]
    assert f"{fast_ms:.4g} *" in rows[0]
    assert f"{fast_rate:.4g} *" in rows[0]
    assert re.search(rf"{slow_ms:.4g} +{slow_rate:.4g} +\+{slow_ms - fast_ms:.4g}, worse$", rows[1].rstrip())
    assert "* the best" in printed
    narrow = edgelam(tmp_path, "compare", *served, own=False, columns=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert {"latency", "(ms,", "lower", "sum_rate", "(Mb/s,", "higher", "better)"} <= set(narrow.split())


def test_what_is_equal_is_no_difference(served, tmp_path):
    again = edgelam(tmp_path, "run", "serving", "--out", "runs", "--no-report")
    assert "served" in again
    (same,) = (tmp_path / "runs" / "serving").iterdir()
    printed = edgelam(tmp_path, "compare", served[0], same)
    assert [line.rstrip().endswith("no difference") for line in printed.splitlines() if "completed" in line] == [
        False,
        True,
    ]
    assert "*" not in printed


def test_a_campaign_has_them_with_unit_and_direction(tmp_path):
    grid = ["campaign", "serving", "--grid", "rate=100Mbps,10Mbps", "--seeds", "2", "--workers", "1"]
    printed = edgelam(tmp_path, *grid)
    assert "latency (ms, lower is better): mean +- 95 % over seeds" in printed
    fast, slow = (next(line for line in printed.splitlines() if f" {rate} " in line) for rate in ("100Mbps", "10Mbps"))
    assert " *" in fast
    assert slow.rstrip().endswith("worse")
    assert "other metrics (--metric NAME): sum_rate" in printed
    other = edgelam(tmp_path, *grid, "--metric", "sum_rate")
    assert "sum_rate (Mb/s, higher is better): mean +- 95 % over seeds" in other
    frame = load(tmp_path / "campaigns/serving").frame
    assert frame.columns.tolist() == ["run", "seed", "rate", "scheme", "latency", "sum_rate"]
    same = edgelam(tmp_path, *grid[:2], "--grid", "note=a,b", "--seeds", "2", "--workers", "1", "--out", "same")
    assert re.search(r"\+0 \+- 0 +no difference", same), same
    assert "undecided" not in same


@pytest.mark.slow
def test_the_report_has_them_in_a_table_and_on_the_axes(served, look, tmp_path):
    edgelam(tmp_path, "report", served[0], "--out", tmp_path / "report.html", own=False)
    page = look(tmp_path / "report.html")
    heads = page.locator("#results th").all_inner_texts()
    assert heads == ["scheme", "latency (ms, lower is better)", "sum_rate (Mb/s, higher is better)"]
    latency_ms, rate = measured(served[0])
    assert page.locator("#results td").all_inner_texts() == ["served", f"{latency_ms:.4g}", f"{rate:.4g}"]
    assert page.locator("#chart-table").input_value() == "requests"
    assert page.locator("#chart").get_attribute("aria-label") == "latency (ms, lower is better) against request"
    ledger = page.locator("#ledger tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(c => c.innerText))"
    )
    assert [row[0] for row in ledger] == ["ue0", "ue1", "edge0"]
    assert ledger[2][page.locator("#ledger th").all_inner_texts().index("bytes up")] == "55 kB"
    edgelam(tmp_path, "compare", *served, "--out", tmp_path / "compare.html", own=False)
    page = look(tmp_path / "compare.html")
    assert page.locator("#chart").get_attribute("aria-label") == "latency (ms, lower is better) against request"
    assert "latency (ms, lower is better)" in page.locator("#runs th").all_inner_texts()


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1


@pytest.fixture
def run(tmp_path):
    """Two methods on two devices, three steps; one value is missing, one method is on one device."""
    with RunFolder.create("nowhere", Config(), seed=1, out=tmp_path) as folder:
        table = folder.table("steps", {"method": str, "device": str, "step": int, "error": float, "name": str})
        for method, device, errors in (("a", "x", [4, 2, 1]), ("a", "y", [8, 6, None]), ("b", "x", [9, 3, 2])):
            for step, error in enumerate(errors):
                table.append({"method": method, "device": device, "step": step, "error": error})
        folder.table("empty", {"value": float})
    return load(folder.path)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (Score("e", column="error"), {("a", "x"): 1, ("a", "y"): 6, ("b", "x"): 2}),
        (Score("e", column="error", over=("device",)), {("a",): 3.5, ("b",): 2}),
        (Score("e", column="error", group=("method",), take="mean"), {("a",): 21 / 5, ("b",): 14 / 3}),
        (Score("e", column="error", where={"device": "x"}, take="max"), {("a",): 4, ("b",): 9}),
        (Score("e", column="error", where={"step": 0}, group=("step",), take="sum"), {("0",): 21}),
        (Score("e", column="error", group=(), take="median"), {(): 3.5}),
        (Score("e", column="error", group=(), take="p95"), {(): np.percentile([4, 2, 1, 8, 6, 9, 3, 2], 95)}),
        (Score("e", column="error", group=(), over=("device",)), {(): (2 + 6) / 2}),
        (Score("e", column="error", where={"device": "z"}), {}),
        (Score("e", table="nothing"), {}),
        (Score("e", table="empty"), {}),
    ],
)
def test_values_by_hand(run, score, expected):
    score = dataclasses.replace(score, table="steps" if score.table == "metrics" else score.table)
    if score.table == "steps" and score.group is None:  # the column `name` has no text
        score = dataclasses.replace(score, over=(*score.over, "name"))
    found = results.values(run, [score])
    labels = results.labels(found, [score])
    got = {tuple(row[name] for name in labels): row["e"] for row in found.to_dict("records")}
    assert got == pytest.approx(expected)


def test_scores_of_other_tables_stand_beside_one_another(run):
    scores = [Score("last", column="error", table="steps", group=("method",)),
              Score("first", column="error", table="steps", group=("method",), where={"step": 0}, take="mean"),
              Score("all", column="error", table="steps", group=(), take="max")]  # fmt: skip
    found = results.values(run, scores)
    assert found["method"].tolist() == ["a", "b", ""]
    assert found[["last", "first"]].iloc[:2].to_numpy().tolist() == [[6, 6], [2, 9]]
    assert found["all"].isna().tolist() == [True, True, False]


def test_mistakes_are_told(run):
    with pytest.raises(EdgelamError, match=r"score e: table 'steps' of .* has no column 'eror'; did you mean 'error'"):
        results.values(run, [Score("e", table="steps", column="eror")])
    with pytest.raises(EdgelamError, match="holds no numbers"):
        results.values(run, [Score("e", table="steps", column="device")])
    with pytest.raises(ConfigurationError, match="better is 'up'; legal: 'higher', 'lower', None"):
        Score("e", better="up")
    with pytest.raises(ConfigurationError, match="take is 'first'; legal: last, mean"):
        Score("e", take="first")
    with pytest.raises(EdgelamError, match="they must be a tuple of Score"):
        check(["accuracy"], "mine")
    with pytest.raises(EdgelamError, match="have e twice"):
        check((Score("e"), Score("e")), "mine")


def test_a_run_keeps_what_it_declares(served):
    kept = load(served[0]).manifest["scores"]
    assert [score["name"] for score in kept] == ["latency", "sum_rate"]
    assert [dataclasses.asdict(score) for score in results.of_run(load(served[0]))] == [
        score | {"group": None, "over": ()} for score in kept
    ]


def test_best_and_verdict():
    lower, none = Score("e", better="lower"), Score("e")
    assert lower.best([2.0, 1.0, math.nan, 5.0, 5.0], ["p", "p", "p", "q", "q"]) == [False, True, False, False, False]
    assert none.best([2.0, 1.0], [0, 0]) == [False, False]
    assert [lower.verdict(value) for value in (-1.0, 1.0, 0.0, math.nan)] == ["better", "worse", "no difference", ""]
    assert none.verdict(1.0) == ""


def test_those_of_this_project_are_what_the_tables_say(tmp_path):
    """Of a run without a declaration, the experiment's own."""
    experiment = experiments.find("split-fedft")
    with RunFolder.create("split-fedft", Config(), seed=1, out=tmp_path) as folder:
        columns = {"method": str, "head": str, "test_set": str, "accuracy": float, "time_s": float, "loss_nats": float}
        table = folder.table("metrics", columns | {"uplink_bytes": int, "downlink_bytes": int})
        for head, test_set, accuracy in (("average", "global", 0.5), ("ue0", "local", 0.6), ("ue1", "local", 0.8)):
            table.append({"method": "m", "head": head, "test_set": test_set, "accuracy": accuracy, "time_s": 1.0})
    run = load(folder.path)
    assert results.of_run(run) == experiment.declared
    row = results.results_of(run).iloc[0]
    assert (row["method"], row["accuracy"], row["own_heads_accuracy"]) == ("m", 0.5, pytest.approx(0.7))
    assert pd.isna(row["uplink_bytes"])
