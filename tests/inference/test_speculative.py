# SPDX-License-Identifier: GPL-2.0-only
"""Speculative decoding: exact with and without a temperature, over a network, and beside decoding at the server."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from small_drafts import PROMPT, pair

from edgelam import cosim
from edgelam.cosim.transport import Transport
from edgelam.errors import ConfigurationError
from edgelam.inference.migration.handover import jointly
from edgelam.inference.speculative import (
    DraftLength,
    Lattice,
    autoregressive,
    distribution,
    expected_tokens,
    speculative,
    verify,
)
from edgelam.inference.speculative.verification import drawn
from edgelam.random_streams import from_numbers


@pytest.fixture(scope="module")
def models():
    return pair()


def on(scenario, main, **options):
    nodes = {"ue0": "ue", "edge0": "edge"} if scenario is None else None
    return cosim.simulate(main, scenario=scenario, nodes=nodes, **options)


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("length", [1, 3, 6, "adaptive"])
def test_greedy_tokens_are_those_of_the_target(models, length, pipelined):
    draft, target = models

    async def main(sim):
        ue, edge, transport = sim.node("ue0"), sim.node("edge0"), Transport()
        alone = await autoregressive(edge, ue, target, PROMPT, 25, transport)
        chosen = DraftLength(8) if length == "adaptive" else length
        both = await speculative(ue, edge, draft, target, PROMPT, 25, transport, length=chosen, pipelined=pipelined)
        end = await speculative(ue, edge, draft, target, PROMPT, 25, transport, length=3, end=alone.tokens[10])
        await transport.close()
        return alone, both, end

    alone, both, end = on(None, main)
    assert both.tokens == alone.tokens
    assert len(both.tokens) == 25
    assert end.tokens == alone.tokens[: alone.tokens.index(alone.tokens[10]) + 1]
    kept = sum(each.kept for each in both.rounds)
    assert 0 < kept < sum(each.drafted for each in both.rounds)  # the draft is neither perfect nor useless


def test_the_target_as_its_own_draft_is_always_right(models):
    _, target = models

    async def main(sim):
        return await speculative(
            sim.node("ue0"), sim.node("edge0"), target, target, PROMPT, 20, Transport(), length=4, pipelined=True
        )

    found = on(None, main)
    assert all(each.kept == each.drafted for each in found.rounds)
    assert len(found.rounds) == 4


def chain(seed, vocabulary=4):
    """Return random distributions of the next token after every prefix, float64 [V]."""

    @functools.cache
    def after(prefix):
        weights = from_numbers(seed, len(prefix), *prefix).random(vocabulary) ** 3
        return torch.from_numpy(weights / weights.sum())

    return after


@pytest.mark.parametrize("lattice", [None, Lattice(3, 8)])
@pytest.mark.parametrize("wrong", [False, True])
def test_sampled_tokens_have_the_targets_distribution(lattice, wrong):
    p, q = chain(1), chain(2)
    draw = from_numbers(3)
    counts = dict.fromkeys(itertools.product(range(4), repeat=2), 0)
    quantised = functools.cache(lambda prefix: q(prefix) if lattice is None else lattice.quantised(q(prefix)))
    samples = 4000
    for _ in range(samples):
        found: tuple[int, ...] = ()
        while len(found) < 2:
            draft: list[int] = []
            rows = []
            for _ in range(2):
                row = quantised((*found, *draft))
                draft.append(drawn(row, draw))
                rows.append(row if not wrong else q((*found, *draft)))
            targets = torch.stack([p((*found, *draft[:i])) for i in range(3)])
            verdict = verify(draft, torch.stack(rows), targets, draw)
            found = (*found, *draft[: verdict.kept], verdict.token)
        counts[found[:2]] += 1
    expected = {pair: float(p(())[pair[0]] * p((pair[0],))[pair[1]]) * samples for pair in counts}
    level = chisquare(list(counts.values()), list(expected.values())).pvalue
    assert level < 1e-6 if wrong else level > 1e-3  # with distributions that the draft was not drawn from, it shows


def test_a_model_with_a_temperature_draws_what_the_target_would(models):
    draft, target = models

    async def main(sim):
        ue, edge, transport = sim.node("ue0"), sim.node("edge0"), Transport()
        firsts = []
        for i in range(150):
            found = await speculative(
                ue, edge, draft, target, PROMPT, 1, transport, length=2, temperature=1.0, draw=from_numbers(9, i),
                lattice=Lattice(10, 64),
            )  # fmt: skip
            firsts.append(found.tokens[0])
        return firsts

    firsts = on(None, main)
    p = distribution(target.fresh().read(PROMPT)[-1], 1.0).numpy()
    common = np.argsort(-p)[:3]
    expected = [*(p[common] * 150), (1 - p[common].sum()) * 150]
    found = [firsts.count(int(token)) for token in common]
    assert chisquare([*found, 150 - sum(found)], expected).pvalue > 1e-3


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 500), st.integers(0, 2**32))
def test_a_lattice_is_a_distribution_close_to_the_exact_one(tokens, resolution, seed):
    exact = torch.from_numpy(from_numbers(seed).dirichlet(np.ones(40) * 0.3))
    found = Lattice(tokens, resolution).quantised(exact)
    counts = found * resolution
    assert float(found.sum()) == pytest.approx(1)
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-9)
    assert int((found > 0).sum()) <= min(tokens, 40)
    kept = exact.clone()
    kept[torch.sort(exact, descending=True, stable=True).indices[tokens:]] = 0
    assert (found - kept / kept.sum()).abs().max() <= 1 / resolution + 1e-12


def test_bytes_of_a_distribution_by_hand():
    assert Lattice(1, 1).wire_bytes(256) == 1  # which token
    assert Lattice(2, 3).wire_bytes(4) == 1  # 6 subsets in 3 bits, 4 compositions in 2
    k, v, r = 64, 49_152, 256
    bits = math.ceil(math.log2(math.comb(v, k))) + math.ceil(math.log2(math.comb(r + k - 1, k - 1)))
    assert Lattice(k, r).wire_bytes(v) == math.ceil(bits / 8) == 116
    assert Lattice(100).wire_bytes(20) < 40


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(0, 8))
def test_expected_tokens_are_the_sum_of_their_probabilities(acceptance, drafted):
    assert expected_tokens(acceptance, drafted) == pytest.approx(sum(acceptance**i for i in range(drafted + 1)))


def test_expected_tokens_of_independent_acceptance():
    draw = from_numbers(4)
    rounds = [next((i for i in range(5) if draw.random() >= 0.8), 5) + 1 for _ in range(20_000)]
    assert np.mean(rounds) == pytest.approx(expected_tokens(0.8, 5), rel=0.01)


def test_longer_drafts_for_longer_ways_and_better_drafts():
    def settled(acceptance, way_s):
        length = DraftLength(16)
        draw = from_numbers(1)
        for _ in range(300):
            g = length.length
            kept = next((i for i in range(g) if draw.random() >= acceptance), g)
            length.seen(g, kept, g * 0.01, g * 0.01 + way_s)
        return length.length

    assert settled(0.8, 0.01) < settled(0.8, 0.3)
    assert settled(0.3, 0.1) < settled(0.9, 0.1)
    assert settled(0.05, 0.0) == 1


@pytest.mark.parametrize("delay", ["1ms", "60ms"])
def test_over_a_network(models, delay):
    draft, target = models

    async def main(sim):
        ue, edge, transport = sim.node("ue0"), sim.node("edge0"), Transport()
        for _ in range(2):  # the first opens connections
            alone = await autoregressive(edge, ue, target, PROMPT, 12, transport)
            both = await speculative(ue, edge, draft, target, PROMPT, 12, transport, length=3)
            drawn = await speculative(
                ue, edge, draft, target, PROMPT, 12, transport, length=3, temperature=1.0, draw=from_numbers(1),
                lattice=Lattice(8, 64),
            )  # fmt: skip
        here = await autoregressive(edge, edge, target, PROMPT, 12, transport)
        await transport.close()
        return alone, both, drawn, here

    alone, both, sampled, here = on("wired-star", main, options={"delay": delay})
    way_s = float(delay[:-2]) / 1e3
    assert both.tokens == alone.tokens == here.tokens
    assert alone.up_bytes == 2 * len(PROMPT)
    assert both.up_bytes == 2 * (len(PROMPT) + sum(each.drafted for each in both.rounds))
    assert both.down_bytes == 5 * len(both.rounds)
    drafted = sum(each.drafted for each in sampled.rounds)
    assert sampled.up_bytes == 2 * len(PROMPT) + drafted * (2 + Lattice(8, 64).wire_bytes(40))
    assert (here.up_bytes, here.down_bytes) == (0, 0)
    assert both.e2e_s >= 2 * way_s * len(both.rounds)  # each round goes there and back
    assert alone.e2e_s == pytest.approx(
        here.e2e_s + 2 * way_s, rel=0.2, abs=0.003
    )  # tokens follow one another on the way
    assert here.e2e_s < alone.e2e_s < both.e2e_s


@settings(deadline=None)
@given(st.integers(1, 300), st.floats(1e3, 1e6), st.floats(1e6, 1e10), st.floats(1e-5, 1e-1))
def test_a_joint_handover_is_the_fastest_of_all_divisions(tokens, bits, rate, token_s):
    found = jointly(tokens, bits, rate, token_s)
    least = min(max(m * token_s, (tokens - m) * bits / rate) for m in range(tokens + 1))
    assert found.seconds == pytest.approx(least)
    assert found.prefilled + found.sent == tokens
    exact = tokens * (bits / rate) / (token_s + bits / rate)
    assert abs(found.prefilled - exact) <= 1


def test_what_is_refused(models):
    _, target = models
    with pytest.raises(ConfigurationError, match="temperature is -1; legal is 0"):
        distribution(torch.zeros(3), -1)
    with pytest.raises(ConfigurationError, match="resolution 0"):
        Lattice(3, 0)
    with pytest.raises(ConfigurationError, match="first is 0 and most 4"):
        DraftLength(4, first=0)
    with pytest.raises(ConfigurationError, match="acceptance 2"):
        expected_tokens(2, 3)
    with pytest.raises(ConfigurationError, match="tokens 0"):
        jointly(0, 1, 1, 1)
    fresh = target.fresh()
    fresh.read(PROMPT)
    with pytest.raises(ConfigurationError, match="length is 5; legal are 0 to 4"):
        fresh.forget(5)

    async def main(sim):
        edge = sim.node("edge0")
        for wrong in ({"temperature": 1.0}, {"draw": from_numbers(1)}):
            with pytest.raises(ConfigurationError, match="a temperature above 0 needs random numbers"):
                await autoregressive(edge, edge, target, PROMPT, 3, Transport(), **wrong)
        with pytest.raises(ConfigurationError, match="legal are 1 or more, none below 0"):
            await autoregressive(edge, edge, target, [], 3, Transport())

    on(None, main)
