# SPDX-License-Identifier: GPL-2.0-only
"""Drafts: what they share with their target, their training, and the one that comes with edgelam."""

import pytest
import torch
from safetensors.torch import load_file
from small_llama import small_llama

from edgelam.errors import ConfigurationError
from edgelam.modalities.bench import Bench
from edgelam.modalities.draft import DISTILLED, Draft, distilled, first_layers
from edgelam.modalities.recipes import smollm2_draft
from edgelam.models.fetch import is_fetched
from edgelam.random_streams import torch_generator


@pytest.fixture(scope="module")
def target():
    return small_llama(vocab_size=60, layers=4, spread=0.3)


IDS = torch.tensor([[4, 17, 3, 55, 42, 7]])


def test_an_untrained_draft_is_the_target_that_stops_early(target):
    draft = Draft(target.model, layers=2)
    own, early = draft.model(target.model), first_layers(target.model, 2)
    torch.testing.assert_close(own(input_ids=IDS).last_hidden_state, early(input_ids=IDS).last_hidden_state)
    hidden = torch.randn(3, 64, generator=torch_generator(1))
    assert torch.equal(draft.features(hidden), hidden)
    assert own.embed_tokens.weight is target.model.embed_tokens.weight  # the large table is shared
    whole = Draft(target.model, layers=4).model(target.model)
    torch.testing.assert_close(whole(input_ids=IDS).last_hidden_state, target.model(input_ids=IDS).last_hidden_state)
    with pytest.raises(ConfigurationError, match="layers 5 of a draft; legal are 1 to 4"):
        Draft(target.model, layers=5)


def test_merged_weights_compute_what_was_trained(target):
    draft = Draft(target.model, layers=2)
    before = {name: weight.clone() for name, weight in target.model.state_dict().items()}
    generator = torch_generator(2)
    with torch.no_grad():
        for weight in draft.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    trained = draft.adapted(target.model)(input_ids=IDS)
    merged = draft.model(target.model)(input_ids=IDS)
    torch.testing.assert_close(merged.last_hidden_state, trained.last_hidden_state)
    assert not torch.allclose(merged.last_hidden_state, first_layers(target.model, 2)(input_ids=IDS).last_hidden_state)
    for name, weight in target.model.state_dict().items():
        assert torch.equal(weight, before[name])


def test_what_is_written_is_what_generate_of_transformers_writes(target):
    prompts = torch.tensor([[5, 9, 3], [8, 1, 33]])
    found = smollm2_draft.written(target, prompts, 7)
    expected = target.generate(
        prompts, attention_mask=torch.ones_like(prompts), do_sample=False, max_new_tokens=7, eos_token_id=-1,
        pad_token_id=0,
    )  # fmt: skip
    assert torch.equal(found["ids"], expected)
    hidden = target.model(input_ids=found["ids"]).last_hidden_state
    torch.testing.assert_close(found["hidden"].float(), hidden, atol=5e-3, rtol=5e-3)


def trained(target, folder, monkeypatch, *, steps, layers=2):
    monkeypatch.setattr(smollm2_draft, "STEPS", 40)
    monkeypatch.setattr(smollm2_draft, "CHECKPOINT", 10)
    said = []

    def say(line):
        said.append(line)
        if len(said) * 10 >= steps:
            raise KeyboardInterrupt

    prompts = torch.randint(60, (24, 4), generator=torch_generator(5))
    texts = smollm2_draft.written(target, prompts, 12)
    draft = Draft(target.model, layers=layers, seed=1)
    bench = Bench(None, seed=2, folder=folder, say=say)
    try:
        smollm2_draft.train(draft, target, texts["ids"], texts["hidden"], texts["likely"], bench)
    except KeyboardInterrupt:
        assert steps < 40
    return draft, said


def test_training_brings_a_draft_nearer_and_goes_on_where_it_was_ended(target, tmp_path, monkeypatch):
    whole, said = trained(target, None, monkeypatch, steps=1000)
    losses = [float(line.split(": ")[1].split()[0]) for line in said]
    assert losses[-1] < 0.7 * losses[0]
    trained(target, tmp_path, monkeypatch, steps=20)
    again, said = trained(target, tmp_path, monkeypatch, steps=1000)
    assert len(said) < 4  # the rest alone
    for mine, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_the_committed_draft_is_small_and_whole():
    kept = load_file(DISTILLED)
    assert DISTILLED.stat().st_size < 2_000_000
    assert {value.dtype for value in kept.values()} == {torch.float16}
    assert all(torch.isfinite(value).all() for value in kept.values())


def test_another_model_has_no_distilled_draft(target):
    with pytest.raises(ConfigurationError, match="legal are 1 to 4"):
        distilled(target.model)


def test_the_distilled_draft_is_accepted_more_often_than_its_control():
    if not is_fetched("smollm2-135m"):
        pytest.skip("edgelam models fetch smollm2-135m")
    from transformers import LlamaForCausalLM

    from edgelam.data.task import load_task
    from edgelam.modalities import pretrained

    target = pretrained.load("smollm2-135m", LlamaForCausalLM)
    chosen = torch.tensor(smollm2_draft.prompts(load_task("ns3-comments").test, 4, 99))
    texts = smollm2_draft.written(target, chosen, 12)["ids"]
    same = {}
    with torch.no_grad():
        for name, draft in (("distilled", distilled(target.model)), ("untrained", Draft(target.model))):
            hidden = draft.model(target.model)(input_ids=texts).last_hidden_state[:, 15:-1]
            answers = target.lm_head(draft.features(hidden)).argmax(-1)
            same[name] = float((answers == texts[:, 16:]).double().mean())
    assert same["distilled"] > same["untrained"] + 0.1
