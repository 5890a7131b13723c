# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios driven over the bridge: times against numbers worked out by hand, losses, observables, controls."""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgelam import cosim
from edgelam.errors import ControlRefused, EdgelamError

HEADERS_UDP = 30  # bytes on the link: IPv4 20, UDP 8, PPP 2
HEADERS_TCP = 54  # IPv4 20, TCP with time stamps 32, PPP 2
STAR = {"numUe": 3, "numEdge": 1, "rate": "10Mbps", "delay": "5ms", "edgeRate": "1Gbps", "edgeDelay": "1ms"}


def run(main, options=None, scenario="wired-star", **more):
    return cosim.simulate(main, scenario=scenario, options=STAR if options is None else options, **more)


def udp_time_s(size, rate_bps):
    """Hand computation: pacing up to the last datagram, which then crosses both links without waiting."""
    datagrams = math.ceil(size / 1400)
    last = size - 1400 * (datagrams - 1)
    on_links = (last + HEADERS_UDP) * 8 * (1 / 10e6 + 1 / 1e9)
    return (datagrams - 1) * 1400 * 8 / rate_bps + on_links + 5e-3 + 1e-3


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(size=st.integers(1, 300_000), rate_mbps=st.floats(0.5, 9))
def test_udp_takes_as_long_as_worked_out_by_hand(size, rate_mbps):
    async def main(sim):
        sending = asyncio.ensure_future(
            sim.node("ue0").send(sim.node("edge0"), bytes(size), protocol="udp", rate_bps=rate_mbps * 1e6)
        )
        await sim.node("edge0").receive()
        return await sending

    record = run(main)
    assert record.status == "complete"
    assert record.last_byte_s - record.queued_s == pytest.approx(udp_time_s(size, rate_mbps * 1e6), rel=0.01)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(size=st.integers(1, 3_000_000))
def test_tcp_is_never_below_the_physical_bound(size):
    async def main(sim):
        sending = asyncio.ensure_future(sim.node("ue0").send(sim.node("edge0"), bytes(size)))
        await sim.node("edge0").receive()
        return await sending

    record = run(main)
    on_link = size + HEADERS_TCP * math.ceil(size / 1400)
    took_s = record.last_byte_s - record.queued_s
    assert took_s >= on_link * 8 / 10e6 + 6e-3
    assert took_s <= 1.05 * on_link * 8 / 10e6 + 0.1  # handshake and slow start; tuned, it fills the link
    assert record.acknowledged_s >= record.last_byte_s + 6e-3


def test_lost_ranges_reach_the_receiver():
    async def main(sim):
        data = np.ones(140_000, dtype=np.uint8)
        edge = sim.node("edge0")
        sending = asyncio.ensure_future(sim.node("ue0").send(edge, data, protocol="udp", rate_bps=5e6))
        message = await edge.receive()
        return await sending, message

    record, message = run(main, {**STAR, "loss": 0.1})
    lost = sum(end - begin for begin, end in message.lost)
    assert record.status == "partial"
    assert 0 < lost == record.lost_bytes == 140_000 - record.delivered_bytes
    assert all(begin % 1400 == 0 and begin < end for begin, end in message.lost)
    for begin, end in message.lost:
        assert not np.asarray(message.data)[begin:end].any()
    assert int(np.asarray(message.data).sum()) == 140_000 - lost


@pytest.mark.parametrize("protocol", ["tcp", "udp", "ideal"])
def test_several_receivers(protocol):
    async def main(sim):
        devices = sim.nodes_with_role("ue")
        sending = asyncio.ensure_future(sim.node("edge0").send(devices, bytes(range(256)) * 100, protocol=protocol))
        messages = await asyncio.gather(*(device.receive() for device in devices))
        return await sending, [bytes(message.data) for message in messages]

    records, data = run(main)
    assert sorted(record.receiver for record in records) == ["ue0", "ue1", "ue2"]
    assert data == [bytes(range(256)) * 100] * 3


def test_multicast_crosses_the_servers_link_once():
    async def main(sim):
        devices = sim.nodes_with_role("ue")
        # 8 Mb/s to each of three devices: three copies would not fit the server's 10 Mb/s.
        sending = asyncio.ensure_future(sim.node("edge0").send(devices, bytes(280_000), protocol="udp", rate_bps=8e6))
        await asyncio.gather(*(device.receive() for device in devices))
        return await sending

    records = run(main, {**STAR, "edgeRate": "10Mbps"})
    assert {record.status for record in records} == {"complete"}
    expected_s = 199 * 1400 * 8 / 8e6 + 2 * 1430 * 8 / 10e6 + 6e-3
    for record in records:
        assert record.last_byte_s == pytest.approx(expected_s, rel=0.01)


def test_each_multicast_receiver_has_its_own_losses():
    async def main(sim):
        devices = sim.nodes_with_role("ue")
        sending = asyncio.ensure_future(sim.node("edge0").send(devices, bytes(280_000), protocol="udp", rate_bps=4e6))
        messages = await asyncio.gather(*(device.receive() for device in devices))
        await sending
        return [tuple(message.lost) for message in messages]

    lost = run(main, {**STAR, "loss": 0.05})
    assert len(set(lost)) == 3


def test_cancel_withdraws_what_is_queued():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        long = asyncio.ensure_future(ue.send(edge, bytes(50_000_000)))
        await asyncio.sleep(0.5)
        long.cancel()
        begin_s = sim.now_s
        sending = asyncio.ensure_future(ue.send(edge, b"next", tag="next"))
        message = await edge.receive(tag="next")
        await sending
        return bytes(message.data), sim.now_s - begin_s

    data, took_s = run(main)
    assert data == b"next"
    assert took_s < 1  # the long one would have taken 42 s


def test_deadline():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        with pytest.raises(EdgelamError) as caught:
            await ue.send(edge, bytes(10_000_000), deadline_s=0.25)
        return sim.now_s, str(caught.value)

    now_s, text = run(main)
    assert now_s == pytest.approx(0.25)
    assert "expired" in text or "deadline" in text


def test_observables_and_controls():
    async def main(sim):
        states = await sim.observable("link_state").read()
        applied_s = await sim.control("link_rate_bps").set(np.array([1e6, 2e6, 3e6]))
        after = await sim.observable("link_state").read()
        refusals = []
        for name, value in (("link_rate_bps", [1e6, -1, 1e6]), ("link_loss", 2.0)):
            with pytest.raises(EdgelamError) as caught:
                await sim.control(name).set(np.array(value))
            refusals.append(str(caught.value))
        return states.value, applied_s, after.value, refusals

    before, applied_s, after, refusals = run(main)
    assert before.dtype.names == ("rate_bps", "loss", "up_packets", "down_packets", "dropped_packets")
    assert before["rate_bps"].tolist() == [1e7, 1e7, 1e7, 1e9]
    assert after["rate_bps"].tolist() == [1e6, 2e6, 3e6, 1e9]
    assert applied_s == 0
    assert "ue1" in refusals[0]
    assert "0 to 0.99" in refusals[1]


def test_a_subscription_samples_at_its_period():
    async def main(sim):
        times = []
        async with sim.observable("queue_bytes").subscribe(0.25) as readings:
            async for reading in readings:
                times.append(reading.time_s)
                if len(times) == 4:
                    break
        return times

    assert run(main) == pytest.approx([0, 0.25, 0.5, 0.75])


def test_the_end_of_the_scenario_ends_the_run():
    async def main(sim):
        await asyncio.sleep(100)

    with pytest.raises(EdgelamError, match="stopTime"):
        run(main, {**STAR, "stopTime": "2s"})


def test_same_seed_same_run():
    async def main(sim):
        edge = sim.node("edge0")
        records = []

        async def device(ue):
            for size in (1000, 200_000, 7):
                records.append(await ue.send(edge, bytes(size)))

        async with asyncio.TaskGroup() as group:
            for ue in sim.nodes_with_role("ue"):
                group.create_task(device(ue))
            for _ in range(9):
                await edge.receive()
        return records

    options = {**STAR, "loss": 0.03}
    first = run(main, options, seed=3)
    assert run(main, options, seed=3) == first
    assert run(main, options, seed=4) != first


def test_lte_macro_hands_over_and_traffic_goes_on():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        await sim.control("ue_velocity").set([[100.0, 0, 0]])  # from enb0 towards enb1, 500 m east of it
        cells, records = [], []
        while sim.now_s < 5:
            records.append(await ue.send(edge, bytes(50_000)))
            cells.append((await sim.observable("ue_serving_cell").read()).value[0].item())
            await asyncio.sleep(0.1)
        return cells, records

    cells, records = run(main, {"numUe": 1, "numEnb": 3, "speed": 0}, scenario="lte-macro")
    assert cells[0] == 0
    assert cells[-1] == 1
    assert {r.status for r in records} == {"complete"}


def test_lte_macro_devices_move_and_report():
    async def main(sim):
        await asyncio.sleep(0.2)
        names = ("ue_position", "ue_attached", "ue_serving_cell", "ue_sinr_db", "ue_uplink_sinr_db", "ue_rsrp_dbm")
        first = {name: (await sim.observable(name).read()).value for name in names}
        await sim.control("ue_velocity").set(np.array([[30.0, 0, 0], [0, 0, 0]]))
        await asyncio.sleep(0.1)
        moved = (await sim.observable("ue_position").read()).value - first["ue_position"]
        with pytest.raises(EdgelamError) as caught:
            await sim.control("ue_velocity").set(np.array([[300.0, 0, 0], [0, 0, 0]]))
        sending = asyncio.ensure_future(sim.node("ue0").send(sim.node("edge0"), bytes(20_000)))
        await sim.node("edge0").receive()
        return first, moved, str(caught.value), await sending

    first, moved, refusal, record = run(main, {"numUe": 2, "speed": 0}, scenario="lte-macro")
    assert first["ue_attached"].tolist() == [1, 1]
    assert first["ue_serving_cell"].tolist() == [0, 0]
    assert np.isfinite(first["ue_sinr_db"]).all()
    assert np.isfinite(first["ue_uplink_sinr_db"]).all()
    assert (first["ue_rsrp_dbm"] < 0).all()
    assert moved == pytest.approx(np.array([[3.0, 0, 0], [0, 0, 0]]), abs=1e-6)
    assert "ue0" in refusal
    assert record.status == "complete"
    assert record.last_byte_s - record.queued_s > 4e-3  # core and edge links alone take 3 ms


def test_log_components_tell_what_participants_do(tmp_path, monkeypatch):
    names = ["ClockHost", "RequestHandler", "TransferRequests", "Readings", "Registry"]
    names += ["TransferApplication", "Transfer", "TcpConnection", "UdpFlow"]
    monkeypatch.setenv("NS_LOG", ":".join(f"Edgelam{name}=level_all|prefix_time|prefix_func" for name in names))

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        await asyncio.sleep(0.5)
        await ue.send(edge, bytes(1400), priority=3)
        await ue.send(edge, bytes(2800), protocol="udp")
        await sim.observable("link_state").read()
        with pytest.raises(ControlRefused):
            await sim.control("link_loss").set(2.0)

    run(main, {"numUe": 1}, scenario_log=tmp_path / "log.txt")
    told = (tmp_path / "log.txt").read_text()
    for line in (
        "+0.500000000s EdgelamRequestHandler:Handle(",
        "+0.500000000s EdgelamTransferRequests:Start(): participant 0, transfer ",
        "+0.500000000s EdgelamTransferApplication:Send(): ue0 begins transfer 1 of 1400 bytes, tcp, to 1 nodes",
        "+0.500000000s EdgelamTcpConnection:Open(): ue0 connects to edge0 from port ",
        "EdgelamUdpFlow:SendNext(): transfer 2: sends datagram 1",
        "EdgelamTransfer:End(): transfer 2 of ue0 to edge0: complete, 2800 of 2800 bytes",
        "EdgelamRegistry:Read(): read link_state",
        "EdgelamRegistry:Set(): set link_loss from 8 bytes",
        "EdgelamClockHost:Refuse(): participant 0 is refused its SetControl ",
        "EdgelamClockHost:Detach(): participant 0 leaves",
    ):
        assert line in told
