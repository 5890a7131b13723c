# SPDX-License-Identifier: GPL-2.0-only
"""Real faults: processes killed on either side, signals, forks. What must not happen is a wait without an end."""

import os
import signal
import subprocess
import time

import pytest
from bridge_testbed import TO_HOST, Testbed, ask, body, post, wait_for

from edgelam import _bridge

SOON_S = 20  # it takes milliseconds; a wait this long would be a hang


def ended(pid: int) -> bool:
    """True once a process that is not our child is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or while it was read
        return True


def wait_until_ended(pid: int) -> None:
    end = time.monotonic() + SOON_S
    while not ended(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("deed", "how"),
    [
        (b"abort", r", killed by signal 6 \(Aborted\)"),
        (b"exit 5", " with exit status 5"),
        (b"end", " with exit status 0"),
        (None, r", killed by signal 9 \(Killed\)"),
    ],
)
def test_the_scenario_ends(testbed: Testbed, deed: bytes | None, how: str) -> None:
    process, participant = testbed.pair()
    if deed:
        post(participant, TO_HOST, deed)
    else:
        process.kill()
    text = rf"the scenario \(pid {process.pid}\) has ended{how}"
    for _ in range(2):
        with pytest.raises(_bridge.PeerDied, match=text) as raised:
            participant.receive(SOON_S)
        assert (raised.value.participant, raised.value.violation) == (-1, False)
        with pytest.raises(_bridge.PeerDied, match=text):
            participant.send(0, bytes(8))
    participant.detach()


def test_what_was_sent_before_the_end_arrives(testbed: Testbed) -> None:
    process, participant = testbed.pair()
    for k in range(10):
        participant.send(0, body("Wait", deadline_ns=k))
    post(participant, TO_HOST, b"end")
    process.wait(SOON_S)
    got = []

    def receive() -> None:
        while True:
            got.extend(participant.receive(SOON_S))

    with pytest.raises(_bridge.PeerDied):
        receive()
    assert [message for _, _, message, _ in got] == [body("Resume", now_ns=k) for k in range(10)]


def test_the_scenario_is_killed_while_its_ring_is_full(testbed: Testbed) -> None:
    process, participant = testbed.pair(edgelam_ring_bytes=4096)
    post(participant, TO_HOST, b"sleep 600000")
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {process.pid}"])

    def send() -> None:
        while True:
            participant.send(0, bytes(8))

    with pytest.raises(_bridge.PeerDied):
        send()
    killer.wait()


WAITS = """
participant = _bridge.Participant(sys.argv[1], int(sys.argv[2]), name="the protocol")
print("attached", flush=True)
try:
    participant.receive()
except _bridge.PeerDied as error:
    print(error, flush=True)
    participant.close()
"""


@pytest.mark.parametrize("busy", [False, True])
def test_a_participant_is_killed(testbed: Testbed, busy: bool) -> None:
    """Everybody else hears who died, and the scenario ends with status 3, even from deep inside an event."""
    process, address = testbed.host(edgelam_participants=3)
    participant = testbed.attach(address)
    others = [testbed.python(WAITS, address, p) for p in (1, 2)]
    for other in others:
        assert other.stdout.readline() == "attached\n"
    if busy:
        post(participant, TO_HOST, b"sleep 600000")
    others[0].kill()
    text = f"participant 1 ('the protocol', pid {others[0].pid}) has ended without detaching"
    with pytest.raises(_bridge.PeerDied) as raised:
        participant.receive(SOON_S)
    assert str(raised.value) == text
    assert (raised.value.participant, raised.value.violation) == (1, False)
    assert others[1].stdout.readline() == text + "\n"
    assert f"edgelam: {text}; the scenario ends with status 3" in wait_for(process, 3)
    wait_for(others[1], 0)


def test_close_without_detach_ends_the_run(testbed: Testbed) -> None:
    process, participant = testbed.pair()
    participant.close()
    assert "has ended without detaching" in wait_for(process, 3)


def test_killed_before_everybody_is_attached(testbed: Testbed) -> None:
    process, address = testbed.host(edgelam_participants=2)
    other = testbed.python(WAITS, address, 1)
    assert other.stdout.readline() == "attached\n"
    other.kill()
    assert "participant 1" in wait_for(process, 3)


def test_ends_right_after_detach(testbed: Testbed) -> None:
    for _ in range(10):
        process, address = testbed.host()
        code = "p = _bridge.Participant(sys.argv[1]); p.send(0, bytes(8)); p.detach(); os._exit(0)"
        wait_for(testbed.python(code, address), 0)
        assert wait_for(process, 0) == ""


LAUNCHER = """
import subprocess
from edgelam.paths import installed
command = [installed("bin/bridge-echo"), "--edgelam-address=" + sys.argv[1]]
host = subprocess.Popen(command, start_new_session=True)
print(host.pid, flush=True)
if sys.argv[2] == "attached":
    participant = _bridge.Participant(sys.argv[1], child_pid=host.pid)
    print("attached", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("attached", [True, False])
def test_the_launcher_is_killed(testbed: Testbed, attached: bool) -> None:
    launcher = testbed.python(LAUNCHER, testbed.address(), "attached" if attached else "not")
    pid = int(launcher.stdout.readline())
    if attached:
        assert launcher.stdout.readline() == "attached\n"
    else:
        time.sleep(0.3)
    launcher.kill()
    wait_until_ended(pid)


def test_both_sides_are_killed(testbed: Testbed) -> None:
    before = set(os.listdir("/dev/shm"))
    launcher = testbed.python(LAUNCHER, testbed.address(), "attached")
    pid = int(launcher.stdout.readline())
    assert launcher.stdout.readline() == "attached\n"
    os.kill(pid, signal.SIGSTOP)  # so that it cannot tidy up
    launcher.kill()
    os.kill(pid, signal.SIGKILL)
    launcher.wait()
    wait_until_ended(pid)
    assert set(os.listdir("/dev/shm")) <= before


INTERRUPTED = """
participant = _bridge.Participant(sys.argv[1], timeout_s=600)
try:
    print("ready", flush=True)
    {}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    participant.send(0, body("Wait", deadline_ns=3)) if sys.argv[2] == "go on" else None
    got = participant.receive(20) if sys.argv[2] == "go on" else None
    participant.detach() if sys.argv[2] == "go on" else participant.close()
"""


@pytest.mark.parametrize(
    ("doing", "then", "status"),
    [
        ("participant.receive()", "go on", 0),
        ("post(participant, TO_HOST, b'sleep 600000'); participant.exchange(0, bytes(8))", "stop", 3),
        ("post(participant, TO_HOST, b'sleep 600000')\n    while True: participant.send(0, bytes(8))", "stop", 3),
    ],
    ids=["receive", "exchange", "send"],
)
def test_control_c_at_any_wait(testbed: Testbed, doing: str, then: str, status: int) -> None:
    process, address = testbed.host(edgelam_ring_bytes=4096)
    waiter = testbed.python(INTERRUPTED.format(doing), address, then)
    assert waiter.stdout.readline() == "ready\n"
    time.sleep(0.3)
    os.kill(waiter.pid, signal.SIGINT)
    assert waiter.stdout.readline() == "interrupted\n"
    wait_for(waiter, 0)
    wait_for(process, status)


def test_control_c_while_attaching(testbed: Testbed) -> None:
    code = "print('ready', flush=True); _bridge.Participant(sys.argv[1], timeout_s=600)"
    waiter = testbed.python(code, testbed.address())
    assert waiter.stdout.readline() == "ready\n"
    time.sleep(0.2)
    os.kill(waiter.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in waiter.communicate(timeout=SOON_S)[1]


FORKS = """
import gc
participant = _bridge.Participant(sys.argv[1])
array, ref = participant.allocate(100)
array[:] = 7
view = participant.view(ref, counted=False)
pid = os.fork()
if pid == 0:
    assert view[0] == 7                  # reading is fine, as in a DataLoader worker
    for call in (lambda: participant.send(0, bytes(8)), lambda: participant.receive(1),
                 lambda: participant.exchange(0, bytes(8)), lambda: participant.allocate(1)):
        try:
            call()
            os._exit(1)
        except _bridge.BridgeError as error:
            assert f"forked from participant 0 (pid {os.getppid()})" in str(error), error
    participant.detach()
    participant.close()
    del view, array, participant         # releases nothing: it is the parent's
    gc.collect()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert participant.exchange(0, body("Wait", deadline_ns=4)) == body("Resume", now_ns=4)
assert ask(participant, "sum", ref)[0] == b"700"
del view, array                          # would raise if the child had released them
participant.allocate(1)
participant.detach()
"""


def test_a_forked_child_may_not_use_the_bridge(testbed: Testbed) -> None:
    process, address = testbed.host()
    wait_for(testbed.python(FORKS, address), 0)
    wait_for(process, 0)


FORKED_WORKER = """
participant = _bridge.Participant(sys.argv[1])
if os.fork() == 0:                       # keeps the control socket open
    os.close(1); os.close(2)
    time.sleep(3)
    os._exit(0)
print("attached", flush=True)
time.sleep(600)
"""


def test_death_is_seen_although_a_forked_worker_lives_on(testbed: Testbed) -> None:
    process, address = testbed.host()
    parent = testbed.python(FORKED_WORKER, address)
    assert parent.stdout.readline() == "attached\n"
    parent.kill()
    parent.wait()
    begin = time.monotonic()
    assert "has ended without detaching" in wait_for(process, 3)
    assert time.monotonic() - begin < 2.5  # the worker is still there


def test_no_thread_or_descriptor_is_left(testbed: Testbed) -> None:
    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    before = count()
    for _ in range(5):
        bed = Testbed()
        process, participant = bed.pair()
        view = participant.view(ask(participant, "publish 10")[1])
        participant.detach()
        wait_for(process, 0)
        participant.close()
        bed.close()
        bed.participants.clear()
        del view, participant, bed, process
    assert count() == before


def test_abandoned_participant_is_closed_by_the_garbage_collector(testbed: Testbed) -> None:
    process, address = testbed.host()
    participant = _bridge.Participant(address)
    assert participant.exchange(0, bytes(8)) == bytes(8)
    del participant
    assert "has ended without detaching" in wait_for(process, 3)


def test_interpreter_exit_without_close(testbed: Testbed) -> None:
    process, address = testbed.host()
    code = "p = _bridge.Participant(sys.argv[1]); a = p.allocate(10); p.exchange(0, bytes(8)); p.keep = 1"
    other = testbed.python(code.replace("; p.keep = 1", ""), address)
    wait_for(other, 0)
    wait_for(process, 3)


@pytest.mark.parametrize("pinned", [False, True])
def test_exchange_with_a_busy_machine(testbed: Testbed, pinned: bool) -> None:
    """Correct, if not quick, while every core is taken by others."""
    cores = os.sched_getaffinity(0)
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2 * len(cores))]
    try:
        if pinned:
            os.sched_setaffinity(0, {min(cores)})
        _, participant = testbed.pair()
        for k in range(300):
            assert participant.exchange(0, body("Wait", deadline_ns=k)) == body("Resume", now_ns=k)
    finally:
        os.sched_setaffinity(0, cores)
        for hog in hogs:
            hog.kill()
            hog.wait()
