# SPDX-License-Identifier: GPL-2.0-only
"""Attaching: any order, and a reason for whoever is not taken in."""

import os
import random
import threading

import pytest
from bridge_testbed import Testbed, ask, body, post, posted, wait_for

from edgelam import _bridge

# One of N participants: passes a number round the ring of participants, which needs all of them.
RELAY = """
address, me, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
participant = _bridge.Participant(address, me, timeout_s=60)
assert participant.participants == count and participant.participant == me
if me == 0:
    post(participant, 1 % count, b"0")
    print(posted(participant)[0].decode())
else:
    number = int(posted(participant)[0])
    post(participant, (me + 1) % count, str(number + me).encode())
participant.detach()
"""


@pytest.mark.parametrize(("count", "order"), [(1, 0), (2, 1), (16, 2), (16, 3)])
def test_any_number_in_any_startup_order(testbed: Testbed, count: int, order: int) -> None:
    address = testbed.address()
    who = [*range(count), "host"]
    random.Random(order).shuffle(who)
    started = {}
    for index in who:
        if index == "host":
            started[index] = testbed.host(address, edgelam_participants=count)[0]
        else:
            started[index] = testbed.python(RELAY, address, index, count)
    out, said = started[0].communicate(timeout=120)
    assert out == f"{sum(range(count))}\n", said
    for index in range(1, count):
        wait_for(started[index], 0)
    wait_for(started["host"], 0)


def test_wrong_index_same_index_and_late_are_refused(testbed: Testbed) -> None:
    process, address = testbed.host(edgelam_participants=2)
    testbed.attach(address, 0, name="trainer")
    with pytest.raises(_bridge.AttachRefused, match=r"there is no participant 2: .* for 2 participants, index 0 to 1"):
        testbed.attach(address, 2)
    with pytest.raises(_bridge.AttachRefused, match="there is no participant -1"):
        testbed.attach(address, -1)
    again = rf"participant 0 \('trainer', pid {os.getpid()}\) is already attached"
    with pytest.raises(_bridge.AttachRefused, match=again):
        testbed.attach(address, 0)
    second = testbed.attach(address, 1)
    second.detach()
    second.close()
    with pytest.raises(_bridge.AttachRefused, match=r"participant 1 .* has left"):
        testbed.attach(address, 1)
    testbed.participants[0].detach()
    wait_for(process, 0)


def test_nobody_listens(testbed: Testbed) -> None:
    address = testbed.address()
    with pytest.raises(_bridge.BridgeTimeout, match=f"no scenario listens at {address}.*participant 3.*0.2 s"):
        testbed.attach(address, 3, timeout_s=0.2)


@pytest.mark.parametrize("address", ["edgelam", "@", "@" + 200 * "x", ""])
def test_malformed_address(testbed: Testbed, address: str) -> None:
    with pytest.raises(_bridge.BridgeError, match="is no bridge address"):
        testbed.attach(address)
    assert "is no bridge address" in wait_for(testbed.host(address or "x")[0], 2)


def test_two_hosts_at_one_address(testbed: Testbed) -> None:
    first, address = testbed.host()
    participant = testbed.attach(address)
    second, _ = testbed.host(address)
    assert "another scenario has this address" in wait_for(second, 2)
    participant.detach()
    wait_for(first, 0)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"edgelam_participants": 0}, "1 to 200, not 0"),
        ({"edgelam_participants": 201}, "1 to 200, not 201"),
        ({"edgelam_ring_bytes": 5000}, "power of two from 4096 to 1073741824, not 5000"),
        ({"edgelam_arena_bytes": 1}, "arena_bytes must be 4096"),
    ],
)
def test_impossible_options_are_refused(testbed: Testbed, option: dict, said: str) -> None:
    assert said in wait_for(testbed.host(**option)[0], 2)


def test_missing_participants_are_named(testbed: Testbed) -> None:
    process, address = testbed.host(edgelam_participants=4, attach_timeout=1)
    participant = testbed.attach(address, 2)
    with pytest.raises(_bridge.PeerDied, match="not all participants have attached within 1 s: missing 0, 1, 3 of 4"):
        participant.receive(30)
    assert "missing 0, 1, 3 of 4" in wait_for(process, 2)


def test_scenario_that_ends_before_attach(testbed: Testbed) -> None:
    process, address = testbed.host(exit_at_start=7)
    with pytest.raises(_bridge.PeerDied, match=rf"pid {process.pid}\) has ended with exit status 7 before"):
        testbed.attach(address, child_pid=process.pid)


def test_many_testbeds_side_by_side(testbed: Testbed) -> None:
    pairs = [testbed.pair() for _ in range(8)]
    for k, (_, participant) in enumerate(pairs):
        post(participant, 0, str(k).encode())
    for k, (process, participant) in enumerate(pairs):
        assert posted(participant)[0] == str(k).encode()
        participant.detach()
        wait_for(process, 0)


def test_participants_attach_from_threads_of_one_process(testbed: Testbed) -> None:
    process, address = testbed.host(edgelam_participants=3)
    threads = [threading.Thread(target=testbed.attach, args=(address, p)) for p in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = min(testbed.participants, key=lambda p: p.participant)
    assert first.exchange(0, body("Wait", deadline_ns=5)) == body("Resume", now_ns=5)
    for participant in testbed.participants:
        participant.detach()
    wait_for(process, 0)


STRANGER = """
import socket
os.setuid(65534)
line = socket.socket(socket.AF_UNIX)
line.settimeout(20)
while line.connect_ex("\\0" + sys.argv[1][1:]):
    pass
assert line.recv(1) == b""
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_other_users_are_not_taken_in(testbed: Testbed) -> None:
    process, address = testbed.host()
    wait_for(testbed.python(STRANGER, address), 0)
    participant = testbed.attach(address, child_pid=process.pid)
    assert ask(participant, "used")[0] == b"0"
    participant.detach()
    wait_for(process, 0)
