# SPDX-License-Identifier: GPL-2.0-only
"""What the participants of the tests do; further processes run ``python programs.py NAME``."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edgelam import cosim

HERE = Path(__file__)


def start(name, environment, *arguments):
    """Start program `name` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(HERE), name, *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Log:
    """Events with their simulated times, which must never go back."""

    def __init__(self, sim):
        self.sim = sim
        self.lines = []
        self.last = 0

    def __call__(self, *what):
        assert self.sim.now_ns >= self.last, "time went back"
        self.last = self.sim.now_ns
        self.lines.append(json.dumps([self.sim.now_ns, self.sim.participant, *what]))


async def traffic(sim):
    """Every participant is a device; participant 0 is the server as well. Barriers, hand-over, transfers, sleeps."""
    log, rng = Log(sim), sim.rng(f"traffic {sim.participant}")
    ue, edge = sim.node(f"ue{sim.participant}"), sim.node("edge0")
    sim.claim(ue)
    if sim.participant == 0:
        sim.claim(edge)
    rounds = 3
    sim.on_transfer = lambda r: log(
        "record", r.source, r.receiver, r.status, r.queued_s, r.last_byte_s, r.acknowledged_s
    )

    async def device():
        for i in range(rounds):
            await asyncio.sleep(float(rng.choice([0.0, 0.001, 0.001, 0.0123])))
            x = np.full(int(rng.integers(1, 20_000)), i, np.float32)
            await ue.send(edge, x, tag="up", protocol=str(rng.choice(["tcp", "udp", "ideal"])))
            x[:] = -1
            reply = await ue.receive(edge, tag="down")
            log("reply", reply.data[0].item(), reply.size_bytes)

    async def server():
        for _ in range(rounds * sim.participants):
            message = await edge.receive(tag="up")
            value = message.data[0].item()
            assert value >= 0
            log("request", message.source.name, value, message.size_bytes)
            await edge.send(message.source, {"answer": np.full(5000, value)}["answer"], tag="down")

    async with asyncio.TaskGroup() as group:
        group.create_task(device())
        if sim.participant == 0:
            group.create_task(server())
    await sim.barrier("end of traffic")
    log("barrier")
    following = (sim.participant + 1) % sim.participants
    await sim.post(following, "ring", {"big": np.full(100_000, sim.participant), "small": sim.participant})
    got = await sim.collect((sim.participant - 1) % sim.participants, "ring")
    assert set(got["big"].tolist()) == {got["small"]}
    log("ring", got["small"])
    await sim.barrier()
    await asyncio.sleep(0.001 * sim.participant)
    log("end")
    return log.lines


async def wait_for_ever(sim):
    sim.claim(sim.node("ue1"))
    await sim.barrier("started")
    await sim.node("ue1").receive(tag="never")


async def sleep_for_ever(sim):
    await sim.barrier("started")
    while True:
        await asyncio.sleep(0.01)


async def die(sim):
    await sim.barrier("started")
    await asyncio.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


async def die_with_a_forked_child(sim):
    await sim.barrier("started")
    if os.fork() == 0:  # as a data loader's worker: it holds copies of all file descriptors
        time.sleep(5)
        os._exit(0)
    await asyncio.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


async def fail(sim):
    await sim.barrier("started")
    await asyncio.sleep(0.5)
    raise ValueError("no shard")


async def hold_for_ever(sim):
    """Blocked in a socket, which the bridge knows nothing of."""
    await sim.barrier("started")
    mine, theirs = socket.socketpair()
    print("holds", flush=True)
    mine.recv(1)
    theirs.close()


async def leave_early(sim):
    await asyncio.sleep(0.25)


async def interrupted(sim):
    """Says when it is under way, then computes, sleeps or waits until somebody interrupts it."""
    kind = sys.argv[2]
    await asyncio.sleep(0.5)
    print(json.dumps({"scenario": sim.scenario_pid}), flush=True)
    if kind == "compute":
        while True:
            pass
    elif kind == "sleep":
        while True:
            await asyncio.sleep(0.001)
    await sim.node("edge0").receive()  # held by the subscription: no deadlock


async def interrupted_wait(sim):
    async with sim.observable("queue_bytes").subscribe(0.001):
        await interrupted(sim)


if __name__ == "__main__":
    program = globals()[sys.argv[1]]
    if "EDGELAM_PARTICIPANT" in os.environ:
        time.sleep(random.Random(os.environ.get("TEST_DELAY", "")).random() * bool(os.environ.get("TEST_DELAY")))
        result = cosim.attach(program, name=sys.argv[1])
    else:
        result = cosim.simulate(program, "wired-star", options={"numUe": 2})
    print("\n".join(result or []))
