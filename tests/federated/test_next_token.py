# SPDX-License-Identifier: GPL-2.0-only
"""Next-token fine-tuning: the split loss is that of the whole language model, it learns, and what it sends."""

from dataclasses import replace

import pytest
import torch
from transformers import GPT2LMHeadModel

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, EvaluationRecord, RoundRecord, SplitFedFTSettings, prepare
from edgelam.models import LoraSettings

NODES = {"ue0": "ue", "ue1": "ue", "edge0": "edge"}


@pytest.fixture
def base(tiny_text_gpt2):
    return SplitFedFTSettings(
        objective="next-token", cut="tokens", backbone=str(tiny_text_gpt2), num_devices=2, rounds=12, batch_size=4,
        max_tokens=12, local_steps=3, evaluations=2, test_samples=12, lora=LoraSettings(rank=2),
        learning_rate=1e-2, head_learning_rate=3e-2,
    )  # fmt: skip


def ran(settings, method):
    records, transfers = [], []

    async def main(sim):
        return await METHODS[method](sim, prepare(settings, 1), records.append)

    cosim.simulate(main, seed=1, nodes=NODES, on_transfer=transfers.append)
    return records, transfers


def test_the_loss_is_that_of_the_language_model(base, tiny_text_gpt2):
    setup = prepare(replace(base, max_tokens=40), 1)
    whole = GPT2LMHeadModel.from_pretrained(tiny_text_gpt2).eval()
    model = setup.unsplit().eval()
    batch = setup.shards[0].batch(0, 0)
    logits = model(batch.inputs, batch.mask)
    labels = batch.inputs.masked_fill(~batch.mask, -100)
    told = whole(input_ids=batch.inputs, attention_mask=batch.mask.long(), labels=labels)
    assert batch.mask.sum() < batch.mask.numel(), "some are padded"
    torch.testing.assert_close(model.head.loss(logits, batch.labels, batch.inputs, batch.mask), told.loss)
    torch.testing.assert_close(logits[batch.mask], told.logits[batch.mask])


@pytest.mark.parametrize("method", ["split-fedft", "decomposed", "fed-lora", "fedbuff", "local", "centralised"])
def test_it_learns(method, base):
    records, _ = ran(base, method)
    scores = [r.loss for r in records if isinstance(r, EvaluationRecord) and r.head == "average"]
    assert scores[-1] < scores[0] < 10.4
    assert len({r.head for r in records if isinstance(r, EvaluationRecord)}) == (3 if method == "local" else 1)


def test_split_and_whole_learn_alike(base):
    """One device, no rounding: the losses of split and local training are the same."""
    exact = replace(
        base, num_devices=1, encoding="fp64", weight_encoding="fp64", optimiser="sgd", head_averaging="none"
    )
    split, _ = ran(exact, "split-fedft")
    whole, _ = ran(exact, "centralised")
    ours, theirs = ([r.loss for r in each if isinstance(r, RoundRecord)] for each in (split, whole))
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_of_the_head_only_the_bias_is_sent(base):
    setup = prepare(base, 1)
    _, transfers = ran(base, "split-fedft")
    sizes = {t.size_bytes for t in transfers if t.tag == "head"}
    assert sizes == {4 + 2 * len(setup.backbone.token_table)}


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"cut": "pooled"}, "legal are cut tokens"), ({"train_embedding": True}, "frozen token table")],
)
def test_settings_that_do_not_fit_are_refused(changes, text, base):
    with pytest.raises(ConfigurationError, match=text):
        replace(base, **changes)


def test_backbones_and_tasks_that_do_not_fit_are_refused(base, tiny_text_bert, tiny_gpt2, token_file):
    with pytest.raises(ConfigurationError, match="decoder-only"):
        prepare(replace(base, backbone=str(tiny_text_bert)), 1)
    with pytest.raises(ConfigurationError, match="legal are texts"):
        prepare(replace(base, backbone=str(tiny_gpt2), task=str(token_file)), 1)
    with pytest.raises(ConfigurationError, match="classification"):
        ran(base, "dp-fed-lora")
