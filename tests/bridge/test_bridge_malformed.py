# SPDX-License-Identifier: GPL-2.0-only
"""Frames that the protocol does not allow: whoever sends one is told so, and the other side ends in order.

A short run of fuzz.py, which also runs longer and with sanitizers by hand, and the kinds one by one.
"""

import os
import secrets
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import fuzz
import numpy as np
import pytest
from bridge_testbed import MESSAGES, TYPES, Testbed, body, wait_for
from raw_peers import RawHost

from edgelam import _bridge, cosim
from edgelam.cosim import incoming
from edgelam.cosim.clock import STATUSES, Finished
from edgelam.errors import AttachError, ProtocolError
from edgelam.paths import installed


def test_spoilt_frames_to_a_scenario() -> None:
    assert fuzz.to_scenario(100, seed=11) == []


def test_spoilt_frames_to_python() -> None:
    assert fuzz.to_python(150, seed=12) == []


# A host that is killed by a transfer to more or fewer receivers than its tail has.
CRASHES = """
import os, sys, time
sys.path.insert(0, {folder!r})
from raw_peers import RawHost
host = RawHost(os.environ["EDGELAM_SCENARIO_ADDRESS"])
host.take_in(b"{{}}")
while True:
    for kind, body, tail in host.received():
        if kind == {transfer} and len(body) == {size} and 4 * body[{receivers}] > len(tail):
            os.abort()
        if kind == {wait}:
            host.send({resume}, body.ljust(8, bytes(1))[:8])
    if host.participant_left():
        sys.exit(3)
    time.sleep(0.0005)
"""


def test_the_fuzzer_finds_a_scenario_that_crashes() -> None:
    code = CRASHES.format(
        folder=str(Path(__file__).parent), transfer=TYPES["TransferRequest"], size=len(body("TransferRequest")),
        wait=TYPES["Wait"], resume=TYPES["Resume"],
        receivers=MESSAGES["TransferRequest"].fields["num_receivers"][1],
    )  # fmt: skip
    findings = fuzz.to_scenario(150, seed=1, command=[sys.executable, "-c", code])
    assert any(finding.startswith(f"status -{signal.SIGABRT.value} after") for finding in findings)


def test_the_fuzzer_finds_a_reader_that_checks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(self: object, fields: tuple, tail: bytes) -> Finished:
        return Finished(*fields[:2], STATUSES[fields[2]], *fields[3:10], [], "")

    monkeypatch.setattr(incoming.Incoming, "_finished", unchecked)
    assert any("IndexError" in finding for finding in fuzz.to_python(100, seed=2))


# ---- to the scenario ---------------------------------------------------------------------------------------------


def scenario() -> tuple[subprocess.Popen, _bridge.Participant]:
    address = f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"
    process = subprocess.Popen(
        [installed("bin/scenarios/wired-star"), "--numUe=1"], env={**os.environ, "EDGELAM_SCENARIO_ADDRESS": address},
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, _bridge.Participant(address, 0, name="me", timeout_s=60, child_pid=process.pid)


def reference(arena: int, slot: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQ", arena, slot, offset, size)


@pytest.mark.parametrize(
    "ref",
    [
        reference(0, 0, 0, 4096),  # the scenario's own arena
        reference(2, 0, 0, 4096),  # no arena
        reference(1, 0, 0, 4096),  # nobody has allocated it
        reference(1, 2**32 - 1, 0, 4096),
        reference(1, 0, 2**63, 4096),
        reference(1, 0, 0, 2**64 - 1),
    ],
)
@pytest.mark.parametrize("message", ["Post", "SetControl", "TransferRequest"])
def test_a_wild_array_reference_ends_the_run_of_its_sender(message: str, ref: bytes) -> None:
    process, participant = scenario()
    data = body(message)[: -len(ref)] + ref
    participant.send(TYPES[message], data)
    text = r"participant 0 \('me', pid \d+\) has sent a reference to what is no array of its own: arena "
    with pytest.raises(_bridge.PeerDied, match=text):
        participant.exchange(TYPES["Wait"], body("Wait", deadline_ns=10))
    assert "the protocol does not allow that" in wait_for(process, 3)
    participant.close()


@pytest.mark.parametrize("deadline_ns", [-1, -(2**62), -(2**63)])
def test_a_wait_until_a_negative_time_ends_the_run(deadline_ns: int) -> None:
    process, participant = scenario()
    assert participant.exchange(TYPES["Wait"], body("Wait", deadline_ns=1000)) == body("Resume", now_ns=1000)
    with pytest.raises(_bridge.PeerDied, match=f"a Wait until {deadline_ns} ns"):
        participant.exchange(TYPES["Wait"], body("Wait", deadline_ns=deadline_ns))
    wait_for(process, 3)
    participant.close()


def test_a_wait_until_a_time_that_has_passed_is_over_at_once() -> None:
    process, participant = scenario()
    for deadline_ns in (1000, 0, 999, 1000):
        answer = participant.exchange(TYPES["Wait"], body("Wait", deadline_ns=deadline_ns))
        assert answer == body("Resume", now_ns=1000)
    participant.detach()
    wait_for(process, 0)


def test_what_only_a_scenario_sends_ends_the_run_of_a_participant_that_sends_it() -> None:
    process, participant = scenario()
    participant.send(TYPES["Delivery"], body("Delivery"))
    with pytest.raises(_bridge.PeerDied, match="a Delivery, which is no request") as raised:
        participant.exchange(TYPES["Wait"], body("Wait", deadline_ns=10))
    assert (raised.value.participant, raised.value.violation) == (0, True)
    wait_for(process, 3)
    participant.close()


def test_a_udp_transfer_of_any_size_takes_no_memory_for_what_is_not_sent() -> None:
    process, participant = scenario()
    spec = {"id": 1, "protocol": 2, "size_bytes": 2**48, "deadline_ns": 2**63 - 1}
    request = body("TransferRequest", spec=spec, source=1, num_receivers=1)
    participant.send(TYPES["TransferRequest"], request, struct.pack("<I", 2))
    assert participant.exchange(TYPES["Wait"], body("Wait", deadline_ns=10**6)) == body("Resume", now_ns=10**6)
    peak_kb = int(Path(f"/proc/{process.pid}/status").read_text().split("VmHWM:")[1].split()[0])
    assert peak_kb < 500_000
    participant.detach()
    wait_for(process, 0)


# ---- to Python ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": 5}, "with status 5; there are 0 to 4"),
        ({"status": -1}, "with status -1"),
        ({"receiver": 77}, "of node 77, which is not in its catalogue"),
        ({"receiver": 3}, "a record of transfer .* to node 3, which is not under way"),
        ({"id": 999}, "a record of transfer 999 to node 8, which is not under way"),
        ({"delivered_bytes": 49}, "with 49 of 48 bytes delivered"),
        ({"size_bytes": 50}, "of 50 bytes, not 48"),
        ({"num_lost": 3}, "with 3 lost ranges in 0 bytes"),
        ({"queued_ns": -5}, "at -5 ns, before 0 ns"),
        ({"first_byte_ns": -7}, "at -7 ns"),
        ({"acknowledged_ns": 2**62}, "events of up to 4611686018427387904 ns"),
    ],
)
def test_a_wrong_record_is_an_error_that_says_what_is_wrong(change: dict[str, int], said: str) -> None:
    host = RawHost(address := fuzz.address())

    class Wrong(fuzz.Answers):
        def send(self, name: str, *values: int, tail: bytes = b"") -> None:
            if name != "TransferRecord":
                return super().send(name, *values, tail=tail)
            record = np.frombuffer(bytearray(fuzz.body(name, *values)), fuzz_dtype(name))
            record["status"], record["num_lost"], record["delivered_bytes"] = 0, 0, record["size_bytes"]
            for field, value in change.items():
                record[field] = value
            self.told = True
            self.host.send(TYPES[name], record.tobytes())

    answers = Wrong(host, fuzz.random.Random(1), -1, fuzz.json.dumps(fuzz.CATALOGUE).encode())
    answers.start()

    async def main(sim: cosim.Simulation) -> None:
        await sim.node("ue0").send(sim.node("edge0"), np.zeros(6), tag="a", encoding="fp64")

    with pytest.raises(ProtocolError, match="the scenario has sent what the protocol does not allow.*" + said):
        cosim.attach(main, address=address, participant=0)
    answers.over.set()
    answers.join()
    host.close()


def fuzz_dtype(name: str) -> np.dtype:
    return MESSAGES[name]


@pytest.mark.parametrize(
    "catalogue", [b"", b"[]", b"{", b'{"scenario": "x"}', b"\xff\xfe", b'{"scenario": 1, "nodes": []}']
)
def test_a_catalogue_that_is_none_is_refused(catalogue: bytes) -> None:
    host = RawHost(address := fuzz.address())
    answers = fuzz.Answers(host, fuzz.random.Random(1), -1, catalogue)
    answers.start()
    with pytest.raises(AttachError, match="the scenario's catalogue is not one"):
        cosim.attach(fuzz.program, address=address, participant=0)
    answers.over.set()
    answers.join()
    host.close()


# ---- who reads the address ---------------------------------------------------------------------------------------


def test_the_address_is_not_on_the_command_line_nor_in_the_environment_of_the_scenarios_children() -> None:
    async def main(sim: cosim.Simulation) -> tuple[str, str]:
        return sim.address, Path(f"/proc/{sim.scenario_pid}/cmdline").read_text()

    address, command = cosim.simulate(main, "wired-star", options={"numUe": 1})
    assert address.startswith("@edgelam-")
    assert "--numUe=1" in command
    assert "@" not in command


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_cannot_read_the_address(testbed: Testbed) -> None:
    secret = testbed.address()
    process = testbed.start([str(installed("bin/bridge-echo")), f"--edgelam-address={testbed.address()}"])
    hidden = subprocess.Popen(["sleep", "60"], env={**os.environ, "EDGELAM_SCENARIO_ADDRESS": secret})
    code = textwrap.dedent("""
        import os, sys
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        for pid in sys.argv[1:]:
            print("@edgelam" in open(f"/proc/{pid}/cmdline").read())
            try:
                open(f"/proc/{pid}/environ").read()
                print("read")
            except PermissionError:
                print("refused")
    """)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(process.pid), str(hidden.pid)], capture_output=True, text=True, check=True
        )
    finally:
        hidden.kill()
        hidden.wait()
    # as an argument it is read (which shows that the attack works), in the environment it is not
    assert done.stdout.split() == ["True", "refused", "False", "refused"]
