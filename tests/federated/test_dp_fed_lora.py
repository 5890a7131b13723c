# SPDX-License-Identifier: GPL-2.0-only
"""Federated LoRA with user-level privacy: clipped by hand, noise of the stated size, sums that masks do not change."""

from dataclasses import replace

import pytest
import torch

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, EvaluationRecord, RoundRecord, SplitFedFTSettings, UserPrivacyRecord, prepare
from edgelam.federated.dp_fed_lora import Plan, add, plan, private_update
from edgelam.learning.privacy.user import UserPrivacySettings
from edgelam.models import LoraSettings
from edgelam.random_streams import torch_generator


@pytest.fixture
def base(tiny_bert, token_file):
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=24, local_steps=4,
        lora=LoraSettings(rank=2), evaluations=2, weight_encoding="fp32", user_privacy=UserPrivacySettings(clip=1e3),
    )  # fmt: skip


def ran(settings, method="dp-fed-lora"):
    records, transfers = [], []
    setup = prepare(settings, 1)

    async def main(sim):
        return await METHODS[method](sim, setup, records.append)

    nodes = {f"ue{k}": "ue" for k in range(settings.num_devices)} | {"edge0": "edge"}
    outcome = cosim.simulate(main, nodes=nodes, seed=1, on_transfer=transfers.append)
    return outcome, records, transfers


def of(records, kind):
    return [record for record in records if isinstance(record, kind)]


def test_an_update_is_clipped_as_one_vector_and_noisy():
    before = {"adapter": {"a": torch.zeros(2, 1)}, "head": {"w": torch.tensor([1.0])}}
    now = {"adapter": {"a": torch.tensor([[3.0], [0.0]])}, "head": {"w": torch.tensor([5.0])}}
    quiet = {"std": 0.0, "generator": torch_generator(1)}
    assert private_update(now, before, clip=1.0, **quiet).tolist() == pytest.approx([0.6, 0.0, 0.8])
    assert private_update(now, before, clip=9.0, **quiet).tolist() == [3.0, 0.0, 4.0]
    add(before, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert (before["adapter"]["a"].tolist(), before["head"]["w"].tolist()) == ([[1.0], [2.0]], [4.0])
    wide = {"adapter": {"a": torch.zeros(20_000)}}
    noisy = private_update(wide, wide, clip=1.0, std=0.5, generator=torch_generator(2))
    assert float(noisy.std()) == pytest.approx(0.5, rel=0.03)


def test_without_noise_and_clip_it_learns_as_fed_lora_and_masks_change_nothing(base):
    theirs, _, _ = ran(base, "fed-lora")
    masked, _, transfers = ran(base)
    plain, _, _ = ran(replace(base, user_privacy=replace(base.user_privacy, secure=False)))
    assert masked.loss == pytest.approx(plain.loss, abs=1e-6)
    assert masked.loss == pytest.approx(theirs.loss, abs=1e-3)  # equal shards, so equal weights
    assert masked.num_samples == theirs.num_samples
    sizes = {each.tag: each.size_bytes for each in transfers}
    assert (sizes["public_key"], sizes["keys"]) == (256, 3 * 256)
    values = (sizes["update"] - 4) // 8
    assert sizes["update"] == 4 + 8 * values
    assert sizes["weights"] == 4 + 4 * (values + 1), "and the head's counter of batches"


def test_a_budget_finds_the_noise_or_ends_the_run(base):
    found = replace(base, user_privacy=UserPrivacySettings(clip=0.5, epsilon=8.0))
    _, records, _ = ran(found)
    (spent,) = of(records, UserPrivacyRecord)
    assert spent.releases == spent.rounds == 6
    assert 7.9 < spent.epsilon_rdp <= 8.0
    assert spent.epsilon_pld < spent.epsilon_rdp
    assert spent.against == "server and all others"
    short = replace(base, user_privacy=UserPrivacySettings(clip=0.5, epsilon=8.0, noise_multiplier=1.0))
    _, records, _ = ran(short)
    (spent,) = of(records, UserPrivacyRecord)
    assert 0 < spent.releases < 6
    assert spent.epsilon_rdp <= 8.0
    assert len(of(records, RoundRecord)) == spent.releases
    assert of(records, EvaluationRecord)
    with pytest.raises(ConfigurationError, match="noise multipliers from"):
        plan(replace(short.user_privacy, noise_multiplier=0.1), 6)
    assert plan(UserPrivacySettings(), 6) == Plan(6, 0.0)


def test_no_epsilon_without_noise(base):
    _, records, _ = ran(replace(base, rounds=4))
    (spent,) = of(records, UserPrivacyRecord)
    assert spent.epsilon_rdp == spent.epsilon_pld == float("inf")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"clip": 0.0}, "positive and finite"),
        ({"epsilon": 0.0}, "epsilon is 0.0; it must be positive"),
        ({"epsilon": -1.0}, "must be positive"),
        ({"delta": 1.0}, "between 0 and 1"),
        ({"noise_multiplier": -1.0}, "0 or more"),
        ({"epsilon": 1.0, "noise_multiplier": 0.0}, "without noise no budget"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        UserPrivacySettings(**changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"head_averaging": "none"}, "legal is server"),
        ({"participation": 0.4}, "legal is 1"),
        ({"stragglers": "drop", "round_deadline_s": 1.0}, "noise is that of all devices"),
        ({"aggregation": "flora"}, "fedit, ffa-lora"),
    ],
)
def test_what_would_break_epsilon_is_refused(changes, text, base):
    with pytest.raises(ConfigurationError, match=text):
        ran(replace(base, **changes))
