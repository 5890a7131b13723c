# SPDX-License-Identifier: GPL-2.0-only
"""Policies with surfaces and behind phase shifters, and channels from pilots: constraints, symmetries, training."""

import copy

import pytest
import torch

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.channels.surface_cell import NOISE_MW, PILOT_MW
from edgelam.air.beamforming.learned import pilots, surfaces, training
from edgelam.air.beamforming.learned.ascent import ascend
from edgelam.air.beamforming.learned.hybrid import HybridPolicy
from edgelam.air.beamforming.learned.settings import PolicySettings, TrainingSettings
from edgelam.air.beamforming.learned.surfaces import SurfacePolicy
from edgelam.errors import ConfigurationError

SIZE = PolicySettings(width=8)


def stirred(kind="no-backbone"):
    """A policy that is far from where training begins."""
    policy = training.make(kind, SIZE, seed=2)
    generator = torch.Generator().manual_seed(3)
    for parameter in policy.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return policy.eval()


def assert_same(one, other):
    assert float((one - other).norm() / other.norm()) < 1e-5


def cell(samples=4, users=3, elements=12, antennas=4, seed=1):
    """Channels of random strength, direct and over a surface."""
    direct = bf.iid(samples, users, antennas, seed=seed)
    cascaded = 0.3 * bf.iid(samples, users * elements, antennas, seed=seed + 1).view(samples, users, elements, antennas)
    return bf.SurfaceDownlink(direct, cascaded, 10.0)


@pytest.mark.parametrize("kind", ["no-backbone", "unrolled-wmmse"])
def test_surfaces_keep_to_constraints_and_symmetries(kind):
    policy = SurfacePolicy(stirred(kind), rounds=3)
    problem = cell()
    with torch.no_grad():
        phases, precoder = policy(problem)
        assert phases.abs().numpy() == pytest.approx(1.0, abs=1e-6)
        assert bf.transmit_power(precoder) == pytest.approx([10.0] * 4, rel=1e-5)
        order, users = torch.randperm(12), torch.randperm(3)
        elsewhere = bf.SurfaceDownlink(problem.direct[:, users], problem.cascaded[:, users][:, :, order], 10.0)
        turned, there = policy(elsewhere)
        assert_same(turned, phases[:, order])
        assert_same(there, precoder[..., users])
        turn = torch.polar(torch.ones(3), 6 * torch.rand(3))
        elsewhere = bf.SurfaceDownlink(problem.direct * turn[:, None], problem.cascaded * turn[:, None, None], 10.0)
        turned, there = policy(elsewhere)
        assert_same(turned, phases)
        assert_same(there, precoder * turn.conj())


def test_dropout_depends_on_the_step_and_not_on_what_was_drawn_before():
    """Training that goes on after two of four steps ends as training that was never stopped."""

    class TwoSteps:
        def __init__(self, kept=None):
            self.kept = kept

        def begin(self, model, optimiser, schedule):
            if self.kept is None:
                return 0
            for own, state in zip((model, optimiser, schedule), self.kept, strict=True):
                own.load_state_dict(state)
            return 2

        def after(self, step, model, optimiser, schedule):
            if step == 2:
                self.kept = copy.deepcopy([each.state_dict() for each in (model, optimiser, schedule)])

    def train(keeper):
        torch.manual_seed(5)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        torch.rand(17 if keeper.kept else 1)  # something else is drawn
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        ascend(model, optimiser, lambda step: -model(torch.ones(3, 4) * step).square().mean(), steps=4, seed=7,
               keeper=keeper)  # fmt: skip
        return torch.cat([weight.flatten() for weight in model.parameters()])

    keeper = TwoSteps()
    whole = train(keeper)
    assert torch.equal(train(TwoSteps(keeper.kept)), whole)


def test_rounds_climb_the_rate_and_training_climbs_on():
    problem = bf.surface_cell(6, seed=3)
    policy = SurfacePolicy(training.make("unrolled-wmmse", SIZE), rounds=3)
    rates = []
    with torch.no_grad():
        for number in range(4):
            few = SurfacePolicy(policy.policy, number)
            phases, precoder = few(problem)
            rates.append(float(problem.at(phases).weighted_sum_rate(precoder).mean()))
    assert rates == sorted(rates)
    assert rates[-1] > rates[0] + 0.3
    told = []
    surfaces.train(policy, steps=8, batch_size=6, learning_rate=3e-2, seed=4, told=lambda step, rate: told.append(rate))
    with torch.no_grad():
        phases, precoder = policy(problem)
    assert len(told) == 8
    assert float(problem.at(phases).weighted_sum_rate(precoder).mean()) > rates[-1]


@pytest.mark.parametrize(("chains_per_user", "structure"), [(1, "fully"), (2, "fully"), (1, "partly")])
def test_hybrid_keeps_to_shifters_and_symmetries(chains_per_user, structure):
    policy = HybridPolicy(stirred(), chains_per_user, structure)
    problem = bf.Downlink(bf.iid(5, 3, 12, seed=1), 10.0)
    with torch.no_grad():
        parts = policy.parts(problem)
        modulus = parts.analog.abs()
        connected = torch.ones_like(modulus)
        if structure == "partly":
            connected = (torch.arange(12)[:, None] // 4 == torch.arange(3)).float().expand_as(modulus)
        torch.testing.assert_close(modulus, connected, atol=1e-5, rtol=0)
        assert bf.transmit_power(parts.product) == pytest.approx([10.0] * 5, rel=1e-4)
        torch.testing.assert_close(policy(problem), parts.product)
        if structure == "fully":  # the order of the antennas and users
            antennas, users = torch.randperm(12), torch.randperm(3)
            there = policy(bf.Downlink(problem.channel[:, users][..., antennas], 10.0))
            assert_same(there, parts.product[:, antennas][..., users])
        turn = torch.polar(torch.ones(3), 6 * torch.rand(3))
        assert_same(policy(bf.Downlink(problem.channel * turn[:, None], 10.0)), parts.product * turn.conj())


def test_two_chains_for_each_user_are_as_good_as_digital():
    """No projection loses anything: the policy behind them is WMMSE itself, as many trained numbers of which are 1."""
    policy = training.make("unrolled-wmmse", PolicySettings(iterations=20))
    problem = bf.Downlink(bf.iid(30, 4, 12, seed=2), 10.0)
    with torch.no_grad():
        digital = problem.weighted_sum_rate(bf.wmmse(problem)).mean()
        rate = problem.weighted_sum_rate(HybridPolicy(policy, 2)(problem)).mean()
    assert 0.998 < float(rate / digital) < 1.0001
    flat = bf.Downlink(torch.ones(1, 1, 8, dtype=torch.complex64), 10.0)  # the chains of a user are alike
    with torch.no_grad():
        assert_same(HybridPolicy(policy, 2)(flat), bf.mrt(flat))


def test_training_goes_through_the_projection():
    policy = HybridPolicy(training.make("no-backbone", SIZE, seed=1))
    few = TrainingSettings(steps=40, batch_size=32, users=(4, 4), extra_antennas=(1, 1), snr_db=(10.0, 10.0),
                           learning_rate=5e-3)  # fmt: skip
    problem = bf.Downlink(bf.iid(200, 4, 5, seed=8), 10.0)
    with torch.no_grad():
        before = float(problem.weighted_sum_rate(policy(problem)).mean())
    training.train(policy, few, seed=1)
    with torch.no_grad():
        assert float(problem.weighted_sum_rate(policy(problem)).mean()) > before + 0.01


def test_hybrid_refuses():
    policy = stirred()
    with pytest.raises(ConfigurationError, match="legal are 1 to 2"):
        HybridPolicy(policy, 3)
    with pytest.raises(ConfigurationError, match="legal are 1 to 1"):
        HybridPolicy(policy, 2, "partly")
    with pytest.raises(ConfigurationError, match="6 RF chains for 4 antennas"):
        HybridPolicy(policy, 2)(bf.Downlink(bf.iid(1, 3, 4, seed=1)))
    with pytest.raises(ConfigurationError, match="3 RF chains for parts of 4 antennas"):
        HybridPolicy(policy, 1, "partly")(bf.Downlink(bf.iid(1, 3, 4, seed=1)))


@pytest.fixture(scope="module")
def received():
    """A cell, its pilots over five sub-frames, and draws of the past."""
    phases = bf.random_phases(5, 100, seed=3, dtype=torch.complex128)
    channels = bf.surface_cell(20, seed=7)
    known, variance = bf.receive_pilots(channels, phases, power=PILOT_MW, noise_power=NOISE_MW, seed=5)
    return channels, phases, known, variance, bf.surface_cell(120, seed=8)


def test_pilots_tell_more_than_lmmse_makes_of_them(received):
    channels, phases, known, variance, past = received
    encoder = pilots.PilotEncoder(past, phases, variance, codes=300)
    with torch.no_grad():
        mine = [pilots.error(x, y) for x, y in zip(encoder(known), (channels.direct, channels.cascaded), strict=True)]
        alone = encoder(known[3])
        torch.testing.assert_close(alone[1], encoder(known)[1][3])
        order = torch.tensor([2, 0, 1])
        torch.testing.assert_close(encoder(known[:, order])[1], encoder(known)[1][:, order])
    estimates = bf.lmmse(known, phases, variance, bf.prior(past.direct, past.cascaded))
    theirs = [pilots.error(x.to(torch.complex64), y)
              for x, y in zip(estimates, (channels.direct, channels.cascaded), strict=True)]  # fmt: skip
    assert float(mine[0]) < 1.1 * float(theirs[0])
    assert float(mine[1]) < 0.75 * float(theirs[1])
    told = []
    pilots.train(encoder, pilots.cells, phases, power=PILOT_MW, noise_power=NOISE_MW, steps=25, batch_size=32, seed=1,
                 learning_rate=5e-4, told=lambda step, error: told.append(error))  # fmt: skip
    with torch.no_grad():
        direct, cascaded = encoder(known)
    after = pilots.error(direct, channels.direct) + pilots.error(cascaded, channels.cascaded)
    assert float(after) < float(sum(mine))
    assert len(told) == 25


def test_pilots_refused(received):
    _, phases, known, variance, past = received
    with pytest.raises(ConfigurationError, match="legal are 1 to 360"):
        pilots.PilotEncoder(past, phases, variance, codes=361)
    with pytest.raises(ConfigurationError, match=r"legal is \[sub-frame, 100\]"):
        pilots.PilotEncoder(past, phases[:, :99], variance, codes=10)
    with pytest.raises(ConfigurationError, match="not finite"):
        pilots.PilotEncoder(past, phases, variance, codes=10)(known * float("nan"))
    encoder = pilots.PilotEncoder(past, phases, variance, codes=10)
    with pytest.raises(ConfigurationError, match=r"legal is \[..., user, 5, 8\]"):
        encoder(known[..., :4, :])
