# SPDX-License-Identifier: GPL-2.0-only
"""asyncio in simulated time: times, order, errors. Clock without a network."""

import asyncio
import contextlib
import math
import time

import pytest
from cosim_runs import run
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam import cosim
from edgelam.errors import (
    DeadlockError,
    NotSimulatedError,
    OutOfDeviceMemory,
    RunCancelled,
    StalledError,
)


def test_sleep_takes_simulated_time_only():
    async def main(sim):
        wall = time.monotonic()
        await asyncio.sleep(3600)
        return sim.now_s, sim.now_ns, asyncio.get_running_loop().time(), time.monotonic() - wall

    now_s, now_ns, loop_s, wall_s = run(main)
    assert (now_s, now_ns, loop_s) == (3600.0, 3600 * 10**9, 3600.0)
    assert wall_s < 60


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-9, 1e4), min_size=1, max_size=20))
def test_sleeps_end_in_order_of_time_then_of_creation(delays):
    async def main(sim):
        ended = []

        async def one(i, delay):
            before = sim.now_ns
            await asyncio.sleep(delay)
            assert sim.now_ns == before + round(delay * 1e9)
            ended.append((sim.now_ns, i))

        await asyncio.gather(*(one(i, d) for i, d in enumerate(delays)))
        return ended

    ended = run(main)
    assert ended == sorted(ended)


def test_timeout_is_simulated_and_is_the_builtin_error():
    async def main(sim):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.25):
                await sim.node("ue0").receive()
        assert type(caught.value) is TimeoutError
        assert sim.now_s == 0.25
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.5)
        assert sim.now_s == 0.75
        async with asyncio.timeout_at(2.0):
            await asyncio.sleep(1)
        return sim.now_s

    assert run(main) == 1.75


def test_infinite_sleep_is_a_wait_without_deadline():
    async def main(sim):
        await asyncio.sleep(math.inf)

    with pytest.raises(DeadlockError):
        run(main)


def test_queue_and_task_group():
    async def main(sim):
        queue = asyncio.Queue(1)
        got = []

        async def produce():
            for i in range(5):
                await queue.put(i)
                await asyncio.sleep(0.1)

        async def consume():
            for _ in range(5):
                got.append((await queue.get(), sim.now_ns))

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            group.create_task(consume())
        return got

    assert run(main) == [(i, i * 100_000_000) for i in range(5)]


def test_task_group_cancels_in_order_of_creation():
    async def main(sim):
        cancelled = []

        async def wait(i):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled.append(i)
                raise

        async def fail():
            await asyncio.sleep(1)
            raise ValueError("boom")

        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for i in range(200):
                    group.create_task(wait(i))
                group.create_task(fail())
        return cancelled

    first = run(main)
    assert sorted(first) == list(range(200))
    assert first == run(main)


def test_as_completed_and_wait_have_one_order():
    async def main(sim):
        started, done = [], []

        async def one(i):
            started.append(i)
            await asyncio.sleep(1 + i % 3)
            return i

        for future in asyncio.as_completed([one(i) for i in range(50)]):
            done.append(await future)
        tasks = [asyncio.create_task(one(i)) for i in range(50)]
        finished, _ = await asyncio.wait(tasks)
        for future in cosim.as_completed([one(i) for i in range(5)]):
            done.append(await future)
        return started, done, [t.result() for t in finished]

    started, done, finished = run(main)
    assert started[:50] == list(range(50))
    assert done[:50] == sorted(range(50), key=lambda i: (i % 3, i))
    assert (started, done, finished) == run(main)


def test_wait_refuses_futures_without_order():
    async def main(sim):
        await asyncio.wait([asyncio.gather(asyncio.sleep(1)), asyncio.gather(asyncio.sleep(1))])

    with pytest.raises(NotSimulatedError, match="_GatheringFuture"):
        run(main)


def test_stock_asyncio_is_as_it_was_after_a_run():
    before = asyncio.as_completed, asyncio.wait

    async def main(sim):
        assert asyncio.wait is not before[1]

    run(main)
    assert (asyncio.as_completed, asyncio.wait) == before

    async def stock():
        return [await f for f in asyncio.as_completed([asyncio.sleep(0, 1)])]

    assert asyncio.run(stock()) == [1]


def test_run_inside_a_running_loop():
    async def notebook():
        async def main(sim):
            await asyncio.sleep(5)
            return sim.now_s

        result = run(main)
        await asyncio.sleep(0)
        return result

    assert asyncio.run(notebook()) == 5.0


# ---- errors ----------------------------------------------------------------------------------------------------


def test_exception_of_main_is_raised():
    async def main(sim):
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(main)


def test_single_own_error_comes_out_of_the_task_group():
    async def main(sim):
        async with asyncio.TaskGroup() as group:
            group.create_task(fill(sim))

    async def fill(sim):
        sim.node("ue0").memory.allocate("model", 10**15)

    with pytest.raises(OutOfDeviceMemory, match=r"1,000,000,000,000,000 bytes.* 4,294,967,296 are free"):
        run(main)


def test_failed_task_that_nobody_holds_ends_the_run():
    async def main(sim):
        async def fail():
            raise ValueError("boom at birth")

        asyncio.create_task(fail())  # noqa: RUF006  # the point of the test
        await asyncio.sleep(1e6)
        raise AssertionError("time went on")

    with pytest.raises(ValueError, match="boom at birth"):
        run(main)


def test_failed_task_that_is_awaited_later_is_the_awaiters():
    async def main(sim):
        async def fail():
            raise ValueError("boom")

        task = asyncio.create_task(fail())
        await asyncio.sleep(10)
        with pytest.raises(ValueError, match="boom"):
            await task
        return sim.now_s

    assert run(main) == 10.0


def test_failed_task_that_is_held_and_forgotten_is_raised_at_the_end():
    async def main(sim):
        async def fail():
            raise ValueError("boom")

        sim.kept = asyncio.create_task(fail())
        await asyncio.sleep(1)

    with pytest.raises(ValueError, match="boom"):
        run(main)


def test_deadlock_names_who_waits_for_what_and_the_failure_behind_it():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")

        async def device():
            raise ValueError("no data")

        async def server():
            await edge.receive(ue, tag="embedding")

        sim.kept = asyncio.create_task(device(), name="device")
        await asyncio.sleep(0.5)
        await asyncio.create_task(server(), name="server")

    with pytest.raises(DeadlockError) as caught:
        run(main)
    text = str(caught.value)
    assert "0.500000000 s" in text
    assert "'server' waits for receive on edge0 from ue0 with tag 'embedding' (test_cosim_loop.py" in text
    assert "'main' waits for task 'server'" in text
    assert "'device' had failed: ValueError: no data" in text
    assert isinstance(caught.value.__cause__, ValueError)


def test_callback_error_ends_the_run():
    async def main(sim):
        asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
        await asyncio.sleep(5)

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_cancelled_main():
    async def main(sim):
        task = asyncio.current_task()
        asyncio.get_running_loop().call_later(1, task.cancel)
        await asyncio.sleep(5)

    with pytest.raises(RunCancelled, match=r"1\.000000000 s"):
        run(main)


def test_spinning_without_time_is_noticed(monkeypatch):
    monkeypatch.setattr("edgelam.cosim.loop.STALLED_AFTER", 1000)

    async def main(sim):
        await asyncio.sleep(2)
        while True:
            await asyncio.sleep(0)

    with pytest.raises(StalledError, match=r"2\.000000000 s"):
        run(main)


def test_left_over_tasks_clean_up_and_cannot_hold_the_end():
    cleaned = []

    async def main(sim):
        async def polite():
            try:
                await asyncio.sleep(100)
            finally:
                cleaned.append("polite")

        async def stubborn():
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(100)

        async def slow():
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(1)
                cleaned.append("never")

        sim.kept = [asyncio.create_task(c()) for c in (polite, stubborn, slow)]
        await asyncio.sleep(1)
        return sim.now_s

    assert run(main) == 1.0
    assert cleaned == ["polite"]


def test_async_generators_are_closed():
    closed = []

    async def main(sim):
        async def numbers():
            try:
                while True:
                    yield 1
                    await asyncio.sleep(1)
            finally:
                closed.append(True)

        sim.kept = numbers()
        await anext(sim.kept)

    run(main)
    assert closed == [True]
