# SPDX-License-Identifier: GPL-2.0-only
"""channel-prediction, as small as it gets: what it writes, that it repeats, resumes, and refuses."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pytest
from edgelam.experiments import channel_prediction
from edgelam.experiments.channel_prediction import published, results
from edgelam.experiments.channel_prediction.config import Config
from edgelam.experiments.channel_prediction.data import collect
from edgelam.experiments.channel_prediction.recipes import RECIPES
from rich.console import Console

from edgelam.air import csi, prediction
from edgelam.air.prediction import LamSettings, TrainingSettings, WindowSettings, cut
from edgelam.errors import ConfigurationError, Diverged, EdgelamError
from edgelam.models.lora import LoraSettings
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder, load
from edgelam.runs.network import Network

TINY = Config(
    methods=("hold-last", "gru-local", "gru-pooled", "lam-federated"),
    samples_per_server=8, test_samples=6, test_speeds_kmh=(100.0,), epochs=2, evaluations=2, search_factors=(),
    window=WindowSettings(tones=8), training=TrainingSettings(batch_size=4),
    csi=("gnbRows=1", "gnbColumns=1", "tones=16"),
    lam=LamSettings(channels=2, blocks=1, layers=1, lora=LoraSettings(rank=2)), threads=1,
)  # fmt: skip

NONE = TINY.network.ideal()
QUIET = Progress(Console(file=io.StringIO()))


def execute(config, tmp_path, name="runs"):
    with RunFolder.create("channel-prediction", config, seed=config.seed, out=tmp_path / name) as folder:
        channel_prediction.run(config, folder, QUIET)
    return folder.path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return execute(TINY, tmp_path_factory.mktemp("finished"))


def test_every_method_is_tested_and_its_traffic_crosses_the_network(finished):
    run = load(finished)
    scores = results.final_scores(run)
    assert set(zip(scores["method"], scores["servers"], strict=True)) == {
        ("hold-last", 0), ("gru-local", 2), ("gru-pooled", 2), ("lam-federated", 2)
    }  # fmt: skip
    assert set(scores["test_set"]) == {"iid", "100 km/h"}
    assert scores["nmse"].between(0, 10).all()
    epochs = run["epochs"]
    federated = epochs[epochs["method"] == "lam-federated"]
    models = run["models"].set_index("method")
    trained_bytes = 4 * int(models.loc["lam-federated", "trained_parameters"])
    assert list(federated["down_bytes"]) == [2 * trained_bytes, 4 * trained_bytes]
    assert list(federated["up_bytes"]) == [2 * (trained_bytes + 4), 4 * (trained_bytes + 4)]
    transfers = run["transfers"]
    for method, expected in (("lam-federated", 8), ("gru-pooled", 2), ("gru-local", 0)):
        assert (transfers["method"] == method).sum() == expected
    assert (transfers["acknowledged_s"] > transfers["queued_s"]).all()
    pooled = epochs[epochs["method"] == "gru-pooled"]
    csi_bytes = 2 * 8 * 2 * 20 * 8 * 8  # servers, samples, antennas, snapshots, tones, bytes
    assert set(pooled["up_bytes"]) == {csi_bytes}
    costs = run["costs"].set_index(["what", "servers"])
    assert set(costs.index) == {("one sample", 1), ("one sample", 2), ("all samples", 2)}
    assert (costs["transfer_s"] > 0).all()
    assert costs.loc[("all samples", 2), "up_bytes"] == csi_bytes
    assert run["stale"]["nmse"].between(0, 4).all()


def test_figures_and_tables_come_from_the_folder_alone(finished):
    drawn = {path.name for path in channel_prediction.plot(finished)}
    assert drawn == {"loss_epoch.svg", "loss_time.svg", "loss_bytes.svg", "nmse.svg"}
    text = io.StringIO()
    channel_prediction.report(finished, Console(file=text, width=160))
    claim = "federated LAM, 2 servers below GRU, local data"
    for words in (
        claim,
        "pooled GRU, 2 servers",
        "undecided",
        "one sample of 2 servers",
        "all samples of 2 servers",
        "round of federated LAM",
    ):
        assert words in text.getvalue()


def test_the_same_seed_gives_the_same_tables_also_when_interrupted(finished, tmp_path):
    """With a limit that has passed at once, every epoch is a slice of its own."""
    config = dataclasses.replace(
        TINY, checkpoints=str(tmp_path / "checkpoints"), time_limit_s=1e-9, methods=TINY.methods[1:]
    )
    for slices in range(1, 12):
        path = execute(config, tmp_path, f"slice{slices}")
        if not load(path).manifest["unfinished"]:
            break
    assert slices == 5  # four jobs of two epochs: one slice each for their first epochs, the last does no more
    whole, sliced = load(finished), load(path)
    for table, columns in (("scores", ["nmse", "spectral_efficiency"]), ("epochs", ["loss", "up_bytes", "down_bytes"])):
        keys = ["method", "servers", "server", "epoch", *(["test_set"] if table == "scores" else [])]
        left = whole[table][whole[table]["servers"] > 0].set_index(keys)[columns].sort_index()
        pd.testing.assert_frame_equal(sliced[table].set_index(keys)[columns].sort_index(), left, rtol=1e-4)
    assert sliced["epochs"].groupby(["method", "server"])["time_s"].is_monotonic_increasing.all()


def test_repeats_without_the_network(tmp_path):
    """Only the first seed's packets are simulated; the second learns the same as with them."""
    config = dataclasses.replace(TINY, methods=("hold-last", "rnn-federated"), test_speeds_kmh=(), repeats=2)
    few = load(execute(dataclasses.replace(config, network_repeats=1), tmp_path, "few"))
    both = load(execute(config, tmp_path, "both"))
    transfers = few["transfers"].set_index("seed")
    seconds = transfers["last_byte_s"] - transfers["queued_s"]
    assert (seconds[1] > 0).all()
    assert (seconds[2] == 0).all()
    assert set(few["costs"]["seed"]) == {1}
    for column in ("loss", "up_bytes"):
        assert list(few["epochs"][column]) == list(both["epochs"][column])
    ((_, few_rows),) = results.curves(few)
    first = both["epochs"][both["epochs"]["seed"] == 1]
    assert list(few_rows["time_s"]) == list(first["time_s"])
    text = io.StringIO()
    channel_prediction.report(few.path, Console(file=text, width=160))
    assert "round of federated RNN" in text.getvalue()


def test_a_learning_rate_is_searched_once(tmp_path):
    """What was found lies beside the checkpoints; what lies there and is foreign is refused and kept."""
    config = dataclasses.replace(
        TINY, methods=("rnn-local",), network=NONE, search_factors=(0.5, 1.0), search_epochs=1,
        checkpoints=str(tmp_path / "checkpoints"),
    )  # fmt: skip
    execute(config, tmp_path, "first")
    rate = tmp_path / "checkpoints" / "rate-rnn-seed1.json"
    found = rate.read_text()
    assert json.loads(found)["tries"] == 2
    rate.write_text(found.replace('"tries": 2', '"tries": 7'))
    with pytest.raises(ConfigurationError, match="SHA-256"):
        execute(config, tmp_path, "damaged")
    rate.write_text(found)
    models = load(execute(config, tmp_path, "again"))["models"]  # nothing is left to do: all from the checkpoints
    assert set(models["tries"]) == {2}
    unsealed = found.replace("edgelam-sha256:", "no digest: ")  # as one from before there were digests
    other = unsealed.replace('"settings": "', '"settings": "x')
    for strange, words in (("{", "cannot be read"), (other, "another run")):
        rate.write_text(strange)
        with pytest.raises(ConfigurationError, match=words):
            execute(config, tmp_path, "refused")
        assert rate.read_text() == strange


def test_only_a_diverged_model_is_told_to_diverge(tmp_path, monkeypatch):
    config = dataclasses.replace(
        TINY, methods=("rnn-local",), network=NONE, search_factors=(1e30,), search_epochs=2, test_speeds_kmh=()
    )
    with pytest.raises(Diverged, match="rnn diverges at every factor of the search \\(1e"):
        execute(config, tmp_path, "diverged")

    def refuse(self, epoch):
        raise ConfigurationError("another fault")

    monkeypatch.setattr(prediction.Trainer, "epoch", refuse)
    with pytest.raises(ConfigurationError, match="another fault"):
        execute(config, tmp_path, "refused")


def test_a_site_of_its_own_for_every_server(tmp_path):
    config = dataclasses.replace(TINY, partition="place", methods=("hold-last",), network=NONE, test_speeds_kmh=())
    scores = results.final_scores(load(execute(config, tmp_path)))
    assert set(scores["test_set"]) == {"seen sites", "unseen site"}


def test_samples_from_a_recording(tmp_path):
    """Drawn from the file by the seed; a file with too few, too short or broken samples is refused."""
    path = tmp_path / "csi.npz"
    csi.record(csi.RecordSettings(out=path, samples=24, set=("gnbRows=1", "gnbColumns=1", "tones=16")))
    config = dataclasses.replace(TINY, recording=str(path), methods=("hold-last",), network=NONE)
    data = collect(config, 1, QUIET)
    assert [len(shard) for shard in data.shards] == [8, 8]
    assert set(data.tests) == {"iid"}
    recorded = cut(csi.load(path), config.window).past[:, 0, 0, 0]
    drawn = np.concatenate([part.past for part in [*data.shards, data.tests["iid"]]])[:, 0, 0, 0]
    assert len(np.unique(drawn)) == len(drawn)
    assert np.isin(drawn, recorded).all()
    assert not np.array_equal(collect(config, 2, QUIET).shards[0].past, data.shards[0].past)
    assert execute(config, tmp_path).is_dir()
    for change, words in (
        ({"samples_per_server": 10}, "24 samples; 2 servers of 10 and 6 for tests are 26"),
        ({"window": WindowSettings(tones=8, history=20)}, "has 20 snapshots"),
        ({"recording": str(tmp_path / "none.npz")}, "no such file"),
    ):
        with pytest.raises(EdgelamError, match=words):
            collect(dataclasses.replace(config, **change), 1, QUIET)
    with pytest.raises(ConfigurationError, match="no such file"):
        channel_prediction.check(dataclasses.replace(config, recording=str(tmp_path / "none.npz")))
    with np.load(path) as file:
        arrays = dict(file)
    arrays["csi"][...] = np.nan
    np.savez(tmp_path / "broken.npz", **arrays)
    with pytest.raises(ConfigurationError, match="mean power nan"):
        collect(dataclasses.replace(config, recording=str(tmp_path / "broken.npz")), 1, QUIET)


def test_test_sets_from_recordings(tmp_path):
    """One set for each speed where a recording has few, under the names that the figure over speed knows."""
    paths = [tmp_path / "slow.npz", tmp_path / "any.npz"]
    for path, options in zip(paths, (("minSpeed=30", "maxSpeed=30"), ()), strict=True):
        csi.record(csi.RecordSettings(out=path, samples=24, set=("gnbRows=1", "gnbColumns=1", "tones=16", *options)))
    names = tuple(map(str, paths))
    config = dataclasses.replace(TINY, methods=("hold-last",), network=NONE, test_speeds_kmh=(30.0,))
    tests = collect(dataclasses.replace(config, test_recordings=names), 1, QUIET).tests
    assert {name: len(windows) for name, windows in tests.items()} == {
        "iid": 6, "30 km/h of slow": 6, "any": 6, "30 km/h": 6,
    }  # fmt: skip
    alone = dataclasses.replace(config, recording=names[1], test_recordings=names[:1])
    assert set(collect(alone, 1, QUIET).tests) == {"iid", "30 km/h"}
    folder = execute(alone, tmp_path)
    assert set(results.final_scores(load(folder))["test_set"]) == {"iid", "30 km/h"}
    with pytest.raises(ConfigurationError, match="a test set 'any' already"):
        collect(dataclasses.replace(config, test_recordings=(names[1], names[1])), 1, QUIET)
    with pytest.raises(ConfigurationError, match="no such file"):
        channel_prediction.check(dataclasses.replace(config, test_recordings=("none.npz",)))


@pytest.mark.parametrize(
    ("lam", "gru", "said", "verdict"),
    [
        ([0.30, 0.20, 0.10], [0.41, 0.29, 0.20], "+0.100 +- 0.025", "holds"),
        ([0.41, 0.29, 0.20], [0.30, 0.20, 0.10], "-0.100 +- 0.025", "does not hold"),
        ([0.30, 0.20], [0.30, 0.41], "+0.1 +- 1.3", "undecided"),
        ([0.30], [0.50], "+0.2", "undecided"),
    ],
)
def test_claims_are_judged_on_paired_differences(lam, gru, said, verdict):
    rows = [
        {"method": f"{model}-local", "servers": 2, "test_set": "iid", "seed": seed, "server": 0, "epoch": 1,
         "nmse": value, "spectral_efficiency": 1.0}
        for model, values in (("lam", lam), ("gru", gru)) for seed, value in enumerate(values)
    ]  # fmt: skip
    (claim,) = results.claims({"scores": pd.DataFrame(rows)})
    assert claim.text == "LAM, local data below GRU, local data"
    assert (claim.measured, claim.verdict) == (said, verdict)


def test_a_pooled_lam_is_compared_with_its_controls_and_with_what_learns_nothing():
    rows = [
        {"method": method, "servers": servers, "test_set": "iid", "seed": seed, "server": -1, "epoch": 1,
         "nmse": value + 0.01 * seed, "spectral_efficiency": 1.0}
        for method, servers, value in (("lam-pooled", 1, 0.2), ("lam-random-pooled", 1, 0.3), ("prony", 0, 0.1))
        for seed in (1, 2)
    ]  # fmt: skip
    claims = {claim.text: claim.verdict for claim in results.claims({"scores": pd.DataFrame(rows)})}
    assert claims == {
        "pooled LAM, 1 servers, below pooled LAM (random weights), 1 servers": "holds",
        "pooled LAM, 1 servers, below prony": "does not hold",
    }


def test_orders_beside_the_published_ones():
    ours = pd.DataFrame(
        [
            ("lam", 30.0, 0.12),
            ("cnn", 30.0, 0.095),
            ("prony", 30.0, 0.07),
            ("transformer", 30.0, 0.2),
            ("cnn", 40.0, 1),
        ],
        columns=["model", "speed_kmh", "nmse"],
    )
    (row,) = published.beside(ours).to_dict("records")
    assert row["published"] == "lam, cnn, transformer, prony"
    assert row["here"] == "prony, cnn, lam, transformer"
    assert row["inverted"] == "lam / cnn, lam / prony, cnn / prony, transformer / prony"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ("gru",)}, "'gru'.*gru-local"),
        ({"methods": ()}, "at least one"),
        ({"servers": (2, 2)}, "servers are"),
        ({"epochs": 3, "local_epochs": 2}, "local_epochs is 2"),
        ({"time_limit_s": 5.0}, "with checkpoints"),
        ({"test_speeds_kmh": (0.0,)}, "test_speeds_kmh"),
        ({"repeats": 0}, "repeats is 0"),
        ({"network_repeats": -1}, "network_repeats is -1"),
    ],
)
def test_what_is_not_legal_is_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        dataclasses.replace(TINY, **change)


def test_what_does_not_fit_is_refused_before_training(tmp_path):
    for change, words in (
        ({"window": WindowSettings(tones=20)}, "tones 20"),
        ({"csi": ("redraw=0",), "partition": "place"}, "--csi redraw"),
        ({"device": "cuda:7"}, "device 'cuda:7'"),
        (
            {"attach": "wired", "network": Network(options=("numEdge=0", "numUpfEdge=1")), "methods": ("gru-pooled",)},
            "has 1 nodes of role edge, and 2 are needed",
        ),
    ):
        with pytest.raises(ConfigurationError, match=words):
            execute(dataclasses.replace(TINY, **change), tmp_path)


def test_recipes_are_legal():
    for recipe in RECIPES.values():
        channel_prediction.check(recipe())
