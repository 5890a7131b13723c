# SPDX-License-Identifier: GPL-2.0-only
"""The world outside the simulation: what is refused, threads that hold the clock, Ctrl-C."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from cosim_runs import run

from edgelam.errors import NotSimulatedError


@pytest.mark.parametrize(
    "use",
    [
        lambda: asyncio.open_connection("localhost", 1),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
    ],
)
def test_outside_world_is_refused(use):
    async def main(sim):
        await use()

    with pytest.raises(NotSimulatedError, match="not available in simulated time"):
        run(main)


def test_signals_and_task_factories_are_refused():
    async def main(sim):
        loop = asyncio.get_running_loop()
        with pytest.raises(NotSimulatedError):
            loop.add_signal_handler(signal.SIGUSR1, print)
        with pytest.raises(NotSimulatedError):
            loop.set_task_factory(lambda *a: None)
        with pytest.raises(NotSimulatedError):
            loop.add_reader(socket.socket(), print)

    run(main)


def test_threads_hold_the_clock_and_keep_order():
    async def main(sim):
        order = []

        async def job(i, wall_s):
            order.append((await asyncio.to_thread(lambda: time.sleep(wall_s) or i), sim.now_ns))

        async def ticker():
            await asyncio.sleep(0.001)
            order.append(("tick", sim.now_ns))

        await asyncio.gather(job(0, 0.2), job(1, 0.0), ticker())
        return order

    assert run(main) == [(0, 0), (1, 0), ("tick", 1_000_000)]


def test_error_in_a_thread_reaches_the_awaiter():
    async def main(sim):
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

    run(main)


def test_foreign_thread_calling_in_is_refused():
    async def main(sim):
        loop = asyncio.get_running_loop()
        caught = []

        def foreign():
            try:
                loop.call_soon_threadsafe(print)
            except NotSimulatedError as error:
                caught.append(error)

        thread = threading.Thread(target=foreign)
        thread.start()
        thread.join()
        assert caught
        await asyncio.sleep(1)

    with pytest.raises(NotSimulatedError, match="to_thread"):
        run(main)


SPIN = """
import asyncio, sys
from edgelam import cosim
async def main(sim):
    async def clean():
        try:
            await asyncio.sleep(1e9)
        finally:
            print("cleaned", flush=True)
    sim.kept = asyncio.create_task(clean())
    await asyncio.sleep(1)
    print("ready", flush=True)
    {body}
cosim.simulate(main, nodes={{"ue0": "ue"}})
"""


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True: await asyncio.sleep(0.001)",
        "await asyncio.to_thread(__import__('time').sleep, 2)",
    ],
)
def test_ctrl_c_ends_the_run(body):
    process = subprocess.Popen(
        [sys.executable, "-c", SPIN.format(body=body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert "KeyboardInterrupt" in err
    assert "cleaned" in out
    assert process.returncode in (1, -signal.SIGINT, 130)


def test_import_is_light():
    code = "import sys, edgelam.cosim; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
