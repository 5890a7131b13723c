# SPDX-License-Identifier: GPL-2.0-only
"""One participant over a real scenario: transfers, observables, controls, and a scenario that fails."""

import asyncio
import math
import os
import signal
import stat

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam import cosim
from edgelam.errors import (
    AttachError,
    ConfigurationError,
    ControlRefused,
    DeadlockError,
    ScenarioDied,
    ScenarioEnded,
    TransferError,
)

MBPS = 1e6


def run(main, *, num_ue=2, seed=1, options=None, **settings):
    return cosim.simulate(main, "wired-star", options={"numUe": num_ue, **(options or {})}, seed=seed, **settings)


def test_payload_arrives_and_takes_at_least_the_physical_time():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        x = torch.arange(100_000.0)
        send = asyncio.create_task(ue.send(edge, {"x": x}, tag="up", encoding="fp16"))
        message = await edge.receive(ue, tag="up")
        record = await send
        assert torch.equal(message.data["x"], x.half().float().clamp(max=65504))
        assert message.last_byte_s == record.last_byte_s
        return record, sim.now_s

    record, now_s = run(main, options={"rate": "10Mbps", "delay": "5ms"})
    assert (record.status, record.size_bytes, record.delivered_bytes) == ("complete", 200_000, 200_000)
    assert record.last_byte_s >= 200_000 * 8 / (10 * MBPS) + 0.005
    assert record.queued_s == 0.0 < record.first_byte_s < record.last_byte_s <= record.acknowledged_s == now_s


def test_transfers_share_a_link():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        first, second = await asyncio.gather(*(ue.send(edge, bytes(250_000), tag=str(i)) for i in range(2)))
        return first, second

    first, second = run(main, options={"rate": "10Mbps"})
    assert second.last_byte_s >= 500_000 * 8 / (10 * MBPS) > first.last_byte_s


def test_udp_losses_are_zeros_in_the_tensor():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        record = await ue.send(edge, torch.ones(50_000), protocol="udp", give_up_s=0.2)
        message = await edge.receive()
        return record, message

    record, message = run(main, options={"loss": 0.1}, seed=5)
    assert record.status == "partial"
    assert 0 < record.lost_bytes == record.size_bytes - record.delivered_bytes == message.lost_bytes
    wire = np.ones(50_000, np.float32).view(np.uint8).copy()
    for begin, end in message.lost:
        wire[begin:end] = 0
    assert np.array_equal(message.data.numpy(), wire.view(np.float32))


def test_of_what_is_lost_whole_the_receiver_never_hears():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        record = await ue.send(edge, torch.ones(10), protocol="udp", give_up_s=0.2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await edge.receive()
        return record

    record = run(main, options={"loss": 0.99}, seed=1)
    assert (record.status, record.delivered_bytes, record.lost_bytes) == ("partial", 0, 40)
    assert math.isnan(record.last_byte_s)


def test_cancelling_the_task_withdraws_the_transfer():
    records = []

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ue.send(edge, bytes(10_000_000), tag="big")
        assert sim.now_s == pytest.approx(0.1)
        after = await ue.send(edge, b"x", tag="small")
        await asyncio.sleep(20)
        return after

    after = run(main, options={"rate": "10Mbps"}, on_transfer=records.append)
    big = next(r for r in records if r.tag == "big")
    assert big.status == "cancelled"
    assert after.status == "complete"
    assert after.last_byte_s < 8  # not behind all of the big one


def test_deadline():
    async def main(sim):
        with pytest.raises(TransferError, match=r"ue0 to edge0 .*expired") as caught:
            await sim.node("ue0").send(sim.node("edge0"), bytes(10_000_000), tag="late", deadline_s=0.5)
        assert caught.value.record.status == "expired"
        return sim.now_s

    assert 0.5 <= run(main, options={"rate": "10Mbps"}) < 2


def test_ideal_takes_no_time():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        record = await ue.send(edge, bytes(10_000_000), protocol="ideal")
        other = await edge.send(ue, bytes(10_000_000))
        return sim.now_ns, record, other

    now_ns, record, other = run(main, network="ideal")
    assert now_ns == 0
    assert record.goodput_bps == math.inf
    assert other.protocol == "ideal"


def test_observables_and_controls():
    async def main(sim):
        state = await sim.observable("link_state").read()
        assert state.value.shape == (3,)
        assert state.value["rate_bps"][0] == 100 * MBPS
        state.value["rate_bps"] = 0  # nobody else sees that
        control = sim.control("link_rate_bps")
        await asyncio.sleep(0.5)
        assert await control.set([5e6, 6e6]) == 0.5
        assert (await sim.observable("link_state").read()).value["rate_bps"].tolist()[:2] == [5e6, 6e6]
        with pytest.raises(ControlRefused, match="-1"):
            await control.set([-1, 5e6])
        with pytest.raises(ConfigurationError, match=r"shape \(2,\).*not \(3,\)"):
            await control.set([1, 2, 3])
        with pytest.raises(ConfigurationError, match="not of dtype float64"):
            await control.set("fast")
        with pytest.raises(ConfigurationError, match="not of dtype float64"):
            await control.set([None, 5e6])
        times = []
        async with sim.observable("queue_bytes").subscribe(0.25) as readings:
            async for reading in readings:
                times.append(reading.time_s)
                if len(times) == 4:
                    break
        now = sim.now_s
        await asyncio.sleep(1)
        return times, now

    times, now = run(main)
    assert np.allclose(np.diff(times), 0.25)
    assert times[-1] == now


def test_thousand_nodes():
    async def main(sim):
        edge, ues = sim.node("edge0"), sim.nodes_with_role("ue")

        async def device(ue, i):
            await ue.send(edge, i, tag="up")
            return (await ue.receive(edge)).data

        async def server():
            for _ in ues:
                message = await edge.receive(tag="up")
                await edge.send(message.source, message.data + 1, protocol="ideal")

        async with asyncio.TaskGroup() as group:
            group.create_task(server())
            tasks = [group.create_task(device(ue, i)) for i, ue in enumerate(ues)]
        return [task.result() for task in tasks]

    assert run(main, num_ue=1000) == list(range(1, 1001))


def test_same_seed_same_records():
    def once(seed):
        records = []

        async def main(sim):
            edge, ues = sim.node("edge0"), sim.nodes_with_role("ue")

            async def device(ue):
                for size in sim.rng(ue.name).integers(1, 30_000, 3).tolist():
                    await ue.send(edge, bytes(size), protocol="udp", give_up_s=0.1)
                    await ue.send(edge, bytes(size))

            await asyncio.gather(*map(device, ues))

        run(main, num_ue=5, seed=seed, options={"loss": 0.02}, on_transfer=records.append)
        return repr(records)

    assert once(1) == once(1) != once(2)


steps = st.lists(
    st.tuples(
        st.sampled_from(["sleep", "tcp", "udp", "ideal", "read"]), st.sampled_from([0.0, 1e-9, 0.001, 0.002, 0.0123])
    ),
    max_size=5,
)


@settings(max_examples=15, deadline=None)
@given(st.lists(steps, min_size=1, max_size=4))
def test_any_program_sees_time_go_on_and_runs_the_same_twice(programs):
    """Devices that sleep, send and read at coinciding times: one log, never backwards, the same in every run."""

    def once():
        log = []

        async def main(sim):
            edge = sim.node("edge0")

            def note(*what):
                assert not log or sim.now_ns >= log[-1][0]
                log.append((sim.now_ns, *what))

            async def device(ue, program):
                for i, (kind, amount) in enumerate(program):
                    if kind == "sleep":
                        before = sim.now_ns
                        await asyncio.sleep(amount)
                        assert sim.now_ns == before + round(amount * 1e9)
                    elif kind == "read":
                        reading = await sim.observable("queue_bytes").read()
                        assert reading.time_s == sim.now_s
                    else:
                        record = await ue.send(edge, bytes(1 + int(amount * 1e6)), tag=f"{i}", protocol=kind)
                        assert record.status == "complete"
                        assert record.acknowledged_s == sim.now_s
                    note(ue.name, i, kind)

            async def server(total):
                for _ in range(total):
                    message = await edge.receive()
                    assert message.last_byte_s == sim.now_s
                    note("edge0", message.source.name, message.tag)

            total = sum(kind in ("tcp", "udp", "ideal") for program in programs for kind, _ in program)
            ues = sim.nodes_with_role("ue")
            async with asyncio.TaskGroup() as group:
                group.create_task(server(total))
                for ue, program in zip(ues, programs, strict=True):
                    group.create_task(device(ue, program))

        run(main, num_ue=len(programs))
        return log

    assert once() == once()


def test_deadlock_is_found_in_a_scenario():
    async def main(sim):
        await asyncio.sleep(0.25)
        await sim.node("edge0").receive(sim.node("ue1"), tag="never")

    with pytest.raises(DeadlockError, match="'main' waits for receive on edge0 from ue1 with tag 'never'") as caught:
        run(main)
    assert "0.25" in str(caught.value)


# ---- a scenario that fails -----------------------------------------------------------------------------------------


async def idle(sim):
    await asyncio.sleep(1)


def test_killed_scenario_is_reported_with_its_status_and_time():
    async def main(sim):
        await asyncio.sleep(0.5)
        os.kill(sim.scenario_pid, signal.SIGKILL)
        while True:
            await asyncio.sleep(0.001)

    with pytest.raises(ScenarioDied, match="killed by SIGKILL") as caught:
        run(main)
    assert caught.value.exit_status == -signal.SIGKILL
    assert caught.value.time_s >= 0.5


def test_killed_scenario_is_noticed_beside_a_forked_child():
    async def main(sim):
        await asyncio.sleep(0.1)
        child = os.fork()
        if child == 0:
            signal.pause()
        os.kill(sim.scenario_pid, signal.SIGKILL)
        try:
            while True:
                await asyncio.sleep(0.001)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    with pytest.raises(ScenarioDied, match="killed by SIGKILL"):
        run(main)


def test_data_loader_workers_do_not_disturb():
    async def main(sim):
        data = torch.utils.data.TensorDataset(torch.arange(8.0))
        loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=1, multiprocessing_context="fork")
        total = 0.0
        for (batch,) in loader:
            await sim.node("ue0").send(sim.node("edge0"), batch)
            total += (await sim.node("edge0").receive()).data.sum().item()
        return total

    assert run(main) == 28.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"numUe": 0}, "numUe"),
        ({"speed": 3}, "speed"),
        ({"rate": "fast"}, "fast"),
        ({"rate": [1, 2]}, r"option 'rate' is \[1, 2\]; legal are numbers, booleans and text"),
    ],
)
def test_mistakes_in_options_are_refused_by_name(options, text):
    with pytest.raises(ConfigurationError, match=text):
        cosim.simulate(idle, "wired-star", options=options)


def test_scenario_with_an_end_of_its_own():
    async def main(sim):
        await asyncio.sleep(100)

    with pytest.raises(ScenarioEnded, match="'main' waits for"):
        run(main, options={"stopTime": "2s"})


def script(tmp_path, text):
    path = tmp_path / "scenario"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def test_program_that_ends_at_once(tmp_path):
    path = script(tmp_path, "echo no licence for this >&2; exit 7\n")
    with pytest.raises(ScenarioDied, match=r"exit status 7(.|\n)*no licence for this") as caught:
        cosim.simulate(idle, path)
    assert (caught.value.exit_status, caught.value.last_lines) == (7, "no licence for this")


def test_program_that_never_answers(tmp_path):
    with pytest.raises(
        AttachError, match=r"scenario has not finished building its network after 0\.5 s \(it still runs"
    ):
        cosim.simulate(idle, script(tmp_path, "exec sleep 60\n"), attach_timeout_s=0.5)


def test_program_that_cannot_run(tmp_path):
    path = tmp_path / "scenario"
    path.write_text("not a program")
    path.chmod(0o755)
    with pytest.raises(ConfigurationError, match="cannot be started"):
        cosim.simulate(idle, path)


def test_log_is_kept_where_asked(tmp_path):
    log = tmp_path / "deep" / "scenario.log"
    run(idle, scenario_log=log)
    assert log.exists()
    with pytest.raises(ConfigurationError, match="scenario_log"):
        run(idle, scenario_log=log / "x")


def test_error_of_the_program_ends_the_scenario():
    pids = []

    async def main(sim):
        pids.append(sim.scenario_pid)
        await asyncio.sleep(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(main)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
