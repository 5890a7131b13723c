# SPDX-License-Identifier: GPL-2.0-only
"""Real host processes (`bridge-echo`) and real participant processes, all gone when a test ends."""

import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np

from edgelam import _bridge
from edgelam.paths import installed

__all__ = [
    "MESSAGES",
    "NO_ARRAY",
    "TO_HOST",
    "TYPES",
    "Testbed",
    "_bridge",
    "ask",
    "body",
    "dtype_of",
    "np",
    "os",
    "post",
    "posted",
    "signal",
    "sys",
    "time",
    "wait_for",
]  # also what the code of `Testbed.python` sees

TO_HOST = 2**32 - 1
TYPES = {message["name"]: message["type"] for message in json.loads(_bridge.SCHEMA)}
NO_ARRAY = bytes(24)


def dtype_of(description: dict | str) -> np.dtype:
    """The NumPy type of a layout as the bridge describes it."""
    if isinstance(description, str):
        return np.dtype(description)
    fields = description["fields"]
    return np.dtype(
        {
            "names": [f["name"] for f in fields],
            "formats": [(dtype_of(f["dtype"]), tuple(f["shape"])) for f in fields],
            "offsets": [f["offset"] for f in fields],
            "itemsize": description["itemsize"],
        }
    )


MESSAGES = {message["name"]: dtype_of(message) for message in json.loads(_bridge.SCHEMA)}


def body(name: str, **values: object) -> bytes:
    """The bytes of a message; fields that are not named are zero. A struct in it is a dict of its fields."""
    record = np.zeros((), MESSAGES[name])
    for field, value in values.items():
        if isinstance(value, dict):
            for inner, number in value.items():
                record[field][inner] = number
        else:
            record[field] = value
    return record.tobytes()


def post(participant: _bridge.Participant, to: int, tail: bytes = b"", ref: bytes = NO_ARRAY) -> None:
    participant.send(TYPES["Post"], np.array([to, 0], "<u4").tobytes() + ref, tail)


def posted(participant: _bridge.Participant, timeout_s: float = 30) -> tuple[bytes, bytes]:
    """The tail and the array reference of the one Posted that arrives."""
    ((kind, _, message, tail),) = participant.receive(timeout_s)
    assert kind == TYPES["Posted"]
    return tail, message[8:]


def ask(participant: _bridge.Participant, command: str, ref: bytes = NO_ARRAY) -> tuple[bytes, bytes]:
    """What bridge-echo answers to a command."""
    post(participant, TO_HOST, command.encode(), ref)
    return posted(participant)


class Testbed:
    """Starts processes and ends them."""

    __test__ = False

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen] = []
        self.participants: list[_bridge.Participant] = []

    def address(self) -> str:
        return f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"

    def host(self, address: str | None = None, **options: object) -> tuple[subprocess.Popen, str]:
        address = address or self.address()
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [str(installed("bin/bridge-echo")), f"--edgelam-address={address}", *arguments]
        return self.start(command), address

    def start(self, command: list[str]) -> subprocess.Popen:
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def python(self, code: str, *arguments: object) -> subprocess.Popen:
        """A Python process that has this file's helpers and runs `code`; its arguments are in sys.argv[1:]."""
        head = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from bridge_testbed import *\n"
        return self.start([sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)])

    def attach(self, address: str, participant: int = 0, **options: object) -> _bridge.Participant:
        attached = _bridge.Participant(address, participant, **{"timeout_s": 30, **options})
        self.participants.append(attached)
        return attached

    def pair(self, **options: object) -> tuple[subprocess.Popen, _bridge.Participant]:
        """A host and its only participant."""
        process, address = self.host(**options)
        return process, self.attach(address, child_pid=process.pid)

    def close(self) -> None:
        for participant in self.participants:
            participant.detach()
            participant.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


def wait_for(process: subprocess.Popen, status: int) -> str:
    """Waits for the end, which must be soon; returns what the process said on stderr."""
    _, said = process.communicate(timeout=100)
    assert process.returncode == status, said
    return said
