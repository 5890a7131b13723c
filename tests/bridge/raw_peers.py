# SPDX-License-Identifier: GPL-2.0-only
"""Both ends of the bridge in plain Python, which send whatever they are told to: for what the real ones never send.

The layout of the memory is written here once more, from the comments of control.h, ring.h and socket.h.
"""

import array
import ctypes
import mmap
import os
import socket
import struct
import time
from dataclasses import dataclass

from edgelam import _bridge

ATTACH = struct.Struct("<IIQ")
MAGIC = 0x656C6131
MAX_SLOTS = 8192
_libc = ctypes.CDLL(None, use_errno=True)


def frame(kind: int, sequence: int, body: bytes, tail: bytes = b"", sizes: tuple[int, int] | None = None) -> bytes:
    """The bytes of a frame; `sizes`: what its header says of body and tail, if not the truth."""
    said = sizes or (len(body), len(tail))
    head = struct.pack("<IIQHHHH", *said, sequence, kind, 0, 0, 0)
    whole = head + body + tail
    return whole + bytes(-len(whole) % 8)


@dataclass
class Places:
    """Where what lies in the control segment."""

    participants: int
    ring_bytes: int

    def __post_init__(self) -> None:
        n, end = self.participants, 0

        def take(size: int) -> int:
            nonlocal end
            at, end = end, end + -(-size // 64) * 64
            return at

        take(40 + 4 + 1020)
        self.doorbells = take(64 * (n + 1))
        self.presence = take(64 * n)
        self.rings = take(192 * 2 * n)
        self.used_slots = take(4 * (n + 1))
        self.ring_data = take(self.ring_bytes * 2 * n)
        self.holds = take(4 * MAX_SLOTS * (n + 1) ** 2)
        self.total = -(-end // mmap.PAGESIZE) * mmap.PAGESIZE


class Memory:
    """The control segment, mapped."""

    def __init__(self, fd: int, places: Places) -> None:
        self.map = mmap.mmap(fd, places.total)
        self.places = places
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))

    def u64(self, at: int) -> int:
        return struct.unpack_from("<Q", self.map, at)[0]

    def set_u64(self, at: int, value: int) -> None:
        struct.pack_into("<Q", self.map, at, value)

    def ring_doorbell(self, process: int) -> None:
        at = self.places.doorbells + 64 * process
        (rings,) = struct.unpack_from("<I", self.map, at)
        struct.pack_into("<I", self.map, at, (rings + 1) % 2**32)
        _libc.syscall(202, ctypes.c_void_p(self._address + at), 1, 2**31 - 1, None, None, 0)

    def write(self, ring: int, data: bytes) -> None:
        """Puts bytes into ring 2 p (to the host) or 2 p + 1 (from it)."""
        state, capacity = self.places.rings + 192 * ring, self.places.ring_bytes
        written = self.u64(state)
        start = self.places.ring_data + ring * capacity
        for k in range(0, len(data), 8):
            self.map[start + (written + k) % capacity : start + (written + k) % capacity + 8] = data[k : k + 8]
        self.set_u64(state, written + len(data))

    def read(self, ring: int) -> list[tuple[int, bytes, bytes]]:
        """Takes all frames out: type, body, tail."""
        state, capacity = self.places.rings + 192 * ring, self.places.ring_bytes
        start = self.places.ring_data + ring * capacity
        frames = []
        consumed = self.u64(state + 64)
        written = self.u64(state)
        while consumed < written:
            lap = [(start + (consumed + k) % capacity) for k in range(0, 24, 8)]
            head = b"".join(self.map[at : at + 8] for at in lap)
            size, tail_size, _, kind = struct.unpack_from("<IIQH", head)
            whole = -(-(24 + size + tail_size) // 8) * 8
            begin, end = consumed % capacity, (consumed + whole) % capacity
            data = (
                self.map[start + begin : start + end]
                if begin < end
                else self.map[start + begin : start + capacity] + self.map[start : start + end]
            )
            frames.append((kind, data[24 : 24 + size], data[24 + size : 24 + size + tail_size]))
            consumed += whole
        self.set_u64(state + 64, consumed)
        return frames


def send_attach(line: socket.socket, status: int, text: bytes, fds: list[int] = ()) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    line.sendmsg([ATTACH.pack(MAGIC, status, len(text)) + text], rights)


def receive_attach(line: socket.socket) -> tuple[int, bytes, list[int]]:
    data, fds, _, _ = socket.recv_fds(line, 1 << 16, 253)
    while len(data) < ATTACH.size or len(data) < ATTACH.size + ATTACH.unpack_from(data)[2]:
        more = line.recv(1 << 16)
        if not more:
            raise ConnectionError("closed while it spoke")
        data += more
    _, status, size = ATTACH.unpack_from(data)
    return status, data[ATTACH.size : ATTACH.size + size], fds


class RawParticipant:
    """Attaches to a real scenario."""

    def __init__(self, address: str, participant: int = 0, timeout_s: float = 30) -> None:
        self.participant = participant
        self.line = socket.socket(socket.AF_UNIX)
        self.line.settimeout(timeout_s)
        end = time.monotonic() + timeout_s
        while self.line.connect_ex("\0" + address[1:]):
            if time.monotonic() > end:
                raise TimeoutError(f"nobody listens at {address}")
            time.sleep(0.002)
        hello = f"version\t{_bridge.PROTOCOL_VERSION}\nparticipant\t{participant}\npid\t{os.getpid()}\nname\traw\n\n"
        send_attach(self.line, 0, (hello + _bridge.SCHEMA_LINES).encode())
        status, text, fds = receive_attach(self.line)
        assert status == 0, text
        head = mmap.mmap(fds[0], mmap.PAGESIZE)
        _, participants, ring_bytes, self.arena_bytes = struct.unpack_from("<IIQQ", head)
        head.close()
        self.memory = Memory(fds[0], Places(participants, ring_bytes))
        for fd in fds:
            os.close(fd)
        self.sequence = 0

    def hold(self, slot: int) -> None:
        """As if an array had been allocated in that slot of this participant's arena."""
        places = self.memory.places
        process = self.participant + 1
        at = places.holds + 4 * ((process * MAX_SLOTS + slot) * (places.participants + 1) + process)
        struct.pack_into("<I", self.memory.map, at, 1)

    def send(self, kind: int, body: bytes, tail: bytes = b"", sizes: tuple[int, int] | None = None) -> None:
        self.memory.write(2 * self.participant, frame(kind, self.sequence, body, tail, sizes))
        self.sequence += 1
        self.memory.ring_doorbell(0)

    def received(self) -> list[tuple[int, bytes, bytes]]:
        return self.memory.read(2 * self.participant + 1)

    def host_ended(self) -> bool:
        self.line.settimeout(0)
        try:
            return self.line.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def close(self) -> None:
        self.line.close()


class RawHost:
    """Takes one real participant in."""

    def __init__(self, address: str, ring_bytes: int = 1 << 16, arena_bytes: int = 1 << 20) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind("\0" + address[1:])
        self.listener.listen()
        self.arena_bytes = arena_bytes
        self.places = Places(1, ring_bytes)
        self.sequence = 0

    def take_in(self, catalogue: bytes) -> None:
        self.listener.settimeout(30)
        self.line, _ = self.listener.accept()
        self.line.settimeout(30)
        receive_attach(self.line)
        control = os.memfd_create("control")
        os.ftruncate(control, self.places.total)
        os.pwrite(control, struct.pack("<IIQQQ", 0x6C616D65, 1, self.places.ring_bytes, self.arena_bytes,
                                       self.places.total), 0)  # fmt: skip
        words = os.memfd_create("catalogue")
        os.write(words, catalogue)
        arenas = [os.memfd_create("arena") for _ in range(2)]
        for fd in arenas:
            os.ftruncate(fd, self.arena_bytes)
        self.memory = Memory(control, self.places)
        struct.pack_into("<I", self.memory.map, self.places.presence, 1)
        send_attach(self.line, 0, b"", [control, words, *arenas])
        for fd in (control, words, *arenas):
            os.close(fd)

    def hold_for_participant(self, arena: int, slot: int) -> None:
        """Counts the participant as a holder, as the sender of an array does."""
        at = self.places.holds + 4 * ((arena * MAX_SLOTS + slot) * 2 + 1)
        (count,) = struct.unpack_from("<I", self.memory.map, at)
        struct.pack_into("<I", self.memory.map, at, count + 1)

    def send(self, kind: int, body: bytes, tail: bytes = b"", sizes: tuple[int, int] | None = None) -> None:
        self.memory.write(1, frame(kind, self.sequence, body, tail, sizes))
        self.sequence += 1
        self.memory.ring_doorbell(1)

    def received(self) -> list[tuple[int, bytes, bytes]]:
        return self.memory.read(0)

    def participant_left(self) -> bool:
        self.line.settimeout(0)
        try:
            return self.line.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def close(self) -> None:
        self.listener.close()
        if hasattr(self, "line"):
            self.line.close()
