# SPDX-License-Identifier: GPL-2.0-only
"""microservices: a small run of every method, what its tables say, and the numbers made of them."""

import dataclasses
import io

import numpy as np
import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

microservices = experiments.find("microservices")


def small(**changes):
    from edgelam.experiments.microservices import config

    return dataclasses.replace(config.declared(), **{"max_requests": 12, "duration_s": 4.0} | changes)


def run_of(tmp_path, **changes):
    chosen = small(**changes)
    with RunFolder.create("microservices", chosen, seed=1, out=tmp_path) as folder:
        microservices.run(chosen, folder, Progress())
    return load(folder.path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("runs"))


def test_every_method_answers_every_request_with_the_same_bits(run):
    rows = run["requests"]
    methods = small().methods
    assert set(rows["method"]) == set(methods)
    assert (rows["status"] == "complete").all()
    assert rows["declared"].all()
    assert rows.groupby("request")["answer"].nunique().eq(1).all()
    assert (rows.groupby("method").size() == 12).all()
    assert (run.metrics["completed"] == 12).all()


def test_parts_add_up_and_metrics_are_those_of_the_requests(run):
    from edgelam.experiments.microservices import results

    rows = run["requests"]
    parts = rows[[f"{part}_s" for part in results.PARTS]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(rows["e2e_s"].to_numpy(), abs=1e-9)
    means = results.parts(run).sum(axis=1)
    for row in run.metrics.to_dict("records"):
        mine = rows[rows["method"] == row["method"]]
        assert row["e2e_p95_s"] == pytest.approx(np.percentile(mine["e2e_s"], 95))
        assert row["on_time_ratio"] == mine["on_time"].mean()
        assert means[row["method"]] == pytest.approx(row["e2e_mean_s"])


def test_sharing_saves_memory_and_the_cloud_gets_raw_data(run):
    means = run.metrics.set_index("method")
    assert means.loc["monolithic", "memory_bytes"] > 1.5 * means.loc["shared-exact", "memory_bytes"]
    assert means.loc["cloud-only", "raw_wan_bytes"] > means.loc["shared-exact", "raw_wan_bytes"]
    hosts = run["hosts"]
    cloud = hosts[(hosts["method"] == "cloud-only") & (hosts["node"] != "cloud0")]
    assert (cloud["weight_bytes"] == 0).all()
    totals = hosts.groupby("method")["weight_bytes"].sum()
    assert (totals == means["memory_bytes"].reindex(totals.index)).all()


def test_no_solver_beats_the_exact_one_on_its_own_model(run):
    predicted = run.metrics.set_index("method")["predicted_s"]
    gap = run["decisions"].set_index("method")["gap"]
    shared = [name for name in predicted.index if name not in ("monolithic", "shared-exact")]
    assert (predicted[shared] >= predicted["shared-exact"] * (1 - 1e-4 - gap["shared-exact"])).all()


def test_decisions_take_time_only_if_they_are_charged(run, tmp_path):
    charged = run["decisions"]
    assert (charged["end_s"] > charged["start_s"]).all()
    free = run_of(tmp_path, charge=False, methods=("shared-greedy",))
    assert (free["decisions"]["end_s"] == free["decisions"]["start_s"]).all()


def test_a_node_that_fails_loses_no_request(tmp_path):
    found = run_of(tmp_path, fail="edge0", methods=("shared-greedy", "monolithic"))
    rows = found["requests"]
    assert (rows.groupby("method").size() == 12).all()
    assert rows["status"].isin(["complete", "failed"]).all()
    assert (rows.loc[rows["status"] == "failed", "reason"] != "").all()


def test_a_method_without_a_plan_is_recorded_and_the_others_run(tmp_path):
    tight = dataclasses.replace(small().network, devices=("edge*=phone,memory_bytes=1e6", "cloud*=datacentre-gpu"))
    found = run_of(tmp_path, network=tight, load=2000.0, max_requests=2, methods=("shared-exact", "cloud-only"))
    assert set(found["refused"]["method"]) == {"shared-exact", "cloud-only"}
    assert found["refused"]["reason"].str.contains("times what all 3 nodes together can compute").any()


def test_figures_and_tables(run):
    drawn = microservices.plot(run.path)
    assert {path.name for path in drawn} == {"parts.svg", "latency.svg", "memory.svg"}
    console = terminal()
    console.file = io.StringIO()
    microservices.report(run.path, console)
    text = console.file.getvalue()
    for method in small().methods:
        assert method in text
    assert "Services are declared" in text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seed": 0}, "seed is 0"),
        ({"num_users": 0}, "num_users is 0"),
        ({"load": float("nan")}, "load is nan"),
        ({"most_utilisation": 1.5}, "most_utilisation is 1.5"),
        ({"methods": ()}, "at least one, each once"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        small(**changes)
