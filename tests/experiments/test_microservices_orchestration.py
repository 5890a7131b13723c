# SPDX-License-Identifier: GPL-2.0-only
"""microservices, the study orchestration: a small run over the network, and the numbers and claims made of tables."""

import dataclasses

import pandas as pd
import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

microservices = experiments.find("microservices")


def small(**changes):
    start = microservices.start("orchestration")
    few = {
        "methods": ("nominal", "join-shortest-queue"), "shifts": ("none", "crowd"), "uncharged": ("nominal",),
        "num_seeds": 1, "iterations": 1, "max_requests": 8, "duration_s": 1.0,
    }  # fmt: skip
    return dataclasses.replace(start, orchestration=dataclasses.replace(start.orchestration, **few | changes))


def test_a_small_run_over_the_network(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no claim is broken over lines
    chosen = small()
    with RunFolder.create("microservices", chosen, seed=1, out=tmp_path) as folder:
        microservices.run(chosen, folder, Progress())
    run = load(folder.path)
    rows = run["scores"].set_index(["shift", "method", "charged"])
    assert len(rows) == 6
    assert (rows["completed"] == rows["requests"]).all()
    asked = rows["requests"].groupby("shift").nunique()
    assert (asked == 1).all()
    assert rows.loc[("none", "nominal", False), "decision_mean_s"] == 0
    assert rows.loc[("none", "nominal", True), "decision_mean_s"] > 0.005  # there and back over the air
    assert len(run["curves"]) >= 2
    taken = rows["e2e_mean_s"] - rows["decision_mean_s"]
    assert rows["model_mean_s"].between(0.2 * taken, 5 * taken).all()
    assert (rows["model_error_p50"] > 0).all()
    assert (rows["model_error_p50"] <= rows["model_error_p95"]).all()
    microservices.report(folder.path, terminal())
    assert "nominal is better than join-shortest-queue" in capsys.readouterr().out
    assert [path.name for path in microservices.plot(folder.path)] == ["learning.svg"]
    assert (folder.path / "claims.csv").exists()


class Tables(dict):
    """A run's tables."""


def invented(costs, delays):
    """Two seeds of robust and nominal; delays: (method, shift) -> seconds of each seed."""
    scores = [
        {"method": m, "shift": s, "charged": True, "seed": i, "e2e_mean_s": value, "on_time_ratio": 1.0}
        for (m, s), values in delays.items()
        for i, value in enumerate(values)
    ]
    curves = [
        {"method": m, "seed": i, "iteration": k, "cost": cost}
        for m in ("robust", "nominal")
        for i in range(2)
        for k, cost in enumerate(costs)
    ]
    return Tables(scores=pd.DataFrame(scores), curves=pd.DataFrame(curves))


DELAYS = {
    ("robust", "none"): (0.20, 0.30), ("robust", "demand"): (0.25, 0.351),
    ("nominal", "none"): (0.20, 0.30), ("nominal", "demand"): (0.35, 0.45),
}  # fmt: skip


@pytest.mark.parametrize(
    ("costs", "verdict"), [((5, 4, 3, 2, 2, 2, 2, 2, 2, 2), "holds"), ((11, 10, 9, 8, 7, 6, 5, 4, 3, 2), "undecided")]
)
def test_a_claim_needs_a_difference_and_curves_that_have_flattened(costs, verdict):
    from edgelam.experiments.microservices.orchestration import results

    claim = results.claims(invented(costs, DELAYS))[0]
    assert claim.text == "demand: robust loses less than nominal, mean E2E (ms)"
    assert claim.measured.startswith("-99.5 +- ")
    assert claim.verdict == verdict


def test_the_other_way_round_a_claim_does_not_hold():
    from edgelam.experiments.microservices.orchestration import results

    other = {({"robust": "nominal", "nominal": "robust"}[m], s): values for (m, s), values in DELAYS.items()}
    assert results.claims(invented((2,) * 9, other))[0].verdict == "does not hold"


def test_a_claim_in_another_unit_or_the_other_way_round_keeps_its_interval():
    from edgelam.runs.claims import less

    ours, other = pd.Series([0.2, 0.3, 0.4]), pd.Series([0.3, 0.5, 0.45])
    assert less("", ours, other, scale=100, unit="%").measured == "-12 +- 19 %"
    assert less("", ours, other, scale=-100, unit="%").measured == "+12 +- 19 %"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"radius": 2.0}, "radius is 2.0; legal is 0 to 1"),
        ({"methods": ()}, "methods are \\(\\)"),
        ({"uncharged": ("robust",)}, "uncharged has robust, which methods have not"),
        ({"load": 0.0}, "load is 0.0"),
    ],
)
def test_settings_that_are_not_legal(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        small(**changes)


def test_a_crowd_needs_a_road():
    chosen = small()
    elsewhere = dataclasses.replace(chosen, network=dataclasses.replace(chosen.network, scenario="nr-urban-grid"))
    with pytest.raises(ConfigurationError, match="'crowd' puts users at the first gNB of nr-highway"):
        microservices.module.check(elsewhere)
