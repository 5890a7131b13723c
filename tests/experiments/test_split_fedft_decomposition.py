# SPDX-License-Identifier: GPL-2.0-only
"""The study of decomposition, small: its tables, claims and figures, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load
from experiments.split_fedft.decomposition import results

split_fedft = experiments.find("split-fedft")


@pytest.fixture
def small(tmp_path):
    """The recipe with a model of two blocks, three rounds and four ways."""
    torch.manual_seed(1)
    model = BertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    BertModel(model, add_pooling_layer=False).save_pretrained(tmp_path / "bert")
    labels = np.arange(90) % 3
    np.savez(tmp_path / "tokens.npz", tokens=np.eye(3)[labels][:, None, :].repeat(5, 1), labels=labels)
    recipe = split_fedft.recipes["decomposition"]()
    learning = dataclasses.replace(
        recipe.learning, task=str(tmp_path / "tokens.npz"), backbone=str(tmp_path / "bert"), rounds=3, partition="iid",
        evaluations=1, test_samples=10,
        decomposition=dataclasses.replace(recipe.learning.decomposition, installed_blocks=2),
    )  # fmt: skip
    ways = ("blocks-0", "blocks-2", "int8-top-k", "adaptive-bytes")
    study = dataclasses.replace(recipe.decompositions, ways=ways)
    network = dataclasses.replace(recipe.network, scenario="none", options=())
    return dataclasses.replace(recipe, learning=learning, decompositions=study, network=network)


def test_ways_are_compared(small, tmp_path, capsys):
    with RunFolder.create("split-fedft", small, seed=1, out=tmp_path) as folder:
        split_fedft.run(small, folder, Progress())
    run = load(folder.path)
    rows = results.summary(run).set_index("way")
    assert list(rows.index) == list(small.decompositions.ways)
    assert rows.loc["blocks-2", "server_flops"] < rows.loc["blocks-0", "server_flops"]
    assert rows.loc["blocks-2", "device_flops"] > rows.loc["blocks-0", "device_flops"]
    assert rows.loc["int8-top-k", "up_bytes"] < rows.loc["blocks-0", "up_bytes"]
    assert rows.loc["adaptive-bytes", "total_bytes"] <= rows.loc[["blocks-0", "blocks-2"], "total_bytes"].min() * 1.01
    texts = [claim.text for claim in results.claims(run)]
    assert len(texts) == 4
    assert all(text.startswith("adaptive-bytes takes less") for text in texts)
    split_fedft.report(folder.path, terminal())
    assert "Ways to cut" in capsys.readouterr().out
    assert [path.name for path in split_fedft.plot(folder.path)] == ["costs.svg", "cuts.svg"]
    assert (folder.path / "claims.csv").read_text().count("\n") == 5


def test_what_no_study_of_ways_can_do_is_refused(small):
    for changes, text in (
        ({"ways": ("blocks-0", "blocks-0")}, "each may be given once"),
        ({"ways": ("blocks-x",)}, "legal are blocks-0"),
        ({"ways": ("adaptive-beauty",)}, "legal are blocks-0"),
        ({"num_seeds": 0}, "num_seeds is 0"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            dataclasses.replace(small.decompositions, **changes)
    both = dataclasses.replace(split_fedft.recipes["allocation"]().allocations)
    with pytest.raises(ConfigurationError, match="one study is legal"):
        dataclasses.replace(small, allocations=both)
