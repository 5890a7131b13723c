# SPDX-License-Identifier: GPL-2.0-only
"""Arrays in shared memory: no copies, read-only for real, reclaimed when nobody holds them."""

import ctypes
import gc

import numpy as np
import pytest
from bridge_testbed import NO_ARRAY, Testbed, ask, post, posted, wait_for

from edgelam import _bridge

PAGE = 4096


def write_by_force(array: np.ndarray, value: int) -> None:
    """Writes through an array that NumPy calls read-only, as torch.from_numpy lets one do."""
    ctypes.memset(array.ctypes.data, value, array.size)


def test_host_array_arrives_as_a_read_only_view(testbed: Testbed) -> None:
    _, participant = testbed.pair()
    _, ref = ask(participant, "publish 1000000")
    array = participant.view(ref)
    assert array.dtype == np.uint8
    assert np.array_equal(array, np.arange(1_000_000) % 251)
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_participant_array_is_read_by_the_host(testbed: Testbed) -> None:
    _, participant = testbed.pair()
    array, ref = participant.allocate(3_000_000)
    array.view(np.int32)[:] = np.arange(750_000)
    assert ask(participant, "sum", ref)[0] == str(int(array.sum())).encode()
    array[:] = 1
    assert ask(participant, "sum", ref)[0] == b"3000000"


def test_a_forced_write_changes_nobody_elses_data(testbed: Testbed) -> None:
    _, participant = testbed.pair()
    array, ref = participant.allocate(100_000)
    array[:] = 5
    first, second = participant.view(ref, counted=False), participant.view(ref, counted=False)
    write_by_force(first, 9)
    assert (array == 5).all()
    assert ask(participant, "sum", ref)[0] == b"500000"
    del first, second
    again = participant.view(ref, counted=False)
    assert (again == 5).all()


def test_participants_read_each_others_arrays(testbed: Testbed) -> None:
    process, address = testbed.host(edgelam_participants=2)
    reader = testbed.python(
        """
        participant = _bridge.Participant(sys.argv[1], 1)
        tail, ref = posted(participant)
        array = participant.view(ref)
        assert not array.flags.writeable
        post(participant, 0, str(int(array.view(np.int64).sum())).encode())
        assert posted(participant)[0] == b"changed"     # by its owner
        post(participant, 0, str(int(array.view(np.int64).sum())).encode())
        posted(participant)
        participant.detach()
        """,
        address,
    )
    participant = testbed.attach(address)
    array, ref = participant.allocate(8 * 1000)
    array.view(np.int64)[:] = np.arange(1000)
    post(participant, 1, b"", ref)
    assert posted(participant)[0] == b"499500"
    array.view(np.int64)[0] = 7
    post(participant, 1, b"changed")
    assert posted(participant)[0] == b"499507"
    post(participant, 1, b"done")
    wait_for(reader, 0)
    participant.detach()
    wait_for(process, 0)


def test_memory_is_reused_when_nobody_holds_it(testbed: Testbed) -> None:
    _, participant = testbed.pair(edgelam_arena_bytes=10 * PAGE)
    for k in range(100):  # ten times what the arena holds
        array, ref = participant.allocate(6 * PAGE)
        array[:] = k
        del array
    array, ref = participant.allocate(6 * PAGE)
    view = participant.view(ref, counted=False)
    del array  # the view holds it still
    with pytest.raises(_bridge.BridgeError, match=r"participant 0 is full.*arena_bytes.*participant 0 holds 24.6 kB"):
        participant.allocate(6 * PAGE)
    del view
    participant.allocate(6 * PAGE)


def test_the_host_holds_arrays(testbed: Testbed) -> None:
    _, participant = testbed.pair(edgelam_arena_bytes=10 * PAGE)
    array, ref = participant.allocate(6 * PAGE)
    array[:] = 3
    ask(participant, "keep", ref)
    del array
    with pytest.raises(_bridge.BridgeError, match=r"the scenario holds 24.6 kB in 1 array"):
        participant.allocate(6 * PAGE)
    assert ask(participant, "sum", ref)[0] == str(3 * 6 * PAGE).encode()
    ask(participant, "drop", ref)
    participant.allocate(6 * PAGE)


def test_larger_than_the_arena(testbed: Testbed) -> None:
    _, participant = testbed.pair(edgelam_arena_bytes=10 * PAGE)
    with pytest.raises(_bridge.BridgeError, match=r"41.0 kB does not fit .* 41.0 kB: raise arena_bytes"):
        participant.allocate(10 * PAGE + 1)
    array, _ = participant.allocate(10 * PAGE)
    assert array.size == 10 * PAGE
    assert participant.allocate.__doc__


def test_views_kept_for_ever_keep_their_block_only(testbed: Testbed) -> None:
    _, participant = testbed.pair(edgelam_arena_bytes=64 * PAGE)
    kept = [participant.view(ask(participant, f"publish {PAGE + k}")[1]) for k in range(5)]
    for _ in range(100):
        view = participant.view(ask(participant, f"publish {20 * PAGE}")[1])
        assert view[1] == 1
        del view
    assert ask(participant, "used")[0] == str(PAGE + 4 * 2 * PAGE).encode()
    assert all(np.array_equal(view, np.arange(view.size) % 251) for view in kept)
    kept.clear()
    assert ask(participant, "used")[0] == b"0"


def test_views_outlive_the_participant_and_the_host(testbed: Testbed) -> None:
    process, participant = testbed.pair()
    view = participant.view(ask(participant, "publish 100000")[1])
    array, _ = participant.allocate(5)
    array[:] = 4
    participant.detach()
    wait_for(process, 0)
    participant.close()
    testbed.participants.clear()
    del participant
    gc.collect()
    assert np.array_equal(view, np.arange(100_000) % 251)
    assert (array == 4).all()


def test_a_dead_holder_lets_go(testbed: Testbed) -> None:
    """A participant that has detached may keep views; when its process ends, whatever way, they are released."""
    process, address = testbed.host(edgelam_participants=2, edgelam_arena_bytes=10 * PAGE)
    holder = testbed.python(
        """
        participant = _bridge.Participant(sys.argv[1], 1)
        view = participant.view(posted(participant)[1])
        participant.detach()
        print("detached", flush=True)
        time.sleep(600)
        """,
        address,
    )
    participant = testbed.attach(address)
    array, ref = participant.allocate(6 * PAGE)
    post(participant, 1, b"", ref)
    assert holder.stdout.readline() == "detached\n"
    del array
    with pytest.raises(_bridge.BridgeError, match=r"participant 1 holds 24.6 kB in 1 array"):
        participant.allocate(6 * PAGE)
    holder.kill()
    holder.wait()
    for _ in range(1000):
        try:
            participant.allocate(6 * PAGE)
            break
        except _bridge.BridgeError:
            ask(participant, "used")
    else:
        pytest.fail("the block of a dead holder was not released")
    participant.detach()
    wait_for(process, 0)


def test_nonsense_references_are_refused(testbed: Testbed) -> None:
    _, participant = testbed.pair()
    with pytest.raises(_bridge.BridgeError, match="24 bytes, not 3"):
        participant.view(b"abc")
    for arena, slot, offset, size in [(9, 0, 0, 1), (0, 0, 2**60, 1), (0, 0, 0, 2**63), (0, 10**6, 0, 1)]:
        ref = np.array([arena, slot], "<u4").tobytes() + np.array([offset, size], "<u8").tobytes()
        with pytest.raises(_bridge.BridgeError, match=r"outside its arena|no such array"):
            participant.view(ref, counted=False)


def test_empty_arrays(testbed: Testbed) -> None:
    _, participant = testbed.pair()
    array, ref = participant.allocate(0)
    assert array.size == 0
    assert ref != NO_ARRAY
    assert participant.view(ref, counted=False).size == 0
