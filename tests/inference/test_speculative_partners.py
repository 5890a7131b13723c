# SPDX-License-Identifier: GPL-2.0-only
"""Beside speculative decoding: answers that are computed once, a confidence cascade, a server that fails."""

import asyncio

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_drafts import PROMPT, networks, pair

from edgelam import cosim
from edgelam.cosim.transport import Transport
from edgelam.cosim.work import WorkCounter
from edgelam.errors import ConfigurationError
from edgelam.inference.attempt import NodeLost
from edgelam.inference.migration.failures import Failures
from edgelam.inference.speculative import (
    CachedModel,
    RecordedModel,
    autoregressive,
    cascade,
    speculative,
    surviving,
)

MOST = 24


def over(main, **options):
    return cosim.simulate(main, scenario="wired-star", options={"delay": "10ms", "numEdge": "2"} | options)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(0, 39), min_size=1, max_size=4)), max_size=8))
def test_recorded_answers_are_the_models(steps):
    """Whatever is read and taken back; two of them share what is known."""
    _, plain = pair()
    _, recorded = pair(RecordedModel)
    shared = recorded.fresh()
    plain = plain.fresh()
    for back, tokens in steps:
        for model in (plain, recorded, shared):
            model.forget(max(len(model.tokens) - back, 0))
        expected = plain.read(tokens)
        for model in (recorded, shared):
            torch.testing.assert_close(model.read(tokens), expected)
            assert model.tokens == plain.tokens


@pytest.mark.parametrize(("before", "tokens"), [(0, 5), (1, 1), (17, 1), (30, 4), (90, 2)])
def test_work_between_two_counts_is_what_is_counted(before, tokens):
    _, plain = pair()
    _, recorded = pair(RecordedModel)
    for model in (plain, recorded):
        if before:
            model.read([3] * before)
    with WorkCounter() as counter:
        plain.read([4] * tokens)
    assert recorded.work(tokens) == counter.work
    assert plain.work(tokens) is None


def test_recorded_models_take_as_long():
    """Choosing tokens is not charged; it is little beside a model and a network."""

    async def main(sim, kind):
        draft, target = pair(kind)
        ue, edge, transport = sim.node("ue0"), sim.node("edge0"), Transport()
        alone = await autoregressive(edge, ue, target, PROMPT, MOST, transport)
        both = await speculative(ue, edge, draft, target, PROMPT, MOST, transport, length=3, pipelined=True)
        await transport.close()
        return alone, both

    counted, looked_up = (over(lambda sim, kind=kind: main(sim, kind)) for kind in (CachedModel, RecordedModel))
    for mine, other in zip(counted, looked_up, strict=True):
        assert mine.tokens == other.tokens
        assert [(each.drafted, each.kept) for each in mine.rounds] == [
            (each.drafted, each.kept) for each in other.rounds
        ]  # fmt: skip
        assert mine.e2e_s == pytest.approx(other.e2e_s, rel=0.02)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_a_cascade_against_slow_code(threshold):
    draft, target = networks()
    written, asked = [], 0
    with torch.no_grad():
        while len(written) < MOST:
            ids = torch.tensor([[*PROMPT, *written]])
            logits = 2 * draft(input_ids=ids).last_hidden_state[0, -1] @ draft.embed_tokens.weight.T
            confidence, token = torch.softmax(logits / 1.5, -1).max(-1)
            if confidence < threshold:
                logits = target(input_ids=ids).last_hidden_state[0, -1] @ target.embed_tokens.weight.T
                token = logits.argmax()
                asked += 1
            written.append(int(token))

    async def main(sim):
        small, large = pair()
        ue, edge, transport = sim.node("ue0"), sim.node("edge0"), Transport()
        found = await cascade(
            ue, edge, small, large, PROMPT, MOST, transport, threshold=threshold, temperature=1.5
        )  # fmt: skip
        alone = await autoregressive(edge, ue, large, PROMPT, MOST, transport)
        await transport.close()
        return found, alone

    found, alone = over(main)
    assert found.tokens == written
    assert len(found.rounds) == asked
    if threshold == 0:
        assert (found.up_bytes, found.down_bytes, asked) == (0, 0, 0)
    if threshold == 1:
        assert found.tokens == alone.tokens
        assert asked == MOST
        assert found.e2e_s > 0.02 * MOST  # a round trip for each token
    if threshold == 0.5:
        assert 0 < asked < MOST
    # each token crosses once, but for those of the server itself, which come back with the next question
    assert found.down_bytes == 4 * asked
    assert found.up_bytes <= 2 * (len(PROMPT) + MOST)


@pytest.mark.parametrize("failing_s", [0.0, 0.09, 0.2, 10.0])
def test_a_server_that_fails_in_mid_answer(failing_s):
    """The other one goes on from the tokens that the device has, and the text is the same."""
    detect_s = 0.05

    async def main(sim):
        draft, target = pair()
        ue, edges, transport = sim.node("ue0"), [sim.node("edge0"), sim.node("edge1")], Transport()
        alone = await autoregressive(edges[1], edges[1], target, PROMPT, MOST, transport)
        failures, begin_s = Failures(), sim.now_s

        async def fail():
            await asyncio.sleep(failing_s)
            failures.add("edge0")
            await asyncio.sleep(detect_s)
            failures.tell("edge0")

        failing = asyncio.create_task(fail())
        await asyncio.sleep(0)
        found = await surviving(ue, edges, draft, target, PROMPT, MOST, transport, failures, length=3)
        failing.cancel()
        return alone, found, sim.now_s - begin_s

    alone, found, taken_s = over(main)
    assert found.tokens == alone.tokens
    assert sum(found.servers.values()) == MOST
    assert found.e2e_s <= taken_s + 1e-9
    if failing_s == 0:
        assert list(found.servers) == ["edge1"]
        assert found.ttft_s > detect_s
    elif failing_s == 10:
        assert list(found.servers) == ["edge0"]
    else:
        assert list(found.servers) == ["edge0", "edge1"]
        assert found.servers["edge0"] < MOST
        assert found.e2e_s > failing_s + detect_s


def test_no_server_is_left():
    async def main(sim):
        draft, target = pair()
        failures = Failures()
        for name in ("edge0", "edge1"):
            failures.add(name)
            failures.tell(name)
        edges = [sim.node("edge0"), sim.node("edge1")]
        with pytest.raises(NodeLost, match="no server is left of edge0, edge1"):
            await surviving(sim.node("ue0"), edges, draft, target, PROMPT, MOST, Transport(), failures)

    over(main)


def test_what_is_refused():
    draft, target = pair()

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        for wrong in ({"threshold": 1.5}, {"threshold": 0.5, "temperature": 0.0}):
            with pytest.raises(ConfigurationError, match="legal are 0 to 1, and above 0 and finite"):
                await cascade(ue, edge, draft, target, PROMPT, MOST, Transport(), **wrong)
        with pytest.raises(ConfigurationError, match="legal are 1 or more, none below 0"):
            await cascade(ue, edge, draft, target, [], MOST, Transport(), threshold=0.5)

    over(main)
    with pytest.raises(ConfigurationError, match="at least one token"):
        pair(RecordedModel)[0].read([])
