# SPDX-License-Identifier: GPL-2.0-only
"""The study deployment: a small run of it, what its tables and claims say, and the rule about curves."""

import dataclasses
import io

import pandas as pd
import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load
from edgelam.runs.network import Network

microservices = experiments.find("microservices")
STREET = Network("nr-urban-micro", devices=("edge0=jetson-orin,memory_bytes=4e9", "edge1=cpu-server,memory_bytes=8e9"))
METHODS = ("exact", "diffusion-likelihood", "dqn")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from edgelam.experiments.microservices import recipes
    from edgelam.experiments.microservices.deployment import settings, training

    recipe = recipes.RECIPES["deployment"]()
    chosen = dataclasses.replace(
        recipe, network=STREET,
        deployment=settings.DeploymentSettings(methods=METHODS, updates=40, examples=3, judged=2),
        serving=dataclasses.replace(recipe.serving, num_users=2, num_seeds=1, max_requests=6, duration_s=3.0),
    )  # fmt: skip
    small = {
        "5 nodes, as trained": training.TRAINED_ON[0],
        "more": dataclasses.replace(training.TRAINED_ON[0], nodes=5),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SETS", small)
        with RunFolder.create("microservices", chosen, seed=1, out=tmp_path_factory.mktemp("runs")) as folder:
            microservices.run(chosen, folder, Progress())
    return load(folder.path)


def test_every_method_is_scored_by_ns3_with_and_without_charge(run):
    rows = run.metrics
    assert set(zip(rows["method"], rows["charge"], rows["seed"], strict=True)) == {
        (method, charge, seed) for method in METHODS for charge in (True, False) for seed in (1,)
    }
    assert (rows["completed"] == rows["requests"]).all()
    assert rows["declared"].all()
    charged = rows[rows["charge"]]
    assert (charged["decided_s"] > charged["collected_s"]).all()
    assert (charged["collected_s"] > 0).all()
    assert (rows.loc[~rows["charge"], "decided_s"] == 0).all()
    assert (rows["operations"] > 0).all()


def test_what_a_decision_takes_is_waited_for(run):
    """A request that comes while it is decided where services run waits until they are there."""
    requests = run["requests"]
    decided = run.metrics.set_index(["method", "charge", "seed"])["decided_s"]
    for row in requests.to_dict("records"):
        waits = max(decided[row["method"], row["charge"], row["seed"]] - row["arrive_s"], 0)
        assert row["decision_s"] == pytest.approx(waits, abs=2e-9)
    answers = requests.groupby(["seed", "request"])["answer"].nunique()
    assert answers.eq(1).all()


def test_no_method_beats_the_exact_one_and_the_tables_say_so(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no claim is broken over lines
    from edgelam.experiments.microservices.deployment import results

    rows = run["model"]
    assert len(rows) == 2 * 2 * len(METHODS)
    known = rows.dropna(subset="delay_s")
    assert (known["delay_s"] >= known["best_s"] * (1 - known["gap"] - 1e-9)).all()
    assert (known["excess"] <= 1e-9).all()
    first = results.claims(run)[0]
    assert first.verdict == "holds"
    console = terminal()
    console.file = io.StringIO()
    microservices.report(run.path, console)
    text = console.file.getvalue()
    assert "Services are declared" in text
    assert "diffusion-likelihood is faster than dqn" in " ".join(text.split())
    names = {path.name for path in microservices.plot(run.path)}
    assert names == {"model.svg", "scores.svg"}  # no curve: fewer updates than between two of its points
    assert (run.path / "claims.csv").exists()


@pytest.mark.parametrize(
    ("mine", "flat", "verdict"),
    [
        (1.0, {"dqn": True, "diffusion-rl": True}, "holds"),
        (1.0, {"dqn": False, "diffusion-rl": True}, "undecided: the curve of dqn has not flattened"),
        (3.0, {"dqn": True, "diffusion-rl": False}, "undecided: the curve of diffusion-rl has not flattened"),
        (3.0, {"dqn": False, "diffusion-rl": True}, "does not hold"),
        (2.0, {"dqn": True, "diffusion-rl": True}, "undecided"),
    ],
)
def test_a_learner_whose_curve_still_falls_is_never_worse(monkeypatch, mine, flat, verdict):
    from edgelam.experiments.microservices.deployment import results

    from edgelam.runs.statistics import paired_difference

    values = pd.Series([mine, mine + 0.1, mine - 0.1, mine])
    difference = paired_difference(values, pd.Series([2.0, 2.05, 2.0, 1.95]))
    monkeypatch.setattr(results, "flat", lambda run: flat)
    assert results._faster(None, "", ("diffusion-rl", "dqn"), difference, "").verdict == verdict


@pytest.mark.parametrize(
    ("share", "count", "verdict"), [(0.95, 95, "undecided"), (0.5, 48, "does not hold"), (1.0, 10, "undecided")]
)
def test_a_share_is_compared_with_a_published_one(share, count, verdict):
    from edgelam.experiments.microservices.deployment import results

    assert results._share(share, count, 0.937) == verdict


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"updates": 0}, "updates is 0"), ({"judged": 0}, "judged is 0"), ({"methods": ("dqn", "dqn")}, "each once")],
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    from edgelam.experiments.microservices.deployment.settings import DeploymentSettings

    with pytest.raises(ConfigurationError, match=text):
        DeploymentSettings(**changes)
