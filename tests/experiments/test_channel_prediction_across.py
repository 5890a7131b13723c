# SPDX-License-Identifier: GPL-2.0-only
"""One model for many configurations: what is trained and tested on what, what crosses the network, what is refused."""

import dataclasses
import io

import pandas as pd
import pytest
from edgelam.experiments.channel_prediction.across import results
from edgelam.experiments.channel_prediction.across.settings import AcrossSettings
from edgelam.experiments.channel_prediction.recipes import across
from rich.console import Console

from edgelam.air.prediction import LamSettings, WindowSettings
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.models.lora import LoraSettings
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder, experiments, load

prediction_experiment = experiments.find("channel-prediction")
SEEN, UNSEEN = (
    ("gnbRows=1,gnbColumns=1", "deployment=UMi,gnbHeight=10,gnbRows=1,gnbColumns=2"),
    ("gnbRows=2,gnbColumns=1",),
)
SETTINGS = AcrossSettings(
    seen=SEEN, unseen=UNSEEN, models=("cnn-equal", "lam"), samples=8, steps=2, few=3, few_steps=2
)  # fmt: skip
TINY = dataclasses.replace(
    across(), across=SETTINGS, csi=("tones=16",), window=WindowSettings(tones=8, antennas=2), test_samples=4, repeats=1,
    lam=LamSettings(channels=2, blocks=1, layers=1, lora=LoraSettings(rank=2), train_norms=False), threads=1,
)  # fmt: skip


def test_every_way_of_training_is_tested(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    prediction_experiment.check(TINY, start=False)
    with RunFolder.create("channel-prediction", TINY, seed=1, out=tmp_path) as folder:
        prediction_experiment.run(TINY, folder, Progress(Console(file=io.StringIO())))
    run = load(folder.path)
    rows = run["across"].set_index(["method", "training", "configuration"])
    everywhere, unseen = [*SEEN, *UNSEEN], list(UNSEEN)
    wanted = [("hold-last", "", everywhere), ("prony", "", everywhere)]
    for model in ("cnn-equal", "lam"):
        wanted += [(model, "one", everywhere), (model, "federated", everywhere), (model, "own", everywhere),
                   (model, "few", unseen), (model, "scratch", unseen)]  # fmt: skip
    assert set(rows.index) == {(*key, text) for *key, texts in wanted for text in texts}
    assert rows["nmse"].between(0, 10).all()
    assert rows.loc[("lam", "one"), ["samples", "steps"]].drop_duplicates().to_numpy().tolist() == [[16, 4]]
    assert rows.loc[("lam", "few"), ["samples", "steps"]].to_numpy().tolist() == [[3, 2]]
    assert rows.xs(UNSEEN[0], level="configuration")["seen"].sum() == 0
    sizes = rows.groupby("method")["trained"].first()
    assert sizes["cnn-equal"] == pytest.approx(sizes["lam"], rel=0.05)
    rounds = run["across_rounds"].set_index("method")
    assert (rounds.loc[["lam"], "down_bytes"] == 2 * 4 * sizes["lam"]).all()
    assert list(rounds.loc[["lam"], "round"]) == [0, 1]
    assert (run["transfers"]["acknowledged_s"] > run["transfers"]["queued_s"]).all()
    text = io.StringIO()
    prediction_experiment.report(run.path, Console(file=text, width=200))
    for words in ("(unseen)", "lam, few is below lam, scratch on unseen", "Federated rounds"):
        assert words in text.getvalue()
    assert [path.name for path in prediction_experiment.plot(run.path)] == ["across.svg"]


def test_claims_are_means_over_configurations_paired_by_seed():
    rows = [
        {"method": "lam", "training": training, "configuration": text, "seen": False, "seed": seed,
         "nmse": base + 0.1 * seed + 0.01 * place}
        for training, base in (("one", 0.5), ("few", 0.4)) for place, text in enumerate("ab") for seed in (1, 2)
    ]  # fmt: skip
    (claim,) = results.claims({"across": pd.DataFrame(rows)}).to_dict("records")
    assert claim["claim"] == "lam, few is below lam, one on unseen configurations"
    assert claim["difference"] == pytest.approx(0.1)
    assert claim["verdict"] == "holds"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"across": dataclasses.replace(SETTINGS, models=("cn",))}, "'cn'.*cnn"),
        ({"methods": ("hold-last",)}, "a run has one of"),
        ({"csi": ("gnbRows=1",)}, "gnbRows: configuration"),
        ({"recording": "x.npz"}, "come from scenario csi"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        dataclasses.replace(TINY, **change)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seen": ("gnbRows",)}, "NAME=VALUE"),
        ({"seen": ("gnbRows=1", "gnbRows=1")}, "given once"),
        ({"unseen": ("gnbRows=1",)}, "without across.seen"),
        ({"few": -1}, "few is -1"),
        ({"seen": ("gnbRows=1",), "models": ()}, "models are none"),
    ],
)
def test_illegal_settings_are_refused(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        AcrossSettings(**settings)


def test_options_that_the_scenario_does_not_have_are_refused():
    wrong = dataclasses.replace(TINY, across=dataclasses.replace(SETTINGS, seen=("rows=1",)))
    with pytest.raises(EdgelamError, match="rows"):
        prediction_experiment.check(wrong, start=False)
