# SPDX-License-Identifier: GPL-2.0-only
"""Servers that fail in the middle of moves and turns: sessions begin again elsewhere with the same tokens, or are lost
with a record."""

import asyncio
import functools

import pytest
import torch
from small_llama import small_llama

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Service
from edgelam.inference.migration import Hosting
from edgelam.modalities.session import SessionTurn

WIRED = {"scenario": "wired-star", "options": {"numUe": "2", "numEdge": "3", "rate": "2Mbps", "edgeRate": "5Mbps"}}
COMPUTING = Computing()
MOVE_S = 0.5
TURNS = 6
TOKENS = 11  # of a turn, read and written


def asked(turn):
    return {"ids": torch.arange(6) + 7 * turn, "most_tokens": torch.tensor([5])}


def talk(failures=None, *, spare=("edge0", "edge1", "edge2"), repository="edge2", move=True):
    """A session at edge0 has turns; at `MOVE_S` it begins to move to edge1; failures: node -> time."""
    transfers = []

    async def main(sim):
        module = SessionTurn("language", small_llama())
        hosting = Hosting(
            sim, Service("language", module, encoding="exact"), computing=COMPUTING, spare=spare, repository=repository
        )  # fmt: skip
        hosting.begin("ue0", "edge0", module.empty_state())

        async def at(time_s, make):
            await asyncio.sleep(time_s)
            await make()

        others = [asyncio.create_task(at(time_s, functools.partial(hosting.fail, node)))
                  for node, time_s in (failures or {}).items()]  # fmt: skip
        if move:
            others.append(asyncio.create_task(at(MOVE_S, lambda: hosting.move("ue0", "edge1"))))
        for turn in range(TURNS):
            await hosting.turn("ue0", asked(turn))
            await asyncio.sleep(0.3)
        await asyncio.gather(*others)
        await hosting.close()
        left = {name: node.memory.held() for name, node in sim.nodes.items() if node.memory.held()}
        return hosting, left

    hosting, left = cosim.simulate(main, on_transfer=transfers.append, **WIRED)
    assert not left
    assert len(hosting.turns) == TURNS
    return hosting, transfers


@pytest.fixture(scope="module")
def whole():
    """The run without a failure, and the time in the middle of each phase of its move."""
    hosting, transfers = talk()
    (move,) = hosting.moves
    assert move.status == "complete"
    between = [each for each in transfers if each.source == "edge0" and each.receiver == "edge1"]
    phases = dict(zip(("weights", "copy", "rest"), between, strict=True))
    return hosting, {name: (each.queued_s + each.last_byte_s) / 2 for name, each in phases.items()}


@pytest.mark.parametrize("phase", ["weights", "copy", "rest"])
@pytest.mark.parametrize("node", ["edge0", "edge1"])
def test_a_node_that_fails_in_a_move_loses_no_turn(whole, node, phase):
    without, middle_s = whole
    hosting, _ = talk({node: middle_s[phase]})
    (move,) = hosting.moves
    assert (move.status, move.reason) == ("failed", f"{node} has failed")
    assert [turn.status for turn in hosting.turns] == ["complete"] * TURNS
    assert [turn.answer for turn in hosting.turns] == [turn.answer for turn in without.turns]
    assert [turn.session_tokens for turn in hosting.turns] == [TOKENS * (n + 1) for n in range(TURNS)]
    again = [turn for turn in hosting.turns if turn.prefilled_tokens]
    if node == "edge1":  # the session goes on where it was
        assert not again
        assert not hosting.losses
        assert {turn.node for turn in hosting.turns} == {"edge0"}
        return
    (loss,) = hosting.losses
    (first,) = again
    assert (loss.user, loss.node, loss.status) == ("ue0", "edge0", "prefilled")
    assert loss.target in ("edge1", "edge2")
    assert loss.failed_s == pytest.approx(middle_s[phase])
    assert loss.known_s == pytest.approx(middle_s[phase] + 0.1)
    assert first.prefilled_tokens == loss.session_tokens == TOKENS * first.turn
    assert {turn.node for turn in hosting.turns[first.turn :]} == {loss.target}
    assert {turn.node for turn in hosting.turns[: first.turn]} == {"edge0"}


@pytest.mark.parametrize("part", [0.2, 0.9])
def test_a_turn_under_which_its_node_fails_is_done_again_elsewhere(part):
    """The node fails while the request is on its way; or when the answer was computed, and its tokens are on theirs."""
    without, _ = talk(move=False)
    third = without.turns[2]
    hosting, _ = talk({"edge0": third.start_s + part * (third.end_s - third.start_s)}, move=False)
    turn = hosting.turns[2]
    assert turn.attempts == 2
    assert turn.prefilled_tokens == 2 * TOKENS
    assert turn.node != "edge0"
    assert turn.tokens == 5
    assert [each.answer for each in hosting.turns] == [each.answer for each in without.turns]


def test_servers_that_fail_one_after_the_other_and_the_last_one():
    """The second failure is not known yet when the session looks for a place; after the third, there is none."""
    hosting, _ = talk({"edge0": 0.5, "edge1": 0.55, "edge2": 1.5}, repository=None, spare=("edge1",), move=False)
    assert [loss.status for loss in hosting.losses] == ["lost"]
    hosting, _ = talk({"edge0": 0.5, "edge1": 0.55, "edge2": 1.5}, move=False)
    assert [loss.status for loss in hosting.losses][-1] == "lost"
    assert hosting.losses[0].node == "edge0"
    failed = [turn for turn in hosting.turns if turn.status == "failed"]
    assert failed
    assert all("the session of ue0 was lost: edge2 has failed" in turn.reason for turn in failed)
    assert all(turn.status == "complete" for turn in hosting.turns[: -len(failed)])


def test_a_user_that_fails_ends_its_turn_with_a_reason():
    hosting, _ = talk({"ue0": 0.5}, move=False)
    assert {turn.reason for turn in hosting.turns if turn.status == "failed"} == {"ue0 has failed"}


def test_what_is_not_legal_is_refused():
    service = Service("language", SessionTurn("language", small_llama()), encoding="exact")

    async def main(sim):
        with pytest.raises(ConfigurationError, match="detect_s is -1"):
            Hosting(sim, service, detect_s=-1)
        with pytest.raises(ConfigurationError, match="no node 'edge9'"):
            Hosting(sim, service, spare=("edge9",))
        hosting = Hosting(sim, service)
        with pytest.raises(ConfigurationError, match="no node 'edge9'"):
            await hosting.fail("edge9")
        await hosting.fail("edge0")
        with pytest.raises(ConfigurationError, match="edge0 has failed: no session can begin there"):
            hosting.begin("ue0", "edge0", service.module.empty_state())

    cosim.simulate(main, **WIRED)
