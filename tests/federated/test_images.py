# SPDX-License-Identifier: GPL-2.0-only
"""Images through a vision transformer: the cut model is transformers' own, split equals un-split, tasks that fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import STEPS, assert_same, float64_setup, history, unsplit
from transformers import Dinov2Config, Dinov2Model

from edgelam import cosim
from edgelam.data import load_task
from edgelam.errors import ConfigurationError
from edgelam.federated import (
    METHODS,
    CutRecord,
    EvaluationRecord,
    SplitFedFTSettings,
    controls,
    decomposed,
    prepare,
    split_fedft,
)
from edgelam.federated.decomposition.settings import DecompositionSettings
from edgelam.models import LoraSettings, load_backbone
from edgelam.models.fetch import is_fetched
from edgelam.models.images import ImageEmbedding, prepared

NODES = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}


@pytest.fixture(scope="session")
def tiny_dino(tmp_path_factory):
    """A folder with a random DINOv2: 2 layers, width 16, patches of 4 x 4 pixels, trained for 8 x 8 of them."""
    folder = tmp_path_factory.mktemp("dino")
    torch.manual_seed(1)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=4)
    Dinov2Model(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def base(tiny_dino):
    return SplitFedFTSettings(
        task="digits", backbone=tiny_dino, num_devices=3, partition="iid", lora=LoraSettings(rank=2), max_tokens=12,
        rounds=6, batch_size=4, evaluations=1, test_samples=20, local_steps=3,
    )  # fmt: skip


def simulated(settings, method, **network):
    records, transfers = [], []

    async def main(sim):
        return await METHODS[method](sim, prepare(settings, 1), records.append)

    cosim.simulate(main, seed=1, on_transfer=transfers.append, **({"nodes": NODES} | network))
    return records, transfers


@pytest.mark.parametrize("side", [1, 3, 8])
def test_it_is_the_whole_model(side, tiny_dino):
    backbone = load_backbone(tiny_dino)
    whole = Dinov2Model.from_pretrained(tiny_dino).eval()
    images = torch.randint(256, (2, 28, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = whole(pixel_values=prepared(images, 4 * side)).last_hidden_state
        embedded = ImageEmbedding(backbone, side)(backbone.tokens(images, side))
        found = backbone.entry.hidden(backbone.model, embedded, torch.ones(embedded.shape[:2], dtype=torch.bool))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert (backbone.width, backbone.hidden_width, backbone.causal) == (16, 16, False)


def test_patches_are_where_they_were(tiny_dino):
    """A white pixel in the last patch of the first row changes that patch alone, at its place, row by row."""
    backbone = load_backbone(tiny_dino)
    black, white = (torch.zeros(1, 8, 8, dtype=torch.uint8) for _ in range(2))
    white[0, 1, 6] = 255
    one, other = (backbone.tokens(image, 2) for image in (black, white))
    assert one.shape == (1, 5, 3 * 16)
    assert (one != other).any(dim=2)[0].tolist() == [False, False, True, False, False]
    changed = (one != other)[0, 2].reshape(3, 4, 4)
    assert changed.nonzero()[:, 1:].unique(dim=0).tolist() == [[1, 2]]
    assert not one[:, 0].any(), "the class token has no pixels"
    assert [backbone.side(tokens) for tokens in (2, 4, 5, 9, 10, 32)] == [1, 1, 2, 2, 3, 5]


def check_equal(method, settings):
    """Compare split_fedft or decomposed with the un-split model, in float64; return setup, history and records."""
    settings = replace(
        settings, rounds=STEPS, optimiser="sgd", learning_rate=0.1, encoding="fp64", weight_encoding="fp64"
    )  # fmt: skip
    setup = float64_setup(settings)
    parts, records = method.build(setup, ["ue0", "ue1", "ue2"]), []

    async def main(sim):
        return await method.run(sim, setup, records.append, parts)

    cosim.simulate(main, seed=1, nodes=NODES)
    found = history(records, parts.server.encoder, parts.devices.values())
    assert_same(found, unsplit(setup))
    return setup, found, records


@pytest.mark.parametrize("blocks", [(0, 1, 2), (1, 1, 1)])
def test_cut_anywhere_it_learns_as_the_unsplit_model(blocks, base):
    own = DecompositionSettings(blocks=blocks, activations=("fp64",))
    _, _, records = check_equal(decomposed, replace(base, decomposition=own, accumulation=2))
    assert {each.blocks for each in records if isinstance(each, CutRecord)} == set(blocks)


def test_split_training_moves_the_patch_embedding_as_the_unsplit_one_does(base):
    setup, found, _ = check_equal(split_fedft, replace(base, embedding_learning_rate=0.1, train_embedding=True))
    assert not torch.equal(found.embeddings[0]["positions"], setup.embedding().positions)


@pytest.mark.parametrize("method", ["fed-lora", "fedbuff", "local", "centralised"])
def test_all_methods_take_images(method, base):
    records, transfers = simulated(base, method)
    scores = [each for each in records if isinstance(each, EvaluationRecord) and each.head == "average"]
    assert 0.0 <= scores[-1].accuracy <= 1.0
    if method == "centralised":  # a byte for each pixel, two for each label
        held = [len(part) for part in prepare(base, 1).parts]
        sent = [each.size_bytes for each in transfers if each.tag == "data"]
        assert sorted(sent) == [66 * n for n in sorted(held)]


def test_bytes_of_what_crosses_the_cut(base):
    _, transfers = simulated(replace(base, rounds=1), "split-fedft")
    up = [each.size_bytes for each in transfers if each.tag == "embedding"]
    tokens = 4 * (1 + 9)  # of four images: the class token, and 3 x 3 patches of at most 12 tokens
    assert all(2 * 16 * tokens < size < 2 * 16 * tokens + 200 for size in up)


def test_a_linear_classifier_sees_the_same_pixels(base):
    own = controls.linear(prepare(base, 1))
    tokens = controls.linear(prepare(replace(base, backbone="minilm", max_tokens=16), 1))
    assert [row.num_train_samples for row in own] == [row.num_train_samples for row in tokens]
    assert [row.accuracy for row in own] == pytest.approx([row.accuracy for row in tokens], abs=0.11)


def test_classical_classifiers_of_few_images(base):
    setup = prepare(replace(base, labels_per_device=40, test_samples=200), 1)
    for row in (controls.hog(setup), controls.support_vectors(setup)):
        assert row.num_train_samples == 120
        assert row.accuracy > 0.7, row.name
    with pytest.raises(ConfigurationError, match=r"'hog' with task 'digits'.*have no images"):
        controls.hog(prepare(replace(base, backbone="minilm", max_tokens=16), 1))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"task": "ns3-comments"}, "'ns3-comments' has no images.*legal are digits, mnist-5000"),
        ({"objective": "next-token", "cut": "tokens"}, "no tokens of a vocabulary; legal are texts"),
        ({"lora": LoraSettings(targets=("query",))}, "'query' names no layer.*q_proj"),
    ],
)
def test_what_does_not_fit_is_refused(changes, fault, base):
    with pytest.raises(ConfigurationError, match=fault):
        prepare(replace(base, **changes), 1).unsplit()


def test_fetched_tasks():
    for name in ("mnist-5000", "basic-motions"):
        if not is_fetched(name):
            with pytest.raises(ConfigurationError, match=f"edgelam models fetch {name}"):
                load_task(name)
            pytest.skip(f"edgelam models fetch {name}")
    images = load_task("mnist-5000", as_images=True)
    assert (images.train.inputs.shape, len(images.test), images.token_shape) == ((4000, 28, 28), 1000, None)
    tokens = load_task("mnist-5000")
    assert tokens.token_shape == (16, 49)
    np.testing.assert_array_equal(tokens.test.labels, images.test.labels)
    upper_left = images.test.inputs[3, :7, :7].ravel() / 127.5 - 1.0
    np.testing.assert_allclose(tokens.test.inputs[3, 0], upper_left, atol=1e-6)
    motions = load_task("basic-motions")
    assert (motions.token_shape, len(motions.train), len(motions.test)) == ((20, 60), 40, 40)
    level = motions.train.inputs[:, 0]
    assert not level[:, 12:].any(), "six means and six deviations"
    for sensor, channels in (("accelerometer", slice(0, 3)), ("gyroscope", slice(3, 6))):
        alone = load_task(sensor)
        assert alone.token_shape == (20, 30)
        both = motions.train.inputs[:, 1:].reshape(40, 19, 10, 6)[..., channels]
        np.testing.assert_allclose(alone.train.inputs[:, 1:].reshape(40, 19, 10, 3), both, rtol=1e-5, atol=1e-6)
