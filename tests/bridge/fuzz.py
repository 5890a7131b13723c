# SPDX-License-Identifier: GPL-2.0-only
"""Malformed frames, both ways, from one seed: python tests/bridge/fuzz.py --frames 20000 --seed 1 [--sanitize]

`to_scenario` plays a participant of a real scenario, `to_python` a scenario that a real participant attaches to. Each
sends what is right but for one frame in a few: fields with values that nobody expects, bodies and tails of a wrong
length, unknown types, array references out of range, repetitions. What may happen: it is refused or does no harm, or
the scenario ends with status 3 (after a Wait for ever with 4, a deadlock), Python with an EdgelamError, and both say
what was wrong. What must not: a signal, a sanitizer's report, any other exception, a wait without an end. Both return
a text for each of those.

--sanitize first compiles what reads the frames in C++, scenario and Python module, with the address and
undefined-behaviour sanitizers (sanitized.py), and shows that a planted fault is found (fuzz_planted.cc).
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

if "--sanitize" in sys.argv and "--way=python" in sys.argv:
    import importlib.machinery
    import importlib.util

    import edgelam

    # Before anything imports the other one: two of them in one process would share their types.
    _folder = Path(__file__).parents[2] / "build" / "sanitized"
    _path = str(_folder / ("_bridge" + importlib.machinery.EXTENSION_SUFFIXES[0]))
    _spec = importlib.util.spec_from_file_location("edgelam._bridge", _path)
    edgelam._bridge = sys.modules["edgelam._bridge"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(edgelam._bridge)

from raw_peers import RawHost, RawParticipant

from edgelam import _bridge, cosim
from edgelam.errors import EdgelamError
from edgelam.paths import installed

SCHEMA = json.loads(_bridge.SCHEMA)
TYPES = {message["name"]: message["type"] for message in SCHEMA}
NAMES = {message["type"]: message["name"] for message in SCHEMA}
LIMIT_S = 60  # an answer takes milliseconds; on a busy machine, seconds
REASONS = ("the protocol does not allow", "deadlock at t =", "raise ring_bytes")


def address() -> str:
    return f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"


def places(name: str) -> list[tuple[int, int]]:
    """Offset and size of every number in a message, structs in it taken apart."""
    (message,) = (m for m in SCHEMA if m["name"] == name)
    return _places(message)


def _places(description: dict) -> list[tuple[int, int]]:
    found = []
    for field in description["fields"]:
        if isinstance(field["dtype"], dict):
            found += [(field["offset"] + at, size) for at, size in _places(field["dtype"])]
        else:
            found.append((field["offset"], np.dtype(field["dtype"]).itemsize))
    return found


def body(name: str, *values: int) -> bytes:
    """A message from its numbers, in order; those that are not given are 0."""
    (message,) = (m for m in SCHEMA if m["name"] == name)
    data = bytearray(message["itemsize"])
    for (at, size), value in zip(places(name), values, strict=False):
        data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")
    return bytes(data)


def spoil(rng: random.Random, kind: int, data: bytes, tail: bytes) -> tuple[int, bytes, bytes, tuple[int, int] | None]:
    """A frame with something wrong, or at least odd, in it."""
    sizes = None
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        how = rng.randrange(10)
        if how < 5 and kind in NAMES and len(data) == len(body(NAMES[kind])):
            at, size = rng.choice(places(NAMES[kind]))
            bits = 8 * size
            value = rng.choice((
                0, 1, 2, 3, 7, 8, 2**31, 2 ** (bits - 1), 2 ** (bits - 1) - 1, 2**bits - 1, 2**bits - 2, 2**bits - 1000,
                4096, 10**6, rng.getrandbits(bits), rng.getrandbits(8),
            ))  # fmt: skip
            data = data[:at] + (value % 2**bits).to_bytes(size, "little") + data[at + size :]
        elif how == 5:
            data = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.7 else data + bytes(rng.randrange(1, 20))
        elif how == 6:
            kind = rng.choice((rng.randrange(len(SCHEMA)), rng.randrange(2**16), len(SCHEMA)))
        elif how == 7:
            tail = tail[: rng.randrange(len(tail) + 1)]
        elif how == 8:
            tail += rng.randbytes(rng.choice((1, 3, 8, 16, 64, 1000)))
        elif how == 9 and tail:
            at = rng.randrange(len(tail))
            tail = tail[:at] + rng.randbytes(1) + tail[at + 1 :]
    if rng.random() < 0.01:
        sizes = (rng.choice((len(data), rng.getrandbits(32))), rng.getrandbits(32))
    return kind, data, tail, sizes


# ---- to the scenario ---------------------------------------------------------------------------------------------


def request(rng: random.Random, now_ns: int, count: int) -> tuple[str, bytes, bytes]:
    """One that is right, to wired-star with two devices (nodes 1 and 2) and a server (node 3)."""
    name = rng.choice(("TransferRequest",) * 4 + ("CancelTransfer", "ClaimNode", "ReadObservable", "ReadObservable",
                       "Unsubscribe", "SetControl", "SetControl", "Post", "Wait"))  # fmt: skip
    array = (1, rng.randrange(4), 4096 * rng.randrange(4), 1000) if rng.random() < 0.3 else ()
    earlier = max(0, count - rng.randrange(3))
    if name == "TransferRequest":
        source, target = rng.sample((1, 2, 3), 2)
        meta = rng.randbytes(rng.randrange(9))
        spec = (count, 1000, rng.randrange(4), rng.choice((0, 0, 5)), 2**63 - 1, 10**6, 0, rng.randrange(2))
        values = (*spec, source, 1, len(meta), 0, *array)
        return name, body(name, *values), struct.pack("<I", target) + meta
    if name == "SetControl":
        control = rng.randrange(2)
        value = struct.pack("<2d", 1e7, 1e8) if control == 0 else struct.pack("<d", 0.1)
        return name, body(name, count, control, 0, *array), b"" if array else value
    values = {
        "CancelTransfer": (earlier,),
        "ClaimNode": (rng.randrange(1, 4),),
        "ReadObservable": (count, rng.randrange(2), rng.randrange(2), rng.choice((0, 0, 10**5))),
        "Unsubscribe": (earlier,),
        "Post": (0, 0, *array),
        "Wait": (now_ns + 10,),
    }[name]
    return name, body(name, *values), rng.randbytes(rng.randrange(20)) if name == "Post" else b""


class Scenario:
    """A scenario process, and the raw participant attached to it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        where = address()
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment, "EDGELAM_SCENARIO_ADDRESS": where}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        self.end = RawParticipant(where, timeout_s=LIMIT_S)
        for slot in range(4):
            self.end.hold(slot)
        self.now_ns = 0

    def resumed(self) -> bool:
        """Waits for a Resume, False when the scenario has ended instead. Raises TimeoutError."""
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            for kind, data, _ in self.end.received():
                if kind == TYPES["Resume"]:
                    self.now_ns = struct.unpack("<q", data)[0]
                    return True
                if kind == TYPES["Explain"]:
                    self.end.send(TYPES["Explanation"], body("Explanation"), b"\xff\0raw")
                elif kind == TYPES["Deadlock"]:
                    self.end.send(TYPES["Detach"], body("Detach"))
            if self.end.host_ended():
                return False
            time.sleep(0.0005)
        raise TimeoutError

    def stop(self) -> tuple[int, str]:
        self.end.close()
        try:
            said = self.process.communicate(timeout=LIMIT_S)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            said = self.process.communicate()[1]
            return -999, said
        return self.process.returncode, said


def to_scenario(
    frames: int, seed: int, command: list[str] | None = None, environment: dict[str, str] | None = None
) -> list[str]:
    """Sends that many spoilt frames to a scenario, a new one whenever it ends; returns what must not happen."""
    command = command or [str(installed("bin/scenarios/wired-star")), "--numUe=2"]
    rng = random.Random(seed)
    findings: list[str] = []
    host: Scenario | None = None
    for count in range(frames):
        if host is None:
            host, history = Scenario(command, environment or {}), []
        name, data, tail = request(rng, host.now_ns, count)
        kind, data, tail, sizes = spoil(rng, TYPES[name], data, tail)
        if kind == TYPES["Wait"] and len(data) == 8 and struct.unpack("<q", data)[0] > host.now_ns + 10**8:
            data = body("Wait", host.now_ns + 10**8)  # what is under way may keep a scenario busy for days
        history.append(f"{NAMES.get(kind, kind)} {data.hex()} tail {tail[:64].hex()} ({len(tail)} bytes) said {sizes}")
        ended, wrong = False, ""
        try:
            host.end.send(kind, data, tail, sizes)
            host.end.send(TYPES["Wait"], body("Wait", host.now_ns + 1000))
            ended = not host.resumed()
        except TimeoutError:
            wrong = f"no answer for {LIMIT_S} s"
        if ended or wrong or len(history) >= 200:
            status, said = host.stop()
            left = status == 0 and kind == TYPES["Detach"]  # what the frame has become
            if not wrong and status not in (3, 4) and not left:  # 4: a deadlock, after a Wait without a deadline
                wrong = f"status {status}"
            elif "Sanitizer" in said or "runtime error" in said:
                wrong = "a sanitizer's report"
            elif ended and not left and not any(text in said for text in REASONS):
                wrong = "an end without its reason"
            if wrong:
                findings.append(f"{wrong} after frame {count} of seed {seed}: {history[-1]}\n{said[-3000:]}")
            host = None
    if host is not None:
        host.stop()
    return findings


# ---- to Python ---------------------------------------------------------------------------------------------------

CATALOGUE = {
    "scenario": "raw",
    "participants": 1,
    "nodes": [{"id": 3, "name": "ue0", "role": "ue"}, {"id": 8, "name": "edge0", "role": "edge"}],
    "observables": [{"id": 0, "name": "load", "dtype": "<f8", "shape": [-1, 2], "axes": ["a", "b"]}],
    "controls": [{"id": 0, "name": "rate", "dtype": "<f8", "shape": [], "axes": []}],
}


async def program(sim: cosim.Simulation) -> None:
    """Something of everything that a participant does."""
    ue, edge = sim.node("ue0"), sim.node("edge0")
    sending = asyncio.create_task(ue.send(edge, np.arange(6), tag="a", protocol="udp"))
    reading = asyncio.create_task(sim.observable("load").read())
    await sim.control("rate").set(2.0)
    message = await edge.receive(ue, tag="a")
    assert message.data.shape == (6,)
    await sending
    assert (await reading).value.shape[1] == 2
    async with sim.observable("load").subscribe(1e-3) as readings:
        await anext(readings)
    await asyncio.sleep(1e-6)


class Answers(threading.Thread):
    """A scenario that does what it is asked at once, but spoils its frame number `spoilt`."""

    def __init__(self, host: RawHost, rng: random.Random, spoilt: int, catalogue: bytes) -> None:
        super().__init__(daemon=True)
        self.host, self.rng, self.spoilt, self.catalogue = host, rng, spoilt, catalogue
        self.sent = 0
        self.bad = "the catalogue"
        self.over = threading.Event()

    def run(self) -> None:
        host = self.host
        host.take_in(self.catalogue)
        now = 0
        while not self.over.is_set():
            for kind, data, tail in host.received():
                name = NAMES[kind]
                if name == "Wait":
                    (deadline,) = struct.unpack("<q", data)
                    now = deadline if deadline < 2**63 - 1 and not self.told else now
                    self.send("Resume", now)
                    self.told = False
                elif name == "TransferRequest":
                    id, size, source, meta = struct.unpack_from("<QQ40xI4xI", data)
                    (target,) = struct.unpack_from("<I", tail)
                    lost = struct.pack("<2Q", 1, 3)
                    self.send("Delivery", id, 0, source, target, 1, meta, 0, size, now, tail=lost + tail[4:])
                    self.send("TransferRecord", id, target, 1, size, size - 2, now, now, now, now, 0, 1, tail=lost)
                elif name == "ReadObservable":
                    (number,) = struct.unpack_from("<Q", data)
                    if self.rng.random() < 0.5:
                        host.hold_for_participant(0, 2)
                        array, value = (0, 2, 4096, 48), b""
                    else:
                        array, value = (), np.arange(6.0).tobytes()
                    self.send("ObservableValue", number, now, 2, 0, *array, tail=struct.pack("<2q", 3, 2) + value)
                elif name == "SetControl":
                    self.send("ControlApplied", struct.unpack_from("<Q", data)[0], now)
                elif name == "Explanation":  # a frame has become an Explain
                    self.send("Deadlock", now, tail=b"nobody goes on")
            if host.participant_left():
                return
            time.sleep(0)

    told = False

    def send(self, name: str, *values: int, tail: bytes = b"") -> None:
        self.told = name != "Resume"
        kind, data, sizes = TYPES[name], body(name, *values), None
        if self.sent == self.spoilt:
            if self.rng.random() < 0.1:  # the same once more
                self.host.send(kind, data, tail)
            else:
                kind, data, tail, sizes = spoil(self.rng, kind, data, tail)
            self.bad = f"{NAMES.get(kind, kind)} {data.hex()} tail {tail[:64].hex()} ({len(tail)} bytes) said {sizes}"
        self.sent += 1
        self.host.send(kind, data, tail, sizes)


def to_python(frames: int, seed: int) -> list[str]:
    """Has that many participants attach, one after another, and spoils one frame for each."""
    rng = random.Random(seed)
    findings = []
    good = json.dumps(CATALOGUE).encode()
    for count in range(frames):
        where = address()
        host = RawHost(where)
        catalogue, spoilt = good, rng.randrange(12)
        if rng.random() < 0.02:
            at = rng.randrange(len(good))
            catalogue, spoilt = good[:at] + rng.randbytes(rng.randrange(3)) + good[at + 1 :], -1
        answers = Answers(host, rng, spoilt, catalogue)
        answers.start()
        watchdog = threading.Timer(LIMIT_S, host.close)  # ends a wait: the socket is closed
        watchdog.start()
        wrong = ""
        try:
            cosim.attach(program, address=where, participant=0, seed=1)
        except EdgelamError as error:
            if not str(error):
                wrong = "an error without a text"
        except AssertionError as error:
            wrong = f"a wrong value: {error}"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        if not watchdog.is_alive():
            wrong = f"no end for {LIMIT_S} s"
        watchdog.cancel()
        answers.over.set()
        answers.join()
        host.close()
        if wrong:
            findings.append(f"{wrong} at frame {count} of seed {seed}: {answers.bad}")
    return findings


def main() -> int:
    """Both ways, with as many frames each."""
    parser = argparse.ArgumentParser(description="malformed frames, both ways")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sanitize", action="store_true")
    parser.add_argument("--way", choices=("scenario", "python"), help="one of the two only")
    options = parser.parse_args()
    command, environment = None, {}
    if options.sanitize and options.way != "python":
        import sanitized

        sanitized.build()
        environment = sanitized.ENVIRONMENT
        planted = to_scenario(300, options.seed, [str(sanitized.FOLDER / "planted")], environment)
        assert any("ERROR: AddressSanitizer" in finding for finding in planted), planted
        print("the planted fault was found", flush=True)
        command = [str(sanitized.FOLDER / "scenario"), "--numUe=2"]
    findings = []
    if options.way != "python":
        findings += told(to_scenario(options.frames, options.seed, command, environment), options, "to the scenario")
    if options.sanitize and options.way is None:  # the module is in a process that has the sanitizers from its start
        words = ["--sanitize", "--way=python", f"--frames={options.frames}", f"--seed={options.seed}"]
        done = subprocess.run(
            [sys.executable, __file__, *words], env={**os.environ, **sanitized.preloaded()}, check=False
        )
        return 1 if findings else done.returncode
    if options.way != "scenario":
        findings += told(to_python(options.frames, options.seed), options, "to Python")
    return 1 if findings else 0


def told(findings: list[str], options: argparse.Namespace, where: str) -> list[str]:
    """Prints what was found."""
    print(f"{options.frames} frames of seed {options.seed} {where}: {len(findings)} findings", flush=True)
    print(*findings, sep="\n\n")
    return findings


if __name__ == "__main__":
    sys.exit(main())
