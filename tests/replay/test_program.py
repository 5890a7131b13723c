# SPDX-License-Identifier: GPL-2.0-only
"""Programs recorded over one network and played over another, against really running them there."""

import asyncio
import copy
import pickle

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import NotReplayable
from edgelam.replay import ProgramPlayer, ProgramRecorder
from edgelam.replay.traced import Traced, evaluate

NEAR = {"numUe": 3, "rate": "200Mbps", "delay": "1ms"}
FAR = {"numUe": 3, "rate": "7Mbps", "delay": "13ms"}
STAR = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}
GIGA = 10**9


def simulate(main, network, **more):
    """Over wired-star with options `network`, or without a network (None)."""
    if network is None:
        return cosim.simulate(main, nodes=STAR, **more)
    return cosim.simulate(main, scenario="wired-star", options=network, **more)


def record(main, network=NEAR, **more):
    """(operations, transfers, blocks, recorder) of a real run."""
    operations, transfers, blocks = [], [], []
    recorder = ProgramRecorder(operations.extend)
    settings = {"program": recorder, "on_transfer": transfers.append, "on_compute": blocks.append} | more
    simulate(main, network, **settings)
    return operations, transfers, blocks, recorder


def play(operations, network, **more):
    """(transfers, blocks, player) of a replay."""
    transfers, blocks = [], []
    player = ProgramPlayer(operations, any_order=more.pop("any_order", False))
    more |= {"program": player, "on_transfer": transfers.append, "on_compute": blocks.append}
    simulate(player.main, network, **more)
    return transfers, blocks, player


def facts(transfers):
    """All of the records but their numbers, which count the futures of a run too."""
    return [tuple(getattr(r, name) for name in r.__slots__ if name != "id") for r in transfers]


def work(giga):
    return cosim.Work(flops=giga * GIGA, bytes=0)


async def everything(sim):
    """All that can be recorded, with joins whose last child is another one over another network."""
    ues, edge = sim.nodes_with_role("ue"), sim.node("edge0")
    ready, queue = asyncio.Event(), asyncio.Queue(1)

    async def device(ue, k):
        async with ue.compute("start", work=work(3 - k)):
            pass
        await asyncio.sleep(0.004 * k)
        if k == 1:
            ready.set()
        await ready.wait()
        for r in range(3):
            sending = asyncio.create_task(ue.send(edge, np.zeros(2_000 * (k + 1) + r, np.float32), tag="up"))
            await asyncio.sleep(0)
            async with ue.compute("more", work=work(1)):
                pass
            await ue.receive(edge, tag="down")
            await sending

    async def producer():
        for _ in range(3):
            messages = await asyncio.gather(*(edge.receive(ue, tag="up") for ue in ues))
            await queue.put([m.size_bytes for m in messages])
            await asyncio.to_thread(int)

    async def consumer():
        for _ in range(3):
            sizes = await queue.get()
            async with edge.compute("merge", work=work(50)):
                pass
            tasks = [asyncio.create_task(edge.send(ue, np.zeros(sum(sizes) // 8, np.uint8), tag="down")) for ue in ues]
            await asyncio.wait(tasks)
            assert all(task.done() for task in tasks)
            async with asyncio.timeout(60):
                await edge.send(list(reversed(ues)), b"round over", tag="over", protocol="udp")

    async with asyncio.TaskGroup() as group:
        for k, ue in enumerate(ues):
            group.create_task(device(ue, k))
        group.create_task(producer())
        last = group.create_task(consumer())
    last.result()


@pytest.fixture(scope="module")
def recorded():
    return {name: record(everything, network) for name, network in (("near", NEAR), ("far", FAR), ("none", None))}


@pytest.mark.parametrize("made", ["near", "far", "none"])
@pytest.mark.parametrize(("over", "network"), [("near", NEAR), ("far", FAR), ("none", None)])
def test_a_replay_has_the_times_of_a_real_run_to_the_nanosecond(recorded, made, over, network):
    operations, *_, recorder = recorded[made]
    assert recorder.reasons == []
    transfers, blocks, _ = play(operations, network)
    assert facts(transfers) == facts(recorded[over][1])
    assert blocks == recorded[over][2]


def test_recording_changes_no_time(recorded):
    transfers = []
    simulate(everything, FAR, on_transfer=transfers.append)
    assert transfers == recorded["far"][1]


def test_other_devices(recorded):
    slow = {"ue*": "jetson-nano", "edge*": "phone"}
    _, transfers, blocks, _ = record(everything, FAR, devices=slow)
    assert facts(play(recorded["near"][0], FAR, devices=slow)[0]) == facts(transfers)
    assert play(recorded["near"][0], None, devices=slow)[1] != blocks


# ---- what depends on time is refused, with the reason ----------------------------------------------------------------


async def first_completed(sim):
    tasks = [asyncio.create_task(ue.send(sim.node("edge0"), b"x")) for ue in sim.nodes_with_role("ue")]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*tasks)


async def as_completed(sim):
    for sent in asyncio.as_completed([ue.send(sim.node("edge0"), b"x") for ue in sim.nodes_with_role("ue")]):
        await sent


async def from_anybody(sim):
    for ue in sim.nodes_with_role("ue"):
        await ue.send(sim.node("edge0"), b"x", tag="update")
        await sim.node("edge0").receive(tag="update")


async def deadline(sim):
    await sim.node("ue0").send(sim.node("edge0"), b"x", deadline_s=10.0)


async def timed_out(sim):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sim.node("ue0").receive()


async def wait_timeout(sim):
    await asyncio.wait([asyncio.create_task(sim.node("ue0").send(sim.node("edge0"), b"x"))], timeout=5)


async def cancelled(sim):
    task = asyncio.create_task(sim.node("ue0").receive())
    await sim.node("ue0").send(sim.node("edge0"), b"x")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def observable(sim):
    await sim.observable(next(iter(sim.observables))).read()


async def until_a_time(sim):
    while sim.now_s < 0.05:
        await sim.node("ue0").send(sim.node("edge0"), bytes(10_000))


async def smaller_by_comparing(sim):
    await sim.node("ue0").send(sim.node("edge0"), b"x")
    min(sim.now_s, 0.5)


async def compared_by_numpy(sim):
    np.less(sim.now_s, 0.5)


async def sleep_until(sim):
    await sim.node("ue0").send(sim.node("edge0"), b"x")
    await asyncio.sleep(1.0 - sim.now_s)


async def lock(sim):
    async with asyncio.Lock():
        await sim.node("ue0").send(sim.node("edge0"), b"x")


async def callback(sim):
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.1, done.set_result, None)
    await done


async def polling(sim):
    queue = asyncio.Queue()
    while queue.empty():
        await asyncio.sleep(0.1)
        queue.put_nowait(1)


@pytest.mark.parametrize(
    ("main", "reason"),
    [
        (first_completed, "first of several"),
        (as_completed, "as_completed"),
        (from_anybody, "3 nodes send it"),
        (deadline, "deadline"),
        (timed_out, "time-out"),
        (wait_timeout, "timeout"),
        (cancelled, "cancelled"),
        (observable, "observable"),
        (until_a_time, "times are compared"),
        (smaller_by_comparing, "numpy.minimum"),
        (compared_by_numpy, "times are compared"),
        (sleep_until, "times are compared"),
        (lock, "Lock"),
        (callback, "callback"),
        (polling, "Queue.empty"),
    ],
)
def test_what_depends_on_time_is_noticed(main, reason):
    *_, recorder = record(main)
    assert any(reason in text for text in recorder.reasons), recorder.reasons


def test_measured_compute_is_refused():
    *_, recorder = record(everything, None, compute="measured")
    assert any("measured" in text for text in recorder.reasons)


def test_who_only_looks_on_does_not_count(recorded):
    async def main(sim):
        async def follow():
            async for _ in sim.observable(next(iter(sim.observables))).subscribe(0.01):
                pass

        with cosim.looking_on():
            follower = asyncio.create_task(follow())
        await everything(sim)
        with cosim.looking_on():
            follower.cancel()

    operations, transfers, _, recorder = record(main, FAR)
    assert recorder.reasons == []
    assert facts(transfers) == facts(recorded["far"][1])
    assert facts(play(operations, FAR)[0]) == facts(transfers)


async def two_tasks_on_one_server(sim):
    """ue0 computes before it sends, ue1 sends more: whose block is first at the server depends on the network."""
    edge = sim.node("edge0")

    async def handle(ue, flops, size):
        async with ue.compute("first", work=work(flops)):
            pass
        await ue.send(edge, bytes(size))
        await edge.receive(ue)
        async with edge.compute(ue.name, work=work(1)):
            pass

    await asyncio.gather(handle(sim.node("ue0"), 20, 1_000), handle(sim.node("ue1"), 1, 100_000))


def test_another_order_of_blocks_on_a_node_is_refused_unless_they_share_nothing():
    operations, _, blocks, _ = record(two_tasks_on_one_server, NEAR)
    _, _, there, _ = record(two_tasks_on_one_server, FAR)
    order = [[b.label for b in each if b.node == "edge0"] for each in (blocks, there)]
    assert order == [["ue1", "ue0"], ["ue0", "ue1"]]
    with pytest.raises(NotReplayable, match="computes on edge0 before another task's"):
        play(operations, FAR)
    assert play(operations, FAR, any_order=True)[1] == there


def test_a_time_out_that_would_be_over_here_is_refused():
    async def main(sim):
        async with asyncio.timeout(0.05):
            await sim.node("ue0").send(sim.node("edge0"), bytes(100_000))

    operations, *_, recorder = record(main, NEAR)
    assert recorder.reasons == []
    with pytest.raises(NotReplayable, match=r"time-out of 0\.05 s"):
        play(operations, FAR)


def test_nodes_that_are_not_there_are_named():
    operations, *_ = record(everything, NEAR)
    with pytest.raises(NotReplayable, match="uses nodes ue2"):
        play(operations, FAR | {"numUe": 2})


# ---- times that are worked out anew ----------------------------------------------------------------------------------


def test_formulas():
    readings = {1: 2.0, 2: 5.0}
    recorder = ProgramRecorder(print)
    a, b = Traced(2.0, recorder, ["clock", 1]), Traced(5.0, recorder, ["clock", 2])
    spent = np.maximum(0.0, b - a) + 1 - np.minimum(a, np.float64(10.0))
    assert float(spent) == 2.0
    readings[2] = 8.0
    assert evaluate(spent.formula, lambda reading: readings[reading[1]]) == 5.0
    assert not isinstance(a * 2, Traced)
    assert copy.deepcopy(spent) is spent
    assert type(pickle.loads(pickle.dumps(spent))) is float  # noqa: S301  (our own bytes)
    assert not isinstance(a + Traced(1.0, ProgramRecorder(print), ["clock", 1]), Traced)  # of two simulations


def test_numbers_that_are_not_traced_are_numpys_own():
    a = Traced(2.0, ProgramRecorder(print), ["clock", 1])
    assert type(np.multiply(a, 2)) is np.float64
    np.testing.assert_array_equal(np.maximum(a, [1.0, 3.0]), [2.0, 3.0])
    np.testing.assert_array_equal(np.arange(3) + a, [2.0, 3.0, 4.0])
    assert not isinstance(np.add.reduce([a, a]), Traced)


def test_names_of_experiments_written_before():
    from edgelam.cosim.traced import earliest, latest

    a, b = (Traced(value, ProgramRecorder(print), ["clock", 1]) for value in (2.0, 5.0))
    assert (earliest(a, 7.0).formula, latest(1.0, b).formula) == (
        ["min", ["clock", 1], 7.0],
        ["max", 1.0, ["clock", 1]],
    )
    assert (earliest(1.0, 2.0), latest(1.0, 2.0)) == (1.0, 2.0)


# ---- observers of one's own ------------------------------------------------------------------------------------------


def test_an_observer_is_told_of_what_happens_and_changes_no_time(recorded):
    told = []

    class Counter(cosim.Observer):
        def __getattribute__(self, name):
            if name in cosim.Observer.__dict__ and not name.startswith("_") and not name.endswith("_type"):
                told.append(name)
            return super().__getattribute__(name)

    transfers = []
    simulate(everything, FAR, on_transfer=transfers.append, program=Counter())
    assert transfers == recorded["far"][1]
    assert told[:3] == ["asked", "begin", "task_started"]
    assert told[-1] == "ended"
    counts = {name: told.count(name) for name in ("transfer_started", "transfer_ended", "message_received", "told")}
    assert counts == {"transfer_started": 21, "transfer_ended": 27, "message_received": 18, "told": 27 + 15}
    assert told.count("compute_asked") == told.count("compute_done") == told.count("compute_ended") == 15
