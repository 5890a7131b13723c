# SPDX-License-Identifier: GPL-2.0-only
"""Privacy of split-fedft: what is clipped, noisy, counted and refused, and that a budget ends a run."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, PrivacyRecord, RoundRecord, SplitFedFTSettings, prepare, split_fedft
from edgelam.federated.private import Releases, released, within_budget
from edgelam.learning.privacy import accounting
from edgelam.learning.privacy.gaussian import clip_samples
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.models import LoraSettings

NODES = {"ue0": "ue", "ue1": "ue", "edge0": "edge"}


@pytest.fixture(scope="module")
def settings(tiny_bert: Path, token_file: Path) -> SplitFedFTSettings:
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=2, partition="iid", rounds=6, batch_size=4,
        lora=LoraSettings(rank=2), evaluations=1, encoding="fp64", weight_encoding="fp64",
    )  # fmt: skip


def run(settings: SplitFedFTSettings, seed: int = 1):
    records, sent = [], []

    async def main(sim):
        return await METHODS["split-fedft"](sim, prepare(settings, seed), records.append)

    outcome = cosim.simulate(main, nodes=NODES, on_transfer=sent.append)
    return outcome, records, sent


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
def test_a_clip_that_is_never_reached_changes_no_weight(settings, cut):
    plain = replace(settings, cut=cut)
    private = replace(plain, privacy=PrivacySettings(clip=1e6, head_clip=1e6))
    weights = []
    for each in (plain, private):
        setup = prepare(each, 1)
        parts = split_fedft.build(setup, ["ue0", "ue1"])

        async def main(sim, setup=setup, parts=parts):
            return await split_fedft.run(sim, setup, split=parts)

        cosim.simulate(main, nodes=NODES)
        weights.append([*parts.server.encoder.lora.values(), *parts.devices["ue0"].head.parameters()])
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
def test_a_device_clips_each_samples_jacobian_and_head_gradient(settings, cut):
    chosen = replace(settings, cut=cut, privacy=PrivacySettings(clip=0.02, head_clip=0.03))
    setup = prepare(chosen, 1)
    device = split_fedft.build(setup, ["ue0", "ue1"]).devices["ue0"]
    batch = device.batch(0, 0)
    rows = int(batch.mask.sum()) if cut == "tokens" else len(batch)
    generator = torch.Generator().manual_seed(1)
    width = device.head.linear.in_features
    with torch.no_grad():
        device.head.linear.weight.normal_(generator=generator)
    representation = torch.randn(rows, width, generator=generator)
    per_sample = []
    counts = batch.mask.sum(dim=1).tolist() if cut == "tokens" else [1] * len(batch)
    starts = np.cumsum([0, *counts])
    device.head.eval()  # its centre stays: sample by sample is the same as all at once
    _, jacobian = device.loss_and_jacobian(representation, batch)
    mean = torch.zeros_like(device.head.linear.weight)
    for i in range(len(batch)):
        leaf = representation.clone().requires_grad_(True)
        on_head = leaf
        if cut == "tokens":
            on_head = torch.zeros(*batch.mask.shape, width).index_put((batch.mask,), leaf)
        loss = F.cross_entropy(device.head(on_head, batch.mask)[i : i + 1], batch.labels[i : i + 1])
        into_rows, weight, bias = torch.autograd.grad(loss, [leaf, *device.head.linear.parameters()])
        own = into_rows[starts[i] : starts[i + 1]]
        per_sample.append(own * min(1.0, 0.02 / float(own.norm())) / len(batch))
        norm = math.hypot(float(weight.norm()), float(bias.norm()))
        mean += weight * min(1.0, 0.03 / norm)
    torch.testing.assert_close(jacobian, torch.cat(per_sample), rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(device.head.linear.weight.grad, mean, rtol=1e-4, atol=1e-8)


def test_noise_has_the_stated_deviation_and_depends_on_the_seed_only():
    private = PrivacySettings(clip=0.5, head_clip=0.25, noise_multiplier=3.0)
    one, same, other = (Releases(private, 4, seed) for seed in (1, 1, 2))
    zeros, owners = torch.zeros(100, 400), torch.arange(100)
    noise = one.jacobian(zeros, owners)
    assert float(noise.std()) == pytest.approx(2 * 0.5 * 3.0, rel=0.02)
    assert torch.equal(noise, same.jacobian(zeros, owners))
    assert not torch.equal(noise, other.jacobian(zeros, owners))
    (head,) = one.head_gradient([[torch.zeros(200, 200)]] * 3)
    assert float(head.std()) == pytest.approx(2 * 0.25 * 3.0, rel=0.02)


def test_rows_of_a_sample_are_clipped_together():
    rows = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.1, 0.0]])
    clipped = clip_samples(rows, torch.tensor([0, 0, 1]), 1.0)
    torch.testing.assert_close(clipped, torch.tensor([[0.6, 0.0], [0.0, 0.8], [0.1, 0.0]]))


def test_a_sample_twice_in_a_batch_costs_more_than_two_batches():
    assert released(np.array([0, 2, 2]), 4).tolist() == [2, 0, 6, 0]


def test_what_is_sent_has_no_loss_and_the_record_says_what_it_costs(settings):
    private = replace(settings, privacy=PrivacySettings(clip=1.0, noise_multiplier=2.0))
    _, records, sent = run(private)
    _, _, plain = run(settings)
    size = {kind: {t.size_bytes for t in each if t.tag == "jacobian"} for kind, each in ((0, sent), (1, plain))}
    assert {small + 8 for small in size[0]} == size[1]
    assert all(math.isnan(record.loss) for record in records if isinstance(record, RoundRecord))
    found = [record for record in records if isinstance(record, PrivacyRecord)]
    assert [record.node for record in found] == ["ue0", "ue1"]
    shard = prepare(private, 1).shards[0]
    uses = math.ceil(6 * 4 / len(shard))
    assert found[0].releases >= 2 * uses
    assert found[0].epsilon_rdp == accounting.epsilon(2.0, found[0].releases, 1e-5)
    assert found[0].epsilon_pld < found[0].epsilon_rdp
    assert not [record for record in run(settings)[1] if isinstance(record, PrivacyRecord)]


def test_a_run_is_the_same_again_with_noise(settings):
    private = replace(settings, privacy=PrivacySettings(clip=1.0, noise_multiplier=0.5))
    assert run(private)[0] == run(private)[0]


def test_with_a_frozen_only_b_is_trained(settings):
    setup = prepare(replace(settings, freeze_a=True), 1)
    parts = split_fedft.build(setup, ["ue0", "ue1"])
    before = {name: value.detach().clone() for name, value in parts.server.encoder.lora.items()}

    async def main(sim):
        return await split_fedft.run(sim, setup, split=parts)

    cosim.simulate(main, nodes=NODES)
    changed = {name: not torch.equal(before[name], value) for name, value in parts.server.encoder.lora.items()}
    assert changed
    assert all(moved == ("lora_B" in name) for name, moved in changed.items())


def test_noise_is_found_for_a_budget_and_a_budget_ends_a_run(settings):
    shard = prepare(settings, 1).shards[0]
    settings = replace(settings, rounds=3 * math.ceil(len(shard) / 4))  # three epochs and more
    found = prepare(replace(settings, privacy=PrivacySettings(clip=1.0, epsilon=3.0)), 1).settings
    assert found.rounds == settings.rounds
    _, records, _ = run(replace(settings, privacy=PrivacySettings(clip=1.0, epsilon=3.0)))
    spent = [record.epsilon_rdp for record in records if isinstance(record, PrivacyRecord)]
    assert max(spent) == pytest.approx(3.0, rel=1e-4)
    assert max(spent) <= 3.0

    noise = 0.9 * found.privacy.noise_multiplier
    limited = replace(settings, privacy=PrivacySettings(clip=1.0, epsilon=3.0, noise_multiplier=noise))
    setup = prepare(limited, 1)
    assert 0 < setup.settings.rounds < settings.rounds
    _, records, _ = run(limited)
    assert max(r.epsilon_rdp for r in records if isinstance(r, PrivacyRecord)) <= 3.0
    longer = replace(setup.settings, rounds=setup.settings.rounds + 1, privacy=PrivacySettings(clip=1.0))
    after = [
        split_fedft.build(replace(setup, settings=longer), ["ue0", "ue1"]).devices[name] for name in ("ue0", "ue1")
    ]
    for device in after:
        for step in range(longer.rounds):
            device.batch(step, 0)
    assert max(accounting.epsilon(noise, device.releases.most(), 1e-5) for device in after) > 3.0


def test_a_budget_that_not_even_one_round_meets_is_refused(settings):
    private = PrivacySettings(clip=1.0, epsilon=0.5, noise_multiplier=0.1)
    with pytest.raises(ConfigurationError, match=r"epsilon is 0\.5.*first round.*noise multipliers from"):
        within_budget(replace(settings, privacy=private), prepare(settings, 1).shards)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"clip": 0.0}, "clip is 0"),
        ({"clip": math.inf}, "clip is inf"),
        ({"clip": 1.0, "head_clip": -1.0}, "head_clip is -1"),
        ({"clip": 1.0, "epsilon": 0.0}, "epsilon is 0"),
        ({"clip": 1.0, "epsilon": -2.0}, "epsilon is -2"),
        ({"clip": 1.0, "delta": 1.0}, "delta is 1"),
        ({"clip": 1.0, "delta": 0.0}, "delta is 0"),
        ({"clip": 1.0, "noise_multiplier": -1.0}, "noise_multiplier is -1"),
        ({"clip": 1.0, "noise_multiplier": math.nan}, "noise_multiplier is nan"),
        ({"noise_multiplier": 1.0}, "clip is None"),
        ({"epsilon": 1.0}, "clip is None"),
        ({"clip": 1.0, "epsilon": 1.0, "noise_multiplier": 0.0}, "noise_multiplier 0"),
    ],
)
def test_bad_settings_are_refused(wrong, text):
    with pytest.raises(ConfigurationError, match=text):
        PrivacySettings(**wrong)
