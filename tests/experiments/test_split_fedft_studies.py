# SPDX-License-Identifier: GPL-2.0-only
"""The studies of synchronisation, privacy, fine-tuning and sums over the air, small: tables, claims, figures."""

import dataclasses

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from edgelam.errors import ConfigurationError
from edgelam.models import load_backbone
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load
from edgelam.runs.network import Network
from experiments.split_fedft import ways
from experiments.split_fedft.few_labels import results as of_few_labels
from experiments.split_fedft.over_the_air import results as of_sums
from experiments.split_fedft.peft import results as of_peft
from experiments.split_fedft.privacy import results as of_privacy
from experiments.split_fedft.synchronisation import results as of_synchronisation

split_fedft = experiments.find("split-fedft")


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def backbone(tmp_path):
    torch.manual_seed(1)
    offline = load_backbone()
    offline.tokenizer.save_pretrained(tmp_path / "bert")
    model = BertConfig(
        vocab_size=len(offline.tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    BertModel(model, add_pooling_layer=False).save_pretrained(tmp_path / "bert")
    return str(tmp_path / "bert")


@pytest.fixture
def tokens(tmp_path):
    labels = np.arange(90) % 3
    np.savez(tmp_path / "tokens.npz", tokens=np.eye(3)[labels][:, None, :].repeat(5, 1), labels=labels)
    return str(tmp_path / "tokens.npz")


def small(recipe, study, network, **learning):
    """A recipe with a small task; study: changes of its study."""
    config = split_fedft.recipes[recipe]()
    own = dataclasses.replace(getattr(config, config.study), **study)
    changed = dataclasses.replace(config.learning, partition="iid", **learning)
    return dataclasses.replace(config, learning=changed, network=network, **{config.study: own})


def run(config, tmp_path):
    with RunFolder.create("split-fedft", config, seed=1, out=tmp_path) as folder:
        split_fedft.run(config, folder, Progress())
    return load(folder.path), folder.path


def test_ways_to_wait_are_compared(backbone, tokens, tmp_path, capsys):
    network = Network(scenario="wired-star", devices=("ue0=jetson-orin", "ue*=sensor"))
    config = small("synchronisation", {"deadline_s": 0.02}, network, task=tokens, backbone=backbone, num_devices=3,
                   rounds=8, local_steps=2, evaluations=4, test_samples=18)  # fmt: skip
    found, path = run(config, tmp_path)
    rows = of_synchronisation.summary(found).set_index("way")
    assert list(rows.index) == list(config.synchronisations.ways)
    assert rows.loc["asynchronous", "time_s"] < rows.loc["synchronous", "time_s"]
    assert rows.loc["synchronous", "left_out"] == 0.0 < rows.loc["deadline", "left_out"]
    assert rows.loc["asynchronous", "staleness"] > 0.0
    texts = [claim.text for claim in of_synchronisation.claims(found)]
    assert len(texts) == 6
    assert {claim.verdict for claim in of_synchronisation.claims(found)} == {"undecided"}, "one seed decides nothing"
    split_fedft.report(path, terminal())
    assert "Ways to wait" in capsys.readouterr().out
    assert [each.name for each in split_fedft.plot(path)] == ["accuracy.svg"]
    common = ways.at_common(ways.curves(found))
    assert list(common["way"]) == list(config.synchronisations.ways)
    # the frugal one counts with all it has learnt, the others with what they had by then
    fastest = rows["time_s"].idxmin()
    assert common.set_index("way").loc[fastest, "accuracy"] == rows.loc[fastest, "accuracy"]


def test_what_is_tuned_is_compared_and_bytes_are_worked_out(backbone, tokens, tmp_path, capsys):
    study = {"ways": ("split", "lora", "ia3", "full", "int4-backbone", "personalised", "mixed-ranks"),
             "byte_ranks": (1, 8), "byte_tokens": (5, 64)}  # fmt: skip
    config = small("peft", study, Network(scenario="none"), task=tokens, backbone=backbone, num_devices=3, rounds=4,
                   local_steps=2, evaluations=2, test_samples=18, batch_size=8)  # fmt: skip
    found, path = run(config, tmp_path)
    rows = of_peft.summary(found).set_index("way")
    assert list(rows.index) == list(study["ways"])
    assert rows.loc["split", "download_bytes"] == 0 < rows.loc["int4-backbone", "download_bytes"]
    assert rows.loc["int4-backbone", "download_bytes"] < rows.loc["lora", "download_bytes"]
    assert rows.loc["full", "up_bytes"] > rows.loc["lora", "up_bytes"] > rows.loc["ia3", "up_bytes"]
    # what was worked out is what the run has sent: batches of 8 samples of 5 tokens, three devices, four steps
    worked = of_peft.sizes(found).query("rank == 8 and tokens == 5").iloc[0]
    assert rows.loc["split", "up_bytes"] == pytest.approx(12 * worked["split_up"], rel=0.02)
    assert rows.loc["split", "down_bytes"] == pytest.approx(12 * worked["split_down"], rel=0.02)
    assert rows.loc["lora", "up_bytes"] == pytest.approx(12 * worked["unsplit_up"], rel=0.02)
    assert rows.loc["lora", "download_bytes"] == 3 * worked["download"]
    # at the length where both send as much, they do
    even = of_peft.sizes(found).query("rank == 8")["even_tokens_up"].iloc[0]
    sizes = of_peft.sizes(found).query("rank == 8").set_index("tokens")["split_up"]
    slope = (sizes[64] - sizes[5]) / 59
    assert sizes[5] + slope * (even - 5) == pytest.approx(worked["unsplit_up"], rel=0.01)
    assert "without the first download" in of_peft.claims(found)[0].text
    split_fedft.report(path, terminal())
    assert "steps until un-split is ahead" in capsys.readouterr().out
    assert [each.name for each in split_fedft.plot(path)] == ["accuracy.svg", "sizes.svg"]


def test_ways_to_protect_are_compared_and_attacked(backbone, tmp_path, capsys):
    study = {"ways": ("none", "clip", "epsilon-5", "eta-2", "user-epsilon-50"), "members": 20, "canaries": 2000,
             "matching_steps": 5}  # fmt: skip
    config = small("privacy", study, Network(scenario="none"), backbone=backbone, num_devices=3, rounds=4,
                   evaluations=1, test_samples=60)  # fmt: skip
    found, path = run(config, tmp_path)
    rows = of_privacy.summary(found).set_index("way")
    assert list(rows.index) == list(study["ways"])
    assert rows.loc["none", "tokens"] == rows.loc["clip", "tokens"] == rows.loc["epsilon-5", "tokens"] == 1.0
    assert rows.loc["eta-2", "tokens"] < 1.0
    assert np.isinf(rows.loc["clip", "epsilon_rdp"])
    assert rows.loc["epsilon-5", "epsilon_rdp"] <= 5.0
    assert rows.loc["epsilon-5", "epsilon_pld"] < rows.loc["epsilon-5", "epsilon_rdp"]
    assert rows.loc["user-epsilon-50", "epsilon_rdp"] <= 50.0
    assert np.isnan(rows.loc["none", "epsilon_rdp"]), "no epsilon without a clip"
    assert rows.loc["none", "labels"] > rows.loc["epsilon-5", "labels"]
    assert rows.loc[["none", "clip", "epsilon-5"], "auc"].between(0.0, 1.0).all()
    audits = of_privacy.audits(found).set_index("what")
    assert list(audits["way"]) == ["epsilon-5"] * 3
    assert 0 < audits.loc["as it is", "epsilon_lower"] < audits.loc["as it is", "epsilon_rdp"]
    for broken in ("a tenth of the noise", "without the clip"):
        assert audits.loc[broken, "epsilon_lower"] > audits.loc[broken, "epsilon_rdp"]
    behind = of_privacy.matched(found)
    assert behind["noise"].tolist() == [0.0, 1.0]
    assert behind["recovered"].between(0.0, 1.0).all()
    deep = of_privacy.depths(found)
    assert deep["blocks"].tolist() == [0, 1]
    assert deep["recovered"].iloc[0] == 1.0
    assert deep["recovered"].iloc[1] < 1.0
    split_fedft.report(path, terminal())
    assert "Audits of one release" in capsys.readouterr().out
    assert [each.name for each in split_fedft.plot(path)] == ["accuracy_epsilon.svg", "attacks.svg", "depths.svg"]
    assert [of_privacy.claims(found)[k].verdict for k in (0, 2)] == ["holds"] * 2


def test_few_labels_are_compared_with_controls(backbone, tmp_path, capsys):
    study = {"ways": ("pretrained-6", "random-6", "linear-6", "majority-6", "svm-6", "linear-60"),
             "num_seeds": 2}  # fmt: skip
    config = small("few-labels", study, Network(scenario="none"), backbone=backbone, num_devices=3, rounds=3,
                   evaluations=1, test_samples=60)  # fmt: skip
    found, path = run(config, tmp_path)
    rows = of_few_labels.scores(found)
    assert len(rows) == 12
    assert rows.groupby("way")["accuracy"].mean()["linear-60"] > rows.groupby("way")["accuracy"].mean()["linear-6"]
    held = found["devices"].query("role == 'ue'")["num_train_samples"]
    assert set(held) == {6}
    assert len(of_few_labels.claims(found)) == 4
    split_fedft.report(path, terminal())
    assert "labels on each device" in capsys.readouterr().out
    assert [each.name for each in split_fedft.plot(path)] == ["labels.svg"]


def test_updates_in_the_air_are_compared_with_messages(backbone, tokens, tmp_path, capsys):
    study = {"ways": ("air-2", "messages-2", "air-4", "messages-4")}
    network = Network(devices=("ue*=jetson-orin",), options=("bandwidth=20",))
    config = small("over-the-air", study, network, task=tokens, backbone=backbone, rounds=4, local_steps=2,
                   evaluations=2, test_samples=18)  # fmt: skip
    found, path = run(config, tmp_path)
    rows = of_sums.runs_of(found).set_index("way")
    assert list(rows.index) == list(study["ways"])
    assert rows["devices"].tolist() == [2, 2, 4, 4]
    # what the tables of the run say, by hand: two rounds of the second way
    sent = found["transfers"].query("simulation == 'messages-2 #1' and tag == 'adapter' and receiver == 'edge0'")
    sent = sent.sort_values("queued_s")
    assert len(sent) == 4
    took = [part["last_byte_s"].max() - part["queued_s"].min() for part in (sent[:2], sent[2:])]
    assert rows.loc["messages-2", "up_s"] == pytest.approx(np.mean(took))
    assert rows.loc[["air-2", "air-4"], "relative_error"].between(0.0, 1.0, inclusive="neither").all()
    assert rows.loc[["messages-2", "messages-4"], "relative_error"].isna().all()
    texts = [claim.text for claim in of_sums.claims(found)]
    assert len(texts) == 2 * 4 + 2
    assert "air-4 takes less simulated time than messages-4 for as many rounds" in texts
    split_fedft.report(path, terminal())
    assert "a round's updates" in capsys.readouterr().out
    assert [each.name for each in split_fedft.plot(path)] == ["accuracy.svg", "updates.svg"]


@pytest.mark.parametrize(
    ("recipe", "changes", "text"),
    [
        ("over-the-air", {"ways": ("air",)}, "legal are air-K and messages-K"),
        ("over-the-air", {"ways": ("air-0",)}, "legal are air-K"),
        ("over-the-air", {"num_seeds": 0}, "num_seeds is 0"),
        ("synchronisation", {"deadline_s": 0.0}, "above 0"),
        ("synchronisation", {"buffer": 1}, "at least 2"),
        ("synchronisation", {"num_seeds": 0}, "num_seeds is 0"),
        ("privacy", {"ways": ("epsilon",)}, "legal are none, clip"),
        ("privacy", {"ways": ("epsilon-0",)}, "above 0 and finite"),
        ("privacy", {"clip": 0.0}, "above 0"),
        ("privacy", {"canaries": 10}, "at least 1000"),
        ("peft", {"byte_ranks": (0,)}, "at least 1"),
        ("few-labels", {"ways": ("pretrained",)}, "legal are pretrained-N"),
        ("few-labels", {"ways": ("linear-0",)}, "no labels"),
        ("peft", {"ways": ("lora", "lora")}, "each may be given once"),
    ],
)
def test_studies_refuse_what_is_not_legal(recipe, changes, text):
    config = split_fedft.recipes[recipe]()
    with pytest.raises(ConfigurationError, match=text):
        dataclasses.replace(getattr(config, config.study), **changes)


def test_one_study_at_a_time():
    peft, privacy = split_fedft.recipes["peft"](), split_fedft.recipes["privacy"]()
    with pytest.raises(ConfigurationError, match=r"privacies\.ways and tunings\.ways are both given; one study"):
        dataclasses.replace(peft, privacies=privacy.privacies)


def test_checkpoints_and_allocation_are_refused_together():
    config = split_fedft.recipes["allocation"]()
    with pytest.raises(ConfigurationError, match="its queues and what it has measured are in none"):
        dataclasses.replace(config, checkpoints="kept")
    with pytest.raises(ConfigurationError, match="checkpoint_every is 0"):
        dataclasses.replace(split_fedft.recipes["quick"](), checkpoint_every=0)


def test_ways_that_are_complete_are_not_run_again(backbone, tokens, tmp_path):
    config = small("synchronisation", {"ways": ("synchronous", "asynchronous")}, Network(scenario="wired-star"),
                   task=tokens, backbone=backbone, num_devices=3, rounds=4, local_steps=2, evaluations=2,
                   test_samples=18)  # fmt: skip
    config = dataclasses.replace(config, checkpoints=str(tmp_path / "kept"))
    first, _ = run(config, tmp_path)
    again, _ = run(config, tmp_path)
    assert again["metrics"].equals(first["metrics"])
    assert again["staleness"].equals(first["staleness"])
    assert "transfers" not in again
