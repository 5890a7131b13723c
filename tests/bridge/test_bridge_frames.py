# SPDX-License-Identifier: GPL-2.0-only
"""Frames through the rings: nothing lost, nothing reordered, nothing that blocks for ever."""

import threading
from collections import defaultdict

import numpy as np
import pytest
from bridge_testbed import NO_ARRAY, TO_HOST, TYPES, Testbed, ask, body, post, posted, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam import _bridge

RING = 4096


@pytest.fixture(scope="module")
def small_rings() -> object:
    bed = Testbed()
    _, participant = bed.pair(edgelam_ring_bytes=RING)
    yield participant
    bed.close()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.integers(0, RING - 64).map(lambda n: bytes(k % 251 for k in range(n))),
        ),
        max_size=40,
    )
)
def test_every_tail_comes_back_in_order(small_rings: _bridge.Participant, tails: list[bytes]) -> None:
    sequences = [small_rings.send(TYPES["Post"], bytes(32), tail) for tail in tails]
    assert sequences == list(range(sequences[0], sequences[0] + len(tails))) if tails else True
    got = []
    while len(got) < len(tails):
        got += small_rings.receive(30)
    assert [tail for _, _, _, tail in got] == tails
    places = [sequence for _, sequence, _, _ in got]
    assert places == list(range(places[0], places[0] + len(tails))) if tails else True


def test_frame_larger_than_the_ring(small_rings: _bridge.Participant) -> None:
    tail = bytes(RING - 24 - 32)
    post(small_rings, 0, tail)
    assert posted(small_rings)[0] == tail
    with pytest.raises(_bridge.BridgeError, match=r"a Post of 4.1 kB does not fit .* 4.1 kB: raise ring_bytes"):
        post(small_rings, 0, tail + b"x")


@pytest.mark.parametrize(
    ("kind", "size", "said"),
    [(0, 7, "a Wait has 8 bytes, not 7"), (8, 0, "a Post has 32 bytes, not 0"), (99, 8, "no message of type 99")],
)
def test_wrong_messages_are_refused(small_rings: _bridge.Participant, kind: int, size: int, said: str) -> None:
    with pytest.raises(_bridge.BridgeError, match=said):
        small_rings.send(kind, bytes(size))


def test_anything_with_a_buffer_is_a_body(small_rings: _bridge.Participant) -> None:
    values = np.array([7], "<i8")
    for buffer in (values, memoryview(values), bytearray(values.tobytes()), values.tobytes()):
        assert small_rings.exchange(0, buffer) == body("Resume", now_ns=7)
    with pytest.raises(TypeError):
        small_rings.send(0, "text")


def test_both_rings_full(testbed: Testbed) -> None:
    """The host sends much more than fits while we send much more than fits, and neither receives before."""
    process, participant = testbed.pair(edgelam_ring_bytes=RING)
    post(participant, TO_HOST, b"fill 500 1000")
    for k in range(2000):
        participant.send(0, body("Wait", deadline_ns=k))
    got = []
    while len(got) < 2500:
        got += participant.receive(30)
    fills = [tail for kind, _, _, tail in got if kind == TYPES["Posted"]]
    assert fills == [bytes((i + k) % 256 for i in range(1000)) for k in range(500)]
    resumed = [message for kind, _, message, _ in got if kind == TYPES["Resume"]]
    assert resumed == [body("Resume", now_ns=k) for k in range(2000)]
    participant.detach()
    wait_for(process, 0)


def test_slow_host_with_a_full_ring(testbed: Testbed) -> None:
    process, participant = testbed.pair(edgelam_ring_bytes=RING)
    post(participant, TO_HOST, b"sleep 300")
    for k in range(500):
        participant.send(0, body("Wait", deadline_ns=k))
    got = []
    while len(got) < 500:
        got += participant.receive(30)
    assert [message for _, _, message, _ in got] == [body("Resume", now_ns=k) for k in range(500)]
    participant.detach()
    wait_for(process, 0)


def test_many_threads_send(testbed: Testbed) -> None:
    process, participant = testbed.pair(edgelam_ring_bytes=RING)
    count, threads = 2000, 4

    def send(thread: int) -> None:
        for k in range(count):
            participant.send(0, body("Wait", deadline_ns=thread * count + k))

    workers = [threading.Thread(target=send, args=(t,)) for t in range(threads)]
    for worker in workers:
        worker.start()
    per_thread = defaultdict(list)
    received = 0
    while received < count * threads:
        for _, _, message, _ in participant.receive(30):
            value = int.from_bytes(message, "little")
            per_thread[value // count].append(value % count)
            received += 1
    for worker in workers:
        worker.join()
    assert all(per_thread[t] == list(range(count)) for t in range(threads))
    participant.detach()
    wait_for(process, 0)


def test_many_threads_receive(testbed: Testbed) -> None:
    process, participant = testbed.pair()
    seen = []

    def receive() -> None:
        try:
            while True:
                seen.extend(int.from_bytes(m, "little") for _, _, m, _ in participant.receive(2))
        except _bridge.BridgeTimeout:
            pass

    workers = [threading.Thread(target=receive) for _ in range(3)]
    for worker in workers:
        worker.start()
    for k in range(3000):
        participant.send(0, body("Wait", deadline_ns=k))
    for worker in workers:
        worker.join()
    assert sorted(seen) == list(range(3000))
    participant.detach()
    wait_for(process, 0)


def test_bounded_wait_says_who_is_awaited(testbed: Testbed) -> None:
    process, participant = testbed.pair()
    text = rf"the scenario \(pid {process.pid}\) has sent nothing to participant 0 for 0.05 s"
    with pytest.raises(_bridge.BridgeTimeout, match=text):
        participant.receive(0.05)
    with pytest.raises(_bridge.BridgeTimeout):
        participant.receive(0)
    assert ask(participant, "used")[0] == b"0"


def test_after_detach_everything_raises(testbed: Testbed) -> None:
    process, participant = testbed.pair()
    participant.detach()
    wait_for(process, 0)
    participant.detach()
    for call in (
        lambda: participant.send(0, bytes(8)),
        lambda: participant.receive(1),
        lambda: participant.exchange(0, bytes(8)),
        lambda: participant.allocate(8),
        lambda: participant.view(NO_ARRAY),
    ):
        with pytest.raises(_bridge.BridgeError, match="participant 0 has detached"):
            call()
    participant.close()
    participant.close()
    with pytest.raises(_bridge.BridgeError, match="participant 0 has closed its bridge"):
        participant.receive(1)
