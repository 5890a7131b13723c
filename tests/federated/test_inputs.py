# SPDX-License-Identifier: GPL-2.0-only
"""Noise on embeddings: its distribution, that a sample has the same noise each time, and what an attack still names."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, LeakRecord, SplitFedFTSettings, prepare, split_fedft
from edgelam.federated.attacks import attack_tokens
from edgelam.federated.inputs import InputNoise, embed
from edgelam.learning.privacy.metric import metric_noise
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.models import LoraSettings
from edgelam.random_streams import torch_generator

NODES = {"ue0": "ue", "ue1": "ue", "edge0": "edge"}


@pytest.fixture(scope="module")
def texts(tiny_text_bert) -> SplitFedFTSettings:
    return SplitFedFTSettings(backbone=str(tiny_text_bert), num_devices=2, rounds=2, batch_size=4, evaluations=1,
                              test_samples=20, lora=LoraSettings(rank=2))  # fmt: skip


def run(settings):
    records, sent = [], []

    async def main(sim):
        return await METHODS["split-fedft"](sim, prepare(settings, 1), records.append)

    return cosim.simulate(main, nodes=NODES, on_transfer=sent.append), records, sent


def test_one_dimension_is_laplacian():
    noise = metric_noise(4000, 1, 3.0, torch_generator(1))[:, 0].numpy()
    assert scipy.stats.kstest(noise, scipy.stats.laplace(scale=1 / 3).cdf).pvalue > 0.01


def test_length_is_gamma_and_direction_uniform():
    noise = metric_noise(4000, 16, 2.0, torch_generator(2))
    lengths = noise.norm(dim=1)
    assert scipy.stats.kstest(lengths.numpy(), scipy.stats.gamma(16, scale=0.5).cdf).pvalue > 0.01
    directions = (noise / lengths[:, None]).numpy()
    assert np.abs(directions.mean(axis=0)).max() < 5 / np.sqrt(4000 * 16)
    assert np.cov(directions.T) == pytest.approx(np.eye(16) / 16, abs=0.01)


def test_a_sample_has_the_same_noise_in_every_batch(texts):
    samples = prepare(texts, 1).shards[0].samples
    module, noise = prepare(texts, 1).embedding(), InputNoise(5.0, seed=7)
    together = embed(module, samples.batch(np.array([3, 0, 5])), noise)
    alone = embed(module, samples.batch(np.array([0])), noise)
    length = alone.shape[1]
    torch.testing.assert_close(together[1, :length], alone[0])
    plain = embed(module, samples.batch(np.array([3, 0, 5])), None)
    batch = samples.batch(np.array([3, 0, 5]))
    assert torch.equal(together[~batch.mask], plain[~batch.mask])  # padding has none
    assert not torch.equal(together[1, :length], plain[1, :length])
    assert not torch.equal(InputNoise(5.0, seed=8).on(plain, batch), together)


def test_noise_hides_tokens_and_without_it_all_are_named(texts):
    setup = prepare(texts, 1)
    named = {
        eta: attack_tokens("m", "ue0", setup.embedding(), setup.shards[0].samples, eta and InputNoise(eta, 1))
        for eta in (None, 1e4, 100.0, 1.0)
    }
    assert named[None].recovered == named[1e4].recovered == 1.0
    assert named[1.0].recovered < 0.1
    assert named[1.0].recovered <= named[100.0].recovered <= 1.0
    assert named[1e4].noise_length == pytest.approx(16 / 1e4)
    table = setup.embedding().table.weight.double()
    distances = torch.cdist(table[:1], table)[0].sort().values
    assert 0 < named[None].token_distance < 3 * distances[1:].mean()


def test_a_run_sends_noisy_embeddings_and_says_what_they_tell(texts):
    noisy = replace(texts, privacy=PrivacySettings(embedding_eta=1.0))
    _, records, sent = run(noisy)
    leaks = [record for record in records if isinstance(record, LeakRecord)]
    assert [(leak.node, leak.embedding_eta) for leak in leaks] == [("ue0", 1.0), ("ue1", 1.0)]
    assert all(leak.recovered < 0.2 and leak.tokens == 256 for leak in leaks)
    outcome, plain, same = run(texts)
    assert not [record for record in plain if isinstance(record, LeakRecord)]
    assert [t.size_bytes for t in sent] == [t.size_bytes for t in same]
    assert run(noisy)[0] == run(noisy)[0] != outcome
    clipped = run(replace(texts, privacy=PrivacySettings(clip=1.0)))[1]
    assert [leak.recovered for leak in clipped if isinstance(leak, LeakRecord)] == [1.0, 1.0]


def test_what_is_sent_and_evaluated_has_the_noise(texts):
    setup = prepare(replace(texts, privacy=PrivacySettings(embedding_eta=2.0)), 1)
    worker = split_fedft.build(setup, ["ue0", "ue1"]).devices["ue0"]
    batch = worker.batch(0, 0)
    tokens, lengths = worker.embed(batch)
    noise = split_fedft.input_noise(setup, "ue0").of(batch.samples, lengths, tokens.shape[1])
    torch.testing.assert_close(tokens - noise, worker.embedding(batch.inputs)[batch.mask], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, -1.0, float("inf"), float("nan")])
def test_refused(eta):
    with pytest.raises(ConfigurationError, match="embedding_eta"):
        PrivacySettings(embedding_eta=eta)
