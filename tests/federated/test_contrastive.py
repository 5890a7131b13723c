# SPDX-License-Identifier: GPL-2.0-only
"""Alignment of two modalities: losses by hand, each module averaged over those that have it, split equals un-split."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgelam import cosim
from edgelam.data import Examples, Task
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, DeviceRecord, EvaluationRecord, RoundRecord, SplitFedFTSettings, prepare
from edgelam.federated.alignment import pair as pairs
from edgelam.federated.alignment.parts import ANCHORS, AlignedDevice, AlignedServer, average_held, modules_of
from edgelam.federated.alignment.settings import AlignmentSettings
from edgelam.learning.contrastive import info_nce, retrieved, to_anchors
from edgelam.models import LoraSettings

NODES = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}


def test_info_nce_by_hand():
    one = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    other = torch.tensor([[2.0, 0.0], [3.0, 3.0]])  # cosines 1, s / 0, s with s = 1/sqrt(2)
    s = 1 / math.sqrt(2)
    rows = [-1 + math.log(math.exp(1) + math.exp(s)), -s + math.log(1 + math.exp(s))]
    columns = [-1 + math.log(math.exp(1) + 1), -s + math.log(2 * math.exp(s))]
    expected = (sum(rows) / 2 + sum(columns) / 2) / 2
    assert float(info_nce(one, other, torch.eye(2).bool(), 1.0)) == pytest.approx(expected, rel=1e-6)
    # if both are matches of both, a row's loss is the mean over them
    rows = [-(1 + s) / 2 + math.log(math.exp(1) + math.exp(s)), -s / 2 + math.log(1 + math.exp(s))]
    columns = [-0.5 + math.log(math.exp(1) + 1), -s + math.log(2 * math.exp(s))]
    expected = (sum(rows) / 2 + sum(columns) / 2) / 2
    assert float(info_nce(one, other, torch.ones(2, 2).bool(), 1.0)) == pytest.approx(expected, rel=1e-6)


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 1000), st.floats(0.05, 2.0))
def test_info_nce_is_slow_obvious_code(batch, width, seed, temperature):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(2, batch, width))
    labels = rng.integers(0, 3, batch)
    total = 0.0
    for a, b in ((one, other), (other, one)):
        for i in range(batch):
            cosines = [a[i] @ b[j] / np.linalg.norm(a[i]) / np.linalg.norm(b[j]) / temperature for j in range(batch)]
            told = [c - np.log(np.sum(np.exp(cosines))) for c in cosines]
            total -= np.mean([told[j] for j in range(batch) if labels[j] == labels[i]]) / batch / 2
    same = torch.from_numpy(labels[:, None] == labels)
    assert float(info_nce(torch.from_numpy(one), torch.from_numpy(other), same, temperature)) == pytest.approx(total)


def test_what_is_nearest_is_found():
    labels = torch.tensor([0, 1, 0])
    one = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    other = torch.tensor([[5.0, 0.1], [0.1, 1.0], [0.0, -1.0]])
    cosines = torch.nn.functional.normalize(one, dim=1) @ torch.nn.functional.normalize(other, dim=1).T
    expected = sum(int(labels[row.argmax()] == label) for row, label in zip(cosines, labels, strict=True)) / 3
    assert retrieved(one, other, labels) == pytest.approx(expected)
    assert expected == pytest.approx(2 / 3), "the third is nearest to the second, by a little"


def test_each_module_is_averaged_over_those_that_have_it():
    def state(value):
        return {"weight": torch.tensor([float(value)])}

    told = {
        "ue0": {"first": state(1), "second": state(10), ANCHORS: state(100)},
        "ue1": {"first": state(4), ANCHORS: state(400)},
        "ue2": {"second": state(40), ANCHORS: state(700)},
    }
    found = average_held(told, {"ue0": 1, "ue1": 2, "ue2": 3})
    assert float(found["first"]["weight"]) == pytest.approx((1 * 1 + 2 * 4) / 3)
    assert float(found["second"]["weight"]) == pytest.approx((1 * 10 + 3 * 40) / 4)
    assert float(found[ANCHORS]["weight"]) == pytest.approx((100 + 2 * 400 + 3 * 700) / 6)


@pytest.fixture
def base(tiny_text_bert):
    return SplitFedFTSettings(
        task="digits", backbone=str(tiny_text_bert), num_devices=3, partition="iid", lora=LoraSettings(rank=2),
        rounds=4, batch_size=4, evaluations=2, test_samples=30, objective="contrastive", labels_per_device=20,
        alignment=AlignmentSettings(backbone=str(tiny_text_bert), width=8, held=("both", "first", "second")),
    )  # fmt: skip


def simulated(settings, seed=1):
    records, transfers = [], []

    async def main(sim):
        return await METHODS["split-fedft"](sim, prepare(settings, seed), records.append)

    cosim.simulate(main, seed=1, nodes=NODES, on_transfer=transfers.append)
    return records, transfers


def test_one_step_is_that_of_the_whole_model(base):
    """In float64: the gradients of adapters, projections and anchors, of devices that lack modalities."""
    setup = prepare(base, 3)
    pair = pairs.pair_of(setup)
    for each in pair.setups.values():
        each.backbone.model.double()
    embeddings = {name: each.embedding() for name, each in pair.setups.items()}
    devices = {f"ue{k}": AlignedDevice(pair, k, embeddings) for k in range(3)}
    server = AlignedServer(pair)
    batches = {name: device.batches(0, 0) for name, device in devices.items()}
    ready = server.represent({name: device.embed(batches[name]) for name, device in devices.items()})
    found = {name: device.loss_and_jacobians(ready[name], batches[name]) for name, device in devices.items()}
    server.backward({name: jacobians for name, (_, jacobians) in found.items()})
    assert [sorted(batches[name]) for name in devices] == [["first", "second"], ["first"], ["second"]]

    whole = AlignedServer(pair)  # the same values
    for modality in ("first", "second"):
        encoder, own = whole.encoders[modality].encoder, [d for d in devices if modality in batches[d]]
        total = torch.zeros((), dtype=torch.float64)
        for name in own:
            vectors, modules = {}, modules_of(pair, list(batches[name]))
            for held, batch in batches[name].items():
                out = whole.encoders[held].encoder(embeddings[held](batch.inputs), batch.mask)
                vectors[held] = modules[held](out, batch.mask)
            labels = batch.labels
            loss = sum(to_anchors(v, modules[ANCHORS].weight, labels, 0.1) for v in vectors.values())
            if len(vectors) == 2:
                loss = loss + info_nce(vectors["first"], vectors["second"], labels[:, None] == labels, 0.1)
            assert found[name][0] == pytest.approx(float(loss), rel=1e-9)
            total = total + loss * len(labels)
        trained = list(encoder.lora.values())
        for parameter, expected in zip(
            server.encoders[modality].encoder.lora.values(), torch.autograd.grad(total, trained), strict=True
        ):
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-12)
        samples = sum(len(batches[name][modality]) for name in own)
        assert server.encoders[modality]._samples == samples, "each encoder counts those that it has seen"


def test_devices_with_one_modality_take_part_and_hold_and_send_less(base):
    records, transfers = simulated(base)
    assert [each.num_samples for each in records if isinstance(each, RoundRecord)] == [12] * 4
    peaks = {each.node: each.peak_memory_bytes for each in records if isinstance(each, DeviceRecord)}
    assert peaks["ue1"] < 0.2 * peaks["ue2"] < peaks["ue0"], "ue1 has no table of tokens for the names"
    up = {name: sum(t.size_bytes for t in transfers if t.source == name) for name in ("ue0", "ue1", "ue2")}
    assert up["ue1"] < up["ue0"] > up["ue2"]
    scores = [each for each in records if isinstance(each, EvaluationRecord)]
    assert {each.test_set for each in scores} == {"global", "digits", "label-text"}


def test_it_aligns(base, token_file):
    """Three classes that can be told apart, and their names."""
    settings = replace(
        base, task=str(token_file), rounds=40, batch_size=8, labels_per_device=0, learning_rate=1e-2,
        head_learning_rate=3e-2, test_samples=0, alignment=replace(base.alignment, held=("both", "both", "first")),
    )  # fmt: skip
    records, _ = simulated(settings)
    scores = {each.test_set: each for each in records if isinstance(each, EvaluationRecord)}  # the last ones
    assert scores["global"].accuracy > 0.6, "a third is chance"
    assert scores["tokens.npz" if "tokens.npz" in scores else "tokens"].accuracy > 0.6
    losses = [each.loss for each in records if isinstance(each, RoundRecord)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_it_repeats(base):
    def told(records):
        return [(each.accuracy, each.loss) for each in records if isinstance(each, EvaluationRecord)]

    assert told(simulated(base)[0]) == told(simulated(base)[0])


def test_two_sensors_of_one_watch(base, tmp_path, monkeypatch):
    """Without fetched data: series of the same form."""
    rng = np.random.default_rng(1)
    labels = np.arange(40) % 4
    series = (rng.normal(size=(40, 100, 6)) + labels[:, None, None]).astype(np.float32)
    monkeypatch.setattr("edgelam.data.fetched.motions", lambda part: (series, labels.astype(np.int64)))
    monkeypatch.setattr("edgelam.data.task.check_task", lambda name: None)
    settings = replace(
        base, task="accelerometer", labels_per_device=0, alignment=replace(base.alignment, second="gyroscope")
    )  # fmt: skip
    pair = pairs.pair_of(prepare(settings, 1))
    assert not pair.same_by_label
    own, other = (pair.setups[name].shards[0].samples._tokens for name in ("first", "second"))
    assert own.shape == other.shape
    assert not torch.equal(own, other)
    records, _ = simulated(settings)
    assert {each.test_set for each in records if isinstance(each, EvaluationRecord)} == {
        "global", "accelerometer", "gyroscope",
    }  # fmt: skip


def test_names_of_classes():
    labels = np.array([0, 1, 1])
    tokens = Examples(np.zeros((3, 1, 1), dtype=np.float32), labels)
    named = pairs.of_labels(Task("t", "tokens", tokens, tokens, ("7", "wifi")))
    assert list(named.train.inputs) == ["This is seven.", "This is wifi.", "This is wifi."]
    np.testing.assert_array_equal(named.test.labels, labels)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"second": "gyroscope"}, "'gyroscope' with task 'digits'; legal are label-text"),
        ({"second": "nothing"}, "'nothing' with task 'digits'"),
        ({"held": ("first",)}, "none has the second modality"),
        ({"held": ()}, "held is empty"),
        ({"width": 0}, "width is 0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(changes, fault, base):
    with pytest.raises(ConfigurationError, match=fault):
        pairs.pair_of(prepare(replace(base, alignment=replace(base.alignment, **changes)), 1))


@pytest.mark.parametrize("changes", [{"cut": "tokens"}, {"train_embedding": True}, {"head_averaging": "none"}])
def test_settings_that_it_does_not_know(changes, base):
    with pytest.raises(ConfigurationError, match=f"{next(iter(changes))}.*objective 'contrastive'"):
        simulated(replace(base, **changes))


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"split-fedft", "air-fed-lora"}))
def test_other_methods_refuse_it(method, base):
    """All but the one that needs a cell."""

    async def main(sim):
        return await METHODS[method](sim, prepare(base, 1), lambda record: None)

    with pytest.raises(ConfigurationError, match="contrastive"):
        cosim.simulate(main, seed=1, nodes=NODES)
