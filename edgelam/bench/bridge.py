# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench bridge`` measures what the coupling costs, from Python to C++ and back.

The first figures are measured with ``bridge-echo``, a host without ns-3 that answers every message at once; the last
two with `edgelam.cosim` and the scenario ``wired-star``. All times are wall time.
"""

from __future__ import annotations

import asyncio
import json as json_module
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam import _bridge  # type: ignore[attr-defined]
from edgelam.output import terminal
from edgelam.paths import installed
from edgelam.processes import Child
from edgelam.random_streams import derive_seed, from_numbers

if TYPE_CHECKING:
    from edgelam.cosim import Simulation

ARRAY_BYTES = 64 * 10**6
EXCHANGES = 20_000
IDLE_S = 3.0
WAKES = 5_000
VIRTUAL_NODES = 1_000
WAKES_EACH = 20
TYPES = {message["name"]: message["type"] for message in json_module.loads(_bridge.SCHEMA)}


@contextmanager
def _echo(cores: set[int]) -> Iterator[tuple[Child, Any]]:
    """Run a process `bridge-echo` and the participant attached to it, both only on `cores`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # the child inherits it
    address = f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"
    environment = {**os.environ, "EDGELAM_SCENARIO_ADDRESS": address}
    process = Child([installed("bin/bridge-echo")], environment=environment)
    try:
        participant = _bridge.Participant(address, name="benchmark", child_pid=process.pid)
        yield process, participant
        participant.detach()
        process.wait(10)
        participant.close()
    finally:
        os.sched_setaffinity(0, before)
        process.stop(0.0)


def _timed_us(action: Callable[[], object], count: int) -> np.ndarray:
    """Return the wall time of each of `count` calls, us [count]."""
    times_ns = np.empty(count)
    clock = time.perf_counter_ns
    for i in range(count):
        begin = clock()
        action()
        times_ns[i] = clock() - begin
    return times_ns / 1e3


def round_trip_us(cores: set[int]) -> dict[str, float]:
    """Return the median and 99th percentile of the time for one message there and one back, us."""
    with _echo(cores) as (_, participant):
        body = bytes(8)
        exchange = participant.exchange
        _timed_us(lambda: exchange(0, body), EXCHANGES // 10)
        p50, p99 = np.percentile(_timed_us(lambda: exchange(0, body), EXCHANGES), [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def _cpu_s(pid: int) -> float:
    """Return the CPU time that all threads of a process have used, s."""
    total_ns = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total_ns += int(path.read_text().split()[0])
    return total_ns / 1e9


def idle_cpu_percent() -> float:
    """Return what waiting costs while nothing happens: both sides together, per cent of one core."""
    with _echo(os.sched_getaffinity(0)) as (process, participant):
        participant.exchange(0, bytes(8))
        before = _cpu_s(process.pid) + _cpu_s(os.getpid())
        begin = time.perf_counter()
        with suppress(_bridge.BridgeTimeout):
            participant.receive(IDLE_S)
        used_s = _cpu_s(process.pid) + _cpu_s(os.getpid()) - before
        return round(100 * used_s / (time.perf_counter() - begin), 3)


def array_ms() -> dict[str, float]:
    """Return the times of passing 64 MB, ms, medians.

    Handover: allocate in the arena, send a message to the host, get its answer and a view; no byte is copied. Copy: an
    array of the program is copied into the arena, into memory used before and (`array_first_copy_ms`) into memory
    never used. Read: the view, whose pages are mapped when they are read, is summed.
    """
    source = from_numbers(derive_seed(1, "array of the benchmark")).integers(0, 256, ARRAY_BYTES, dtype=np.uint8)
    handover, copy, read = [], [], []
    with _echo(os.sched_getaffinity(0)) as (_, participant):
        for _ in range(9):
            begin = time.perf_counter()
            array, ref = participant.allocate(ARRAY_BYTES)
            allocated = time.perf_counter()
            array[:] = source
            copied = time.perf_counter()
            participant.send(TYPES["Post"], bytes(8) + ref)
            ((_, _, body, _),) = participant.receive()
            view = participant.view(body[8:])
            viewed = time.perf_counter()
            checksum = int(view.view(np.uint64).sum())
            summed = time.perf_counter()
            if checksum != int(source.view(np.uint64).sum()):
                raise AssertionError("the array arrived damaged")
            handover.append(allocated - begin + viewed - copied)
            copy.append(copied - allocated)
            read.append(summed - viewed)
            del array, view
    return {
        "array_handover_ms": round(1e3 * float(np.median(handover)), 3),
        "array_copy_ms": round(1e3 * float(np.median(copy[1:])), 2),
        "array_first_copy_ms": round(1e3 * copy[0], 2),
        "array_read_ms": round(1e3 * float(np.median(read)), 2),
    }


async def _wakes(sim: Simulation) -> float:
    """Return the mean wall time of one sleep in simulated time: loop, bridge, ns-3 and back, us."""
    for _ in range(WAKES // 10):
        await asyncio.sleep(1e-6)
    begin = time.perf_counter()
    for _ in range(WAKES):
        await asyncio.sleep(1e-6)
    return (time.perf_counter() - begin) / WAKES * 1e6


async def _virtual_nodes(sim: Simulation) -> dict[str, float]:
    """Let a thousand coroutines sleep: each at times of its own (no two share a round trip), and all together."""

    async def node(index: int, offset_s: float) -> None:
        await asyncio.sleep(index * offset_s)
        for _ in range(WAKES_EACH):
            await asyncio.sleep(1e-3)

    async def measure(offset_s: float) -> float:
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for index in range(VIRTUAL_NODES):
                group.create_task(node(index, offset_s))
        return (time.perf_counter() - begin) / (VIRTUAL_NODES * (WAKES_EACH + 1)) * 1e6

    return {
        "wake_apart_us": round(await measure(1e-9 * 997), 2),
        "wake_together_us": round(await measure(0.0), 2),
    }


def run(json: bool = False) -> int:
    """Measure, and print a table or one JSON object. Returns the exit status."""
    from edgelam import cosim

    usable = os.sched_getaffinity(0)
    one_core = {max(usable)}  # core 0 takes most of the machine's interrupts
    result: dict[str, Any] = {
        "round_trip_us": {
            "two_cores": round_trip_us(usable) if len(usable) > 1 else None,
            "one_core": round_trip_us(one_core),
        },
        "idle_cpu_percent": idle_cpu_percent(),
        **array_ms(),
        "asyncio_wake_us": round(cosim.simulate(_wakes, "wired-star"), 2),
        "virtual_nodes_1000": cosim.simulate(_virtual_nodes, "wired-star"),
    }
    print(json_module.dumps(result)) if json else _print_table(result)
    return 0


def _print_table(result: dict[str, Any]) -> None:
    table = terminal.TextTable("The coupling, from Python to C++ and back (wall time)", "what", "measured", "aim")
    trips = result["round_trip_us"]
    for key, name, aim in (("two_cores", "two cores", "2.5"), ("one_core", "both on one core", "6")):
        trip = trips[key]
        value = "only one core" if trip is None else f"p50 {trip['p50']} us, p99 {trip['p99']} us"
        table.add_row(f"round trip, {name}", value, f"p50 <= {aim} us")
    table.add_row("idle waiting, both sides together", f"{result['idle_cpu_percent']} % of a core", "< 2 %")
    table.add_row("64 MB array: handover", f"{result['array_handover_ms']} ms", "< 1 ms")
    table.add_row("64 MB array: copy into the arena", f"{result['array_copy_ms']} ms", "")
    table.add_row("    into memory never used before", f"{result['array_first_copy_ms']} ms", "")
    table.add_row("64 MB array: reading all of the view", f"{result['array_read_ms']} ms", "")
    table.add_row("one wake through the asyncio loop and ns-3", f"{result['asyncio_wake_us']} us", "")
    nodes = result["virtual_nodes_1000"]
    table.add_row("1,000 virtual nodes: a wake, each at its own time", f"{nodes['wake_apart_us']} us", "")
    table.add_row("1,000 virtual nodes: a wake, all at the same time", f"{nodes['wake_together_us']} us", "")
    table.print(terminal.results())


if __name__ == "__main__":
    run()
