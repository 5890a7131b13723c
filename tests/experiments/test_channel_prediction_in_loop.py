# SPDX-License-Identifier: GPL-2.0-only
"""Predictors in a cell: what they learn from, what gNBs believe, what it is worth, and what is refused."""

import dataclasses
import io
import math

import numpy as np
import pandas as pd
import pytest
from edgelam.experiments.channel_prediction.in_loop import results
from edgelam.experiments.channel_prediction.in_loop.controlling import Belief, direction_error
from edgelam.experiments.channel_prediction.in_loop.settings import LoopSettings
from edgelam.experiments.channel_prediction.in_loop.watching import Watched, samples
from edgelam.experiments.channel_prediction.recipes import in_loop
from rich.console import Console

from edgelam.air.prediction import LamSettings, WindowSettings
from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder, experiments, load

prediction_experiment = experiments.find("channel-prediction")
QUIET = Progress(Console(file=io.StringIO()))
LOOP = LoopSettings(
    predictors=("perfect", "hold-last", "prony"), ues=3, speeds_kmh=(30.0,), periods=(5,), filling_ms=15.0,
    measured_ms=60.0, training_drops=1, training_ues=4, training_slots=120, training_steps=3,
)  # fmt: skip


CELL = ("bandwidth=20", "gnbRows=1", "gnbColumns=4", "gnbPolarisations=1", "edgelam::RadioChannel::CoherenceDistance=0")


def config(scenario="nr-urban-micro", options=(), devices=("gnb*=cpu-server",), **changes):
    base = in_loop()
    network = dataclasses.replace(base.network, scenario=scenario, devices=devices, options=(*CELL, *options))
    made = dataclasses.replace(base, network=network, loop=LOOP, repeats=1, window=WindowSettings(history=8), threads=1)
    return dataclasses.replace(made, **changes)


def execute(made, tmp_path, name="runs"):
    prediction_experiment.check(made, start=False)
    with RunFolder.create("channel-prediction", made, seed=1, out=tmp_path / name) as folder:
        prediction_experiment.run(made, folder, QUIET)
    return load(folder.path)


def test_a_prediction_saves_what_old_pilots_cost(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    run = execute(config(), tmp_path)
    rows = run["loop"].set_index("method")
    assert list(rows.index) == ["perfect", "hold-last", "prony"]
    assert rows.loc["perfect", "goodput_mbps"] > rows.loc["prony", "goodput_mbps"]
    assert rows.loc["prony", "goodput_mbps"] > 1.02 * rows.loc["hold-last", "goodput_mbps"]
    assert rows.loc["prony", "csi_error"] < 0.5 * rows.loc["hold-last", "csi_error"]
    assert (rows.loc[["hold-last", "prony"], "csi_error"] > rows["pilot_noise"].dropna()).all()
    assert rows.loc[["hold-last", "prony"], "direction_error"].between(0, 1, inclusive="neither").all()
    # pilots of the special or uplink slot, known 4 slots later, used from the next slot on, for 5 slots
    assert rows.loc["hold-last", "age_ms"] == pytest.approx(0.5 * (4 + 0.5 + 1 + 2.5), abs=0.6)
    assert rows.loc["hold-last", "pilots_per_s"] == 400
    assert rows["decisions"].between(59, 61).all()
    assert rows.loc["prony", "predictions"] == pytest.approx(24, abs=1)
    assert rows.loc["prony", "predicting_ms"] > rows.loc["hold-last", "predicting_ms"]
    users = run["loop_users"].groupby("method")["goodput_mbps"].agg(["sum", "size"])
    np.testing.assert_allclose(users["sum"], rows["goodput_mbps"].loc[users.index])
    assert (users["size"] == 3).all()
    tests = run["loop_tests"].set_index("method")["nmse"]
    assert tests["prony"] < tests["hold-last"]
    text = io.StringIO()
    prediction_experiment.report(run.path, Console(file=text, width=200))
    for words in ("at 30 km/h, pilots known 4 slots later", "prony carries more than hold-last", "5 slots"):
        assert words in text.getvalue()
    assert [path.name for path in prediction_experiment.plot(run.path)] == ["loop_30kmh_4slots.svg"]
    assert (run.path / "loop_saved.csv").exists()


def test_the_time_of_predicting_counts(tmp_path):
    """A slow processor has not predicted when the next pilot comes; the same seed gives the same."""
    found = {}
    loop = dataclasses.replace(LOOP, predictors=("cnn", "lam"), measured_ms=40.0)
    lam = LamSettings(channels=2, blocks=1, patch=2, layers=1, lora=LoraSettings(rank=2))
    for device in ("cpu-server", "phone,flops_per_s=2e10"):
        run = execute(config(loop=loop, lam=lam, devices=(f"gnb*={device}",)), tmp_path, device[:5])
        found[device] = run["loop"].set_index("method")
        models = run["loop_models"].set_index("method")
    assert (models["steps"] == 3).all()
    assert (models["samples"] > 10).all()
    assert models.loc["cnn", "trained"] > 200_000
    fast, slow = found.values()
    for name in ("cnn", "lam"):
        assert fast.loc[name, "predictions_left_out"] == 0
        assert 0 < fast.loc[name, "predicting_ms"] < 5 < slow.loc[name, "predicting_ms"]
        assert slow.loc[name, "predictions_left_out"] > 0
        assert slow.loc[name, "age_ms"] > fast.loc[name, "age_ms"] + 1
    again = execute(config(loop=loop, lam=lam), tmp_path, "again")["loop"].set_index("method")
    pd.testing.assert_frame_equal(again, fast)


def test_a_network_of_cells(tmp_path):
    """Each gNB predicts the UEs that it serves."""
    options = ("sites=2", "sectors=1", "gnbPower=30", "speed=0")
    with pytest.raises(ConfigurationError, match="sets it itself"):
        execute(config("nr-urban-grid", options), tmp_path)
    options = tuple(each for each in options if each != "speed=0")
    loop = dataclasses.replace(LOOP, predictors=("hold-last", "prony"), measured_ms=20.0, ues=4)
    run = execute(config("nr-urban-grid", options, loop=loop), tmp_path)
    assert (run["loop"]["goodput_mbps"] > 1).all()
    assert (run["loop"]["predictions"] > 0).all()
    assert len(run["loop_users"]) == 8


def test_what_is_believed_between_predicted_times():
    belief = Belief(100, np.array([0.0, 2.0, 6.0])[:, None, None] + 0j, 4)
    assert [belief.at(slot).item() for slot in (90, 100, 102, 104, 107, 108, 200)] == [0, 0, 1, 2, 5, 6, 6]
    assert Belief(100, np.array([[[3.0]]]), 1).at(150).item() == 3


def test_the_error_of_direction_by_hand():
    pilot = np.array([[3, 4j], [1, 1]])
    assert direction_error(2j * pilot, pilot) == pytest.approx(0)
    across = np.array([[3, 4j], [1, -1]])  # the second group is orthogonal
    assert direction_error(across, pilot) == pytest.approx(0.5)
    assert direction_error(np.array([[1, 0], [1, 0]]), pilot) == pytest.approx((16 / 25 + 1 / 2) / 2)


def test_samples_are_what_was_watched():
    """Coefficient = slot + 1000 UE: past and future have the slots that they should, over their root mean square."""
    slots, ues = 40, 3
    channel = (np.arange(1, slots + 1)[:, None] + 1000 * np.arange(ues))[..., None, None] * np.ones((1, 1, 2, 5))
    cell = np.zeros((slots, ues), dtype=int)
    cell[14:, 1] = 1  # hands over
    cell[:, 2] = -1
    watched = Watched(channel.astype(np.complex64), cell)
    windows = watched.windows(history=3, period=4, horizon=2, step=3)
    assert windows.past.shape == (3 + 1, 2, 3, 5)  # UE 0 at 0, 10 and 20; UE 1 at 20 only
    root = np.sqrt(np.mean(np.square([1, 5, 9])))
    np.testing.assert_allclose(windows.past[0, 0, :, 0], np.array([1, 5, 9]) / root, rtol=1e-6)
    np.testing.assert_allclose(windows.future[0, 1, :, 4], np.array([12, 15]) / root, rtol=1e-6)
    assert np.mean(np.abs(windows.past[-1]) ** 2) == pytest.approx(1)
    with pytest.raises(ConfigurationError, match="training_slots is 40; pilots every 20 slots need at least 42"):
        samples([watched], history=3, period=20, horizon=1, step=1)


def test_pilots_saved_and_claims():
    """Holding carries 10 and 6 with pilots every 5 and 10 slots, a predictor 12 and 10.5: half of them are saved."""
    rows = []
    for seed in (1, 2, 3):
        for method, period, goodput in (
            ("perfect", 0, 20), ("hold-last", 5, 10), ("hold-last", 10, 6), ("prony", 5, 12), ("prony", 10, 10.5),
            ("prony", 20, 9),
        ):  # fmt: skip
            rows.append(
                {"method": method, "speed_kmh": 30.0, "period": period, "delay": 4 if period else 0, "seed": seed,
                 "goodput_mbps": goodput + 0.1 * seed}
                | dict.fromkeys(("block_errors", "csi_error", "direction_error", "pilot_noise", "age_ms",
                                 "predicting_ms", "pilots_per_s", "predictions", "predictions_left_out"), 1)
            )  # fmt: skip
    run = {"loop": pd.DataFrame(rows)}
    saved = results.saved(run).set_index(["method", "held"])
    assert saved.loc[("prony", 5), ["rarest", "saved"]].tolist() == [10, 0.5]
    assert saved.loc[("prony", 10), ["rarest", "saved"]].tolist() == [20, 0.5]
    assert ("hold-last", 5) not in saved.index
    judged = results.claims(run).set_index(["period", "claim"])
    claim = judged.loc[(10, "prony carries more than hold-last")]
    assert claim["difference"] == pytest.approx(4.5)
    assert claim["verdict"] == "holds"
    summary = results.summary(run).set_index(["method", "period"])
    assert summary.loc[("prony", 5), "of_perfect"] == pytest.approx(12.2 / 20.2, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ues": 13}, "legal are 1 to 12"),
        ({"periods": ()}, "periods are"),
        ({"delays": (-1,)}, "legal are 0 to 100"),
        ({"speeds_kmh": (math.nan,)}, "speeds_kmh have nan"),
        ({"measured_ms": math.nan}, "measured_ms is nan"),
        ({"decision_slots": 0}, "at least 1"),
    ],
)
def test_illegal_loops_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        dataclasses.replace(LOOP, **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loop": dataclasses.replace(LOOP, periods=(7,))}, "multiples of 5"),
        ({"options": ("beams=zf",)}, "needs beams=external"),
        ({"options": ("ueAntennas=4",)}, "needs ueAntennas=1"),
        ({"options": ("gnbPower=much",)}, "a number is needed"),
        ({"network": in_loop().network.ideal()}, "needs a cell"),
    ],
)
def test_cells_that_cannot_be_driven_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        prediction_experiment.module.check(config(**change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loop": dataclasses.replace(LOOP, predictors=("pronny",))}, "'pronny'.*prony"),
        ({"methods": ("hold-last",)}, "a run has one of"),
        ({"window": WindowSettings(history=6, duplex="fdd")}, "a loop has tdd"),
    ],
)
def test_loops_that_do_not_fit_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        config(**change)
