# SPDX-License-Identifier: GPL-2.0-only
"""What a process may have is limited: nothing of a run stays, and whatever runs out is named."""

import asyncio
import gc
import os
import subprocess
import sys

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import EdgelamError

RUN = """
import resource, sys
from edgelam import cosim
from edgelam.errors import EdgelamError

async def main(sim):
    return (await sim.node("ue0").send(sim.node("edge0"), bytes(1000))).last_byte_s

cosim.simulate(main, "wired-star")  # everything is imported
which, low, high, step = sys.argv[1], *map(int, sys.argv[2:5])
limit = getattr(resource, which)
for value in range(low, high, step):
    resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    try:
        cosim.simulate(main, "wired-star")
        print(value, "works", flush=True)
    except EdgelamError as error:
        print(value, type(error).__name__, " ".join(str(error).split()), flush=True)
"""


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_no_descriptor_stays_open_whatever_is_kept():
    kept = []

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        sending = asyncio.create_task(ue.send(edge, np.ones(100_000)))
        kept.extend([sim, await edge.receive(ue)])  # the array lies in shared memory
        await sending
        if len(kept) > 4:
            raise ValueError("of the experiment")

    gc.collect()
    gc.disable()
    try:
        before = descriptors()
        for _ in range(4):
            try:
                cosim.simulate(main, "wired-star")
            except ValueError as error:
                kept.append(error)
            assert descriptors() == before
    finally:
        gc.enable()
    assert kept[1].data.sum() == 100_000
    with pytest.raises(EdgelamError, match="this run is over"):
        kept[0]._core.clock.claim(0)


def under(which, low, high, step):
    command = [sys.executable, "-c", RUN, which, str(low), str(high), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [line.split(maxsplit=2) for line in done.stdout.splitlines()]


def test_too_few_open_files_are_named():
    outcomes = under("RLIMIT_NOFILE", 5, 16, 1)
    failed = [rest for _, *rest in outcomes if rest[0] != "works"]
    assert len(failed) >= 4  # the fault takes effect
    for _, text in failed:
        assert "Too many open files" in text
        assert "ulimit -n" in text
    assert outcomes[-1][1] == "works"


def test_files_smaller_than_the_arena_are_named():
    (_, kind, text), (_, works) = under("RLIMIT_FSIZE", 10**8, 2**31, 2**31 - 1 - 10**8)
    assert works == "works"
    assert kind == "ScenarioDied"
    assert "1.1 GB of shared memory: the limit of file sizes (ulimit -f) is 100.0 MB" in text
    assert "arena_bytes" in text
