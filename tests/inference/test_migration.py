# SPDX-License-Identifier: GPL-2.0-only
"""Moves of sessions between nodes: same answers, exact bytes, weights that follow, memory, turns that wait, faults."""

import asyncio

import pytest
import torch
from small_llama import small_llama

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Service, TorchModule
from edgelam.inference.migration import Hosting
from edgelam.inference.module import weight_bytes
from edgelam.modalities.session import SessionTurn

WIRED = {"scenario": "wired-star", "options": {"numUe": "2", "numEdge": "3", "rate": "50Mbps"}}
TOKEN, HIDDEN = 512, 256  # bytes of a token's keys and values, and of the hidden state
COMPUTING = Computing()


def service():
    return Service("language", SessionTurn("language", small_llama()), encoding="exact", max_batch=4)


class Whole:
    """A module that does not say what of its state can be copied before the pause."""

    def __init__(self, module):
        for name in ("name", "takes", "gives", "network", "weights_hash", "weight_bytes", "generate", "empty_state"):
            setattr(self, name, getattr(module, name))


def asked(turn):
    return {"ids": torch.arange(6) + 7 * turn, "most_tokens": torch.tensor([5])}


def talk(moves, turns=4, between_s=0.0, nodes=WIRED, devices=None):
    """Serve turns of ue0, which begins at edge0; moves: turn -> target, before that turn."""

    async def main(sim):
        hosting = Hosting(sim, service(), computing=COMPUTING)
        hosting.begin("ue0", "edge0", hosting.service.module.empty_state())
        for turn in range(turns):
            if turn in moves:
                await hosting.move("ue0", moves[turn])
            await hosting.turn("ue0", asked(turn))
            await asyncio.sleep(between_s)
        places = hosting.nodes_with_weights(), hosting.where("ue0")
        held = {name: dict(sim.node(name).memory.held()) for name in ("edge0", "edge1", "edge2")}
        await hosting.close()
        left = [name for name, node in sim.nodes.items() if node.memory.held()]
        return hosting, places, held, left

    transfers = []
    found = cosim.simulate(main, on_transfer=transfers.append, devices=devices, **nodes)
    return (*found, transfers)


def test_a_session_that_moves_gives_the_answers_of_one_that_stays():
    stayed, *_ = talk({})
    moved, places, held, left, _ = talk({1: "edge1", 3: "edge2"})
    assert [turn.status for turn in moved.turns] == ["complete"] * 4
    assert [turn.answer for turn in moved.turns] == [turn.answer for turn in stayed.turns]
    assert len({turn.answer for turn in moved.turns}) == 4
    assert [turn.node for turn in moved.turns] == ["edge0", "edge1", "edge1", "edge2"]
    assert places == (["edge2"], "edge2")
    assert not held["edge0"]
    assert not held["edge1"]
    assert set(held["edge2"]) == {"weights of language", "session of ue0"}
    assert not left


def test_bytes_of_a_move_are_those_of_the_state_and_the_weights():
    moved, *_, transfers = talk({2: "edge1"})
    (move,) = moved.moves
    tokens = 2 * (6 + 5)
    assert move.status == "complete"
    assert move.session_tokens == tokens
    assert move.state_bytes == TOKEN * tokens + HIDDEN
    weights = weight_bytes(small_llama())
    assert move.weight_bytes == weights == service().file_bytes
    between = [each for each in transfers if each.source == "edge0" and each.receiver == "edge1"]
    # the weights, keys and values while the session goes on, and, during the pause, the last hidden state
    assert [each.delivered_bytes for each in between] == [weights, TOKEN * tokens, HIDDEN]
    assert move.interruption_s == pytest.approx(between[2].last_byte_s - between[2].queued_s)
    assert move.paused_s >= between[1].last_byte_s >= between[0].last_byte_s


def test_what_a_turn_adds_during_a_move_moves_too_and_a_new_conversation_moves_whole():
    async def main(sim, renew):
        hosting = Hosting(sim, service(), computing=COMPUTING)
        empty = hosting.service.module.empty_state()
        hosting.begin("ue0", "edge0", empty)
        hosting.begin("ue1", "edge1", empty)  # the weights are at edge1
        for turn in range(5):
            await hosting.turn("ue0", asked(turn))
        moving = asyncio.create_task(hosting.move("ue0", "edge1"))
        await asyncio.sleep(0.001)  # it is being copied
        if renew:
            await hosting.renew("ue0", empty)
        await hosting.turn("ue0", asked(5))
        move = await moving
        await hosting.turn("ue0", asked(6))
        await hosting.close()
        return move, [turn.answer for turn in hosting.turns], [turn.node for turn in hosting.turns]

    def run(renew):
        transfers = []
        slow = WIRED | {"options": WIRED["options"] | {"rate": "1Mbps"}}
        found = cosim.simulate(lambda sim: main(sim, renew), on_transfer=transfers.append, **slow)
        sizes = [each.delivered_bytes for each in transfers if each.source == "edge0" and each.receiver == "edge1"
                 and each.tag.startswith("state")]  # fmt: skip
        return (*found, sizes)

    move, answers, nodes, sizes = run(renew=False)
    assert nodes == ["edge0"] * 6 + ["edge1"]
    assert sizes == [TOKEN * 55, TOKEN * 11 + HIDDEN]
    assert move.state_bytes == TOKEN * 66 + HIDDEN
    assert answers == [turn.answer for turn in talk({}, turns=7)[0].turns]
    move, _, nodes, sizes = run(renew=True)
    assert nodes == ["edge0"] * 6 + ["edge1"]
    assert sizes == [TOKEN * 55, TOKEN * 11 + HIDDEN]  # the copy was of a conversation that had ended
    assert move.session_tokens == 11


def test_weights_move_once_for_two_sessions():
    async def main(sim):
        hosting = Hosting(sim, service(), computing=COMPUTING)
        for user in ("ue0", "ue1"):
            hosting.begin(user, "edge0", hosting.service.module.empty_state())
            await hosting.turn(user, asked(0))
        moves = await asyncio.gather(*(hosting.move(user, "edge1") for user in ("ue0", "ue1")))
        shared = hosting.nodes_with_weights()
        back = await hosting.move("ue0", "edge0")
        both = hosting.nodes_with_weights()
        await hosting.close()
        return moves, shared, back, both

    moves, shared, back, both = cosim.simulate(main, **WIRED)
    weights = service().file_bytes
    assert [move.weight_bytes for move in moves] == [weights, 0]
    assert shared == ["edge1"]
    assert back.weight_bytes == weights
    assert both == ["edge1", "edge0"]


def test_a_turn_that_comes_while_its_session_is_paused_waits_and_is_forwarded():
    async def main(sim):
        whole = Service("language", Whole(SessionTurn("language", small_llama())), encoding="exact")
        hosting = Hosting(sim, whole, computing=COMPUTING)
        hosting.begin("ue0", "edge0", whole.module.empty_state())
        for turn in range(8):
            await hosting.turn("ue0", asked(turn))
        hosting.begin("ue1", "edge1", whole.module.empty_state())  # the weights are at edge1
        moving = asyncio.create_task(hosting.move("ue0", "edge1"))
        turn = await hosting.turn("ue0", asked(8))
        move = await moving
        await hosting.close()
        return turn, move

    transfers = []
    turn, move = cosim.simulate(main, on_transfer=transfers.append, **WIRED)
    stayed, *_ = talk({}, turns=9)
    assert turn.node == "edge1"
    assert turn.answer == stayed.turns[8].answer
    assert [each.tag for each in transfers if "forwarded" in each.tag]
    assert move.state_bytes == TOKEN * 88 + HIDDEN
    assert 0 < turn.waited_s < move.interruption_s


def test_a_turn_while_weights_are_loaded_is_served_at_the_old_place():
    async def main(sim):
        hosting = Hosting(sim, service(), computing=COMPUTING)
        hosting.begin("ue0", "edge0", hosting.service.module.empty_state())
        moving = asyncio.create_task(hosting.move("ue0", "edge1"))
        turn = await hosting.turn("ue0", asked(0))
        move = await moving
        await hosting.close()
        return turn, move

    turn, move = cosim.simulate(main, **(WIRED | {"options": WIRED["options"] | {"rate": "5Mbps"}}))
    assert turn.node == "edge0"
    assert move.session_tokens == 11  # the turn's tokens moved with it
    assert turn.end_s < move.end_s


def test_what_does_not_fit_stays():
    moved, places, _, left, _ = talk({1: "edge1"}, devices={"edge1": "cpu-server,memory_bytes=1000"})
    (move,) = moved.moves
    assert move.status == "failed"
    assert "edge1" in move.reason
    assert "1,000 bytes" in move.reason
    assert places == (["edge0"], "edge0")
    assert [turn.status for turn in moved.turns] == ["complete"] * 4
    assert not left


def test_tokens_are_measured():
    moved, *_ = talk({})
    for turn in moved.turns:
        assert turn.tokens == 5
        assert turn.lost == 0
        assert 0.005 < turn.first_token_s < turn.latency_s < 0.1  # propagation alone: 5 ms and 1 ms, there and back
        assert turn.jitter_s >= 0


def test_the_same_seed_gives_the_same_records():
    assert repr(talk({1: "edge1"})[0].turns) == repr(talk({1: "edge1"})[0].turns)


def test_what_is_not_legal_is_refused():
    stateless = Service("plain", TorchModule("plain", torch.nn.Linear(2, 2), ("x",), ("y",)))

    async def main(sim):
        texts = []

        async def refused(make):
            try:
                found = make()
                if asyncio.iscoroutine(found):
                    await found
            except ConfigurationError as error:
                texts.append(str(error))

        await refused(lambda: Hosting(sim, stateless))
        hosting = Hosting(sim, service(), computing=COMPUTING)
        empty = hosting.service.module.empty_state()
        await refused(lambda: hosting.begin("ue0", "edge7", empty))
        await refused(lambda: hosting.begin("ue0", "edge0", {}))
        hosting.begin("ue0", "edge0", empty)
        await refused(lambda: hosting.begin("ue0", "edge0", empty))
        await refused(lambda: hosting.move("ue1", "edge0"))
        await refused(lambda: hosting.move("ue0", "edge9"))
        await refused(lambda: hosting.move("ue0", "edge0"))
        await refused(lambda: hosting.turn("ue0", {"ids": torch.tensor([1])}))
        await hosting.close()
        return texts

    texts = cosim.simulate(main, **WIRED)
    for text, part in zip(
        texts,
        ["no state that could move", "no node 'edge7'", "lacks keys, values, hidden", "has a session already",
         "'ue1' has no session", "no node 'edge9'", "is at edge0", "lacks most_tokens"],
        strict=True,
    ):  # fmt: skip
        assert part in text
