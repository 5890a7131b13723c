# SPDX-License-Identifier: GPL-2.0-only
"""The study of allocation, small: its tables, claims and figures, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load
from experiments.split_fedft.allocation import results

split_fedft = experiments.find("split-fedft")


@pytest.fixture
def small(tmp_path):
    """The recipe with three devices, a model of one layer and 4 rounds of two rules."""
    torch.manual_seed(1)
    model = BertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    BertModel(model, add_pooling_layer=False).save_pretrained(tmp_path / "bert")
    labels = np.arange(90) % 3
    np.savez(tmp_path / "tokens.npz", tokens=np.eye(3)[labels][:, None, :].repeat(5, 1), labels=labels)
    recipe = split_fedft.recipes["allocation"]()
    learning = dataclasses.replace(
        recipe.learning, task=str(tmp_path / "tokens.npz"), backbone=str(tmp_path / "bert"), num_devices=3, rounds=4,
        partition="iid", evaluations=2, test_samples=10,
        allocation=dataclasses.replace(recipe.learning.allocation, cost_budget=2.0, devices=2),
    )  # fmt: skip
    study = dataclasses.replace(
        recipe.allocations, rules=("drift-plus-penalty", "free-decision", "equal-split"), repeat_rounds=40
    )
    return dataclasses.replace(recipe, learning=learning, allocations=study)


def test_rules_are_compared_and_recorded_rounds_repeated(small, tmp_path, capsys):
    with RunFolder.create("split-fedft", small, seed=1, out=tmp_path) as folder:
        split_fedft.run(small, folder, Progress())
    run = load(folder.path)
    rules = list(small.allocations.rules)
    assert list(dict.fromkeys(run["decisions"]["method"])) == rules
    assert run["decisions"].groupby("method").size().eq(4).all()
    assert run["metrics"].groupby("method").size().eq(2).all()
    repeated = run["repeated"]
    assert set(repeated["v"]) == set(small.allocations.repeat_v)
    assert set(repeated["rounds"]) == {10, 20, 30, 40}
    assert (repeated["cost_use"] <= 1 + repeated["cost_queue_part"] + 1e-9).all()
    split_fedft.report(folder.path, terminal())
    assert "Claims" in capsys.readouterr().out
    assert any("predicted within 10% (median)" in claim.text for claim in results.claims(run))
    assert [path.name for path in split_fedft.plot(folder.path)] == ["accuracy.svg", "prediction.svg", "budgets.svg"]


def test_what_no_rule_of_the_study_can_do_is_refused(small):
    for changes, text in (
        ({"rules": ("equal-split", "equal-split")}, "each may be given once"),
        ({"num_seeds": 0}, "num_seeds is 0"),
        ({"repeat_v": (1.0, 0.0)}, "above 0"),
        ({"repeat_rounds": 3}, "at least 4"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            dataclasses.replace(small.allocations, **changes)
    poor = dataclasses.replace(small.learning.allocation, cost_budget=0.1)
    with pytest.raises(ConfigurationError, match="nothing meets it; legal is from"):
        dataclasses.replace(small, learning=dataclasses.replace(small.learning, allocation=poor))
