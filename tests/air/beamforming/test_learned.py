# SPDX-License-Identifier: GPL-2.0-only
"""Learned beamforming: symmetries, the power limit, where training begins and that it helps, and what is refused."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, BloomConfig, BloomModel, GPT2Config, GPT2Model, LlamaConfig, LlamaModel

from edgelam.air import beamforming
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.policy import structured
from edgelam.air.beamforming.learned.settings import KINDS, PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError
from edgelam.models import LoraSettings

SHORT = TrainingSettings(steps=80, batch_size=48, users=(3, 4), extra_antennas=(0, 1), snr_db=(10.0, 10.0),
                         learning_rate=3e-3)  # fmt: skip


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Small random models: attention to both sides, and causal with learnt and with rotary positions."""
    torch.manual_seed(1)
    made = {
        "bert": BertModel(BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                                     intermediate_size=32, max_position_embeddings=40), add_pooling_layer=False),
        "gpt2": GPT2Model(GPT2Config(vocab_size=64, n_positions=40, n_embd=16, n_layer=2, n_head=2)),
        "llama": LlamaModel(LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
                                        num_attention_heads=2, max_position_embeddings=40)),
    }  # fmt: skip
    folders = {}
    for name, model in made.items():
        folders[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(folders[name])
    return folders


def small(folder):
    targets = {"gpt2": ("c_attn",), "llama": ("q_proj", "v_proj")}.get(folder.name[:-1], ())
    return PolicySettings(backbone=str(folder), width=16, lora=LoraSettings(rank=2, targets=targets))


def stirred(kind, folder):
    """A policy that is far from where training begins."""
    policy = training.make(kind, small(folder), seed=2)
    generator = torch.Generator().manual_seed(3)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return policy.eval()


def draw(samples, users, antennas, *, seed=1, weights=None):
    return Downlink(beamforming.iid(samples, users, antennas, seed=seed), power=10.0, weights=weights)


def assert_same(one, other):
    assert float((one - other).norm() / other.norm()) < 1e-5


POLICIES = [*((kind, "bert") for kind in KINDS), ("graph-lam", "gpt2"), ("graph-lam", "llama")]


@pytest.mark.parametrize(("kind", "name"), POLICIES)
def test_symmetries_and_power(backbones, kind, name):
    policy = stirred(kind, backbones[name])
    for users, antennas in ((4, 4), (3, 6), (7, 7), (1, 2)):
        problem = draw(5, users, antennas, weights=torch.rand(users) + 0.2)
        with torch.no_grad():
            precoder = policy(problem)
            assert beamforming.transmit_power(precoder) == pytest.approx([10.0] * 5, rel=1e-5)
            order = torch.randperm(users)
            assert_same(policy(Downlink(problem.channel[:, order], 10.0, weights=problem.weights[order])),
                        precoder[..., order])  # fmt: skip
            phase = torch.polar(torch.ones(users), torch.rand(users) * 6)
            turned = policy(Downlink(problem.channel * phase[:, None], 10.0, weights=problem.weights))
            assert_same(turned, precoder * phase.conj())
            unitary = torch.linalg.qr(torch.randn(antennas, antennas, dtype=torch.complex64))[0]
            there = policy(Downlink(problem.channel @ unitary, 10.0, weights=problem.weights))
            assert_same(unitary @ there, precoder)
            both = Downlink(2 * problem.channel, 10.0, 4.0, problem.weights)
            assert_same(policy(both), precoder)


@pytest.mark.parametrize("kind", KINDS)
def test_training_begins_at_rzf_or_one_round_of_wmmse(backbones, kind):
    problem = draw(6, 4, 5)
    policy = training.make(kind, small(backbones["bert"]), seed=2)
    with torch.no_grad():
        rate = problem.weighted_sum_rate(policy(problem))
    wanted = beamforming.rzf(problem)
    if kind == "unrolled-wmmse":
        wanted = beamforming.wmmse(problem, starts=1, iterations=PolicySettings().iterations)
    torch.testing.assert_close(rate, problem.weighted_sum_rate(wanted), rtol=1e-4, atol=1e-4)


@given(st.integers(1, 4), st.integers(0, 3), st.floats(-10, 30), st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_every_optimum_has_the_form_of_the_policies(users, more, snr_db, seed):
    """Factors of WMMSE at its end, put into the form, give its precoder's rate."""
    channel = beamforming.iid(1, users, users + more, seed=seed, dtype=torch.complex128)
    problem = Downlink(channel, 10 ** (snr_db / 10))
    best = beamforming.wmmse(problem, iterations=3000)
    gram = problem.scaled @ problem.scaled.mH
    received = problem.scaled @ best / problem.at_full_power(best).norm()
    wanted = received.diagonal(dim1=-2, dim2=-1).abs().square()
    total = received.abs().square().sum(-1) + 1
    share = wanted / total**2 / (1 - wanted / total)
    powers = best.abs().square().sum(-2)
    flat = Downlink(problem.scaled)
    again = problem.at_full_power(structured(flat, share.clamp(min=1e-30).log(), powers.clamp(min=1e-30).log()))
    assert gram.shape[-1] == users
    assert float(problem.weighted_sum_rate(again)) == pytest.approx(float(problem.weighted_sum_rate(best)), rel=1e-2)


@pytest.mark.parametrize("kind", ["graph-lam", "gnn", "unrolled-wmmse"])
def test_training_comes_closer_to_wmmse_and_repeats(backbones, kind):
    judged = draw(200, 4, 4, seed=9)
    one, other, policy = (training.make(kind, small(backbones["bert"]), seed=4) for _ in range(3))
    for each in (one, other):
        training.train(each, replace(SHORT, steps=4), seed=5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with torch.no_grad():
        before = float(judged.weighted_sum_rate(policy(judged)).mean())
    training.train(policy, SHORT, seed=5)
    with torch.no_grad():
        rate = float(judged.weighted_sum_rate(policy(judged)).mean())
    best = float(judged.weighted_sum_rate(beamforming.wmmse(judged)).mean())
    assert before < rate < best * 1.001
    assert rate > before + (0.2 if kind != "unrolled-wmmse" else 0.0) * (best - before)


def test_only_what_is_trained_changes_and_controls_are_of_one_size(backbones):
    chosen = small(backbones["bert"])
    lam = training.make("graph-lam", chosen, seed=4)
    frozen = {name: value.clone() for name, value in lam.named_parameters() if not value.requires_grad}
    training.train(lam, replace(SHORT, steps=3), seed=5)
    assert frozen
    assert all(torch.equal(frozen[name], value) for name, value in lam.named_parameters() if name in frozen)
    assert training.make("graph-lam-random", chosen).trained() == lam.trained()
    assert training.make("gnn", chosen).trained() == pytest.approx(lam.trained(), rel=0.1)
    assert training.make("no-backbone", chosen).trained() < lam.trained()


def test_checkpoints(backbones, tmp_path):
    policy = stirred("graph-lam", backbones["bert"])
    training.save(policy, tmp_path / "one.safetensors")
    fresh = training.make("graph-lam", small(backbones["bert"]), seed=8)
    training.load(fresh, tmp_path / "one.safetensors")
    problem = draw(3, 4, 4)
    with torch.no_grad():
        assert torch.equal(fresh.eval()(problem), policy(problem))
    with pytest.raises(ConfigurationError, match="of another policy"):
        training.load(training.make("gnn", small(backbones["bert"])), tmp_path / "one.safetensors")
    (tmp_path / "two.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match="no checkpoint"):
        training.load(fresh, tmp_path / "two.safetensors")
    kept = load_file(tmp_path / "one.safetensors")
    save_file({name: value.to(torch.int32) for name, value in kept.items()}, tmp_path / "whole-numbers.safetensors")
    with pytest.raises(ConfigurationError, match="of another policy, or damaged"):
        training.load(fresh, tmp_path / "whole-numbers.safetensors")


def test_refused(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bloom")  # ALiBi: no positions are given
    BloomModel(BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2)).save_pretrained(folder)
    targets = LoraSettings(rank=2, targets=("query_key_value",))
    with pytest.raises(ConfigurationError, match="counts positions itself"):
        training.make("graph-lam", PolicySettings(backbone=str(folder), layers=1, lora=targets))
    with pytest.raises(ConfigurationError, match="no policy is called 'gn'"):
        training.make("gn", PolicySettings())
    for wrong in ({"users": (5, 4)}, {"users": (0, 4)}, {"snr_db": (0.0, float("nan"))}, {"steps": 0},
                  {"weight_range": 0.5}, {"minimum_rate": float("nan")}, {"gain_range_db": -1.0}):  # fmt: skip
        with pytest.raises(ConfigurationError, match=r"legal|at least"):
            TrainingSettings(**wrong)
    with pytest.raises(ConfigurationError, match="width is 0"):
        PolicySettings(width=0)
