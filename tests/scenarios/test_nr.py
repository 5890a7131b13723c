# SPDX-License-Identifier: GPL-2.0-only
"""Scenario nr-urban-micro: refusals, transfers, what it publishes, controls, and a transfer's time from the air."""

import asyncio
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scenario_runs import report, start

from edgelam import cosim
from edgelam.errors import EdgelamError

# One UE that stands still 30 m away, in line of sight: the channel hardly changes.
STILL = {"numUe": 1, "speed": 0, "los": "Always", "minDistance": 30, "maxDistance": 31}
SEGMENT, HEADERS = 1448, 52  # bytes: TCP payload of an MTU of 1500, IPv4 20 and TCP with time stamps 32
RADIO_HEADERS = 9  # bytes a packet: PDCP 3, RLC AM 3, MAC 3
ROUND_TRIP_S = 0.012  # at most, of a small packet up and an answer: scheduling request, grant, both transmissions


def run(main, options=None, **more):
    return cosim.simulate(main, scenario="nr-urban-micro", options=STILL | (options or {}), **more)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--bandwidth=33"], ["bandwidth 33 MHz", "numerology 1", "90 or 100 MHz"]),
        (["--numerology=3"], ["numerology 3", "FR1 has 0, 1 or 2"]),
        (["--numerology=4"], ["numerology 4", "5 or 6"]),
        (["--frequency=28e9"], ["numerology 1", "FR2-1 has 2 or 3"]),
        (["--frequency=100e9"], ["numerology 1", "sub-THz has 5 or 6"]),
        (["--frequency=500e9"], ["--frequency=500e9", "4.5e+11 Hz"]),
        (["--pattern=DDDD"], ["DDDD", "no uplink"]),
        (["--pattern=UUU"], ["UUU", "no downlink"]),
        (["--pattern=DDXU"], ["DDXU", "'X'"]),
        (["--pattern=DDDDSU"], ["DDDDSU", "numerology 1", "1, 2, 4, 5, 6, 8, 10, 20 of them"]),
        (["--beams=codebook"], ["codebook", "(8, 4)", "(4, 4), (8, 2), (16, 1)"]),
        (["--maxLayers=4", "--ueAntennas=2"], ["--maxLayers=4", "1 to 2"]),
        (["--ueAntennas=3"], ["--ueAntennas=3", "even"]),
        (["--scheduler=fair"], ["fair", "rr, pf, max-rate, external"]),
        (["--minDistance=200"], ["--minDistance=200", "--maxDistance, 150"]),
    ],
)
def test_impossible_settings_are_refused(arguments, texts):
    done = start("nr-urban-micro", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("nr-urban-micro: ")
    assert done.stderr.count("\n") == 1
    for text in texts:
        assert text in done.stderr


def refused(scenario, argument):
    done = start(scenario, argument)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("scenario", ["nr-urban-micro", "nr-indoor"])
def test_what_a_scenario_sets_itself_has_an_option(scenario):
    sources = Path(__file__).parents[2] / "ns3-scenarios"
    helper = (sources / "helper" / "nr-helper.cc").read_text()
    text = helper + (sources / "scenarios" / f"{scenario}.cc").read_text()
    types = dict.fromkeys(("m_cell", "m_settings"), "edgelam::nr::Cell")
    types |= dict.fromkeys(("channel", "m_channel", "m_carrier"), "edgelam::RadioChannel")
    types["m_array"] = "ns3::UniformPlanarArray"
    given = re.findall(r'(m_cell|channel)->SetAttribute\("(\w+)"', text)
    given += re.findall(r'options\.Attribute(?:Choice)?\("\w+", (\w+), "(\w+)"', text)
    given += re.findall(r'(m_settings|m_channel)\.Set\("(\w+)"', text)
    assert len(given) >= 15
    options = start(scenario, "--help").stdout
    for thing, attribute in given:
        line = refused(scenario, f"--{types[thing]}::{attribute}=9")
        assert f"{scenario} sets this attribute itself" in line
        if (scenario, attribute) != ("nr-urban-micro", "Deployment"):  # it has no other
            assert f"  {line.split('use ')[1].strip()}=" in options
        # ... and is an attribute of that name.
        line = refused(scenario, f"--{types[thing]}::{attribute}s=9")
        assert f"did you mean --{types[thing]}::{attribute}?" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--protocol=tcp"],
        ["--protocol=udp"],
        ["--protocol=ideal"],
        ["--rlc=um"],
        ["--pattern=FDD", "--numerology=0", "--bandwidth=20", "--frequency=2.1e9"],
        ["--frequency=28e9", "--numerology=3", "--bandwidth=100", "--los=Always"],
        ["--scheduler=rr", "--beams=codebook", "--gnbRows=4", "--gnbColumns=4", "--mcsTable=1"],
        ["--scheduler=max-rate", "--beams=direct", "--ueAntennas=1"],
    ],
)
def test_traffic(arguments):
    result = report("nr-urban-micro", "--numUe=4", "--bytes=1e5", *arguments)
    assert result["complete"]
    assert {(transfer["status"], transfer["delivered_bytes"]) for transfer in result["transfers"]} == {
        ("complete", 100_000)
    }
    assert {transfer["receiver"] for transfer in result["transfers"][:4]} == {"edge0", "edge1", "cloud0", "gnb0"}


@pytest.mark.parametrize("scenario", ["nr-urban-micro", "nr-indoor"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["--numUe=1", "--ueAntennas=1", "--gnbRows=1", "--gnbColumns=1", "--numEdge=0", "--numUpfEdge=0"],
        ["--numUe=300"],
    ],
)
def test_smallest_and_largest(scenario, arguments):
    result = report(scenario, "--bytes=100", "--protocol=udp", *arguments)
    assert result["complete"]
    if "--numEdge=0" in arguments:
        assert [transfer["receiver"] for transfer in result["transfers"]] == ["cloud0", "ue0"]
    else:
        assert len(result["transfers"]) == 600


def test_devices_reach_each_other():
    async def main(sim):
        sending = asyncio.ensure_future(sim.node("ue0").send(sim.node("ue1"), bytes(50_000)))
        await sim.node("ue1").receive()
        return await sending

    record = run(main, {"numUe": 2})
    assert record.status == "complete"
    assert record.last_byte_s - record.queued_s > 4e-3  # the air is crossed twice


@pytest.mark.parametrize(("server", "least_s"), [("edge0", 0.0), ("edge1", 0.05), ("cloud0", 0.13)])
def test_servers_are_as_far_as_their_links(server, least_s):
    async def main(sim):
        sending = asyncio.ensure_future(
            sim.node("ue0").send(sim.node(server), bytes(100), protocol="udp", rate_bps=1e6)
        )
        await sim.node(server).receive()
        return await sending

    record = run(main, {"backhaulDelay": "50ms", "cloudDelay": "80ms"})
    assert least_s < record.last_byte_s - record.queued_s < least_s + ROUND_TRIP_S


def test_a_tcp_transfer_takes_rate_and_round_trips():
    size = 10_000_000

    async def main(sim):
        counts, spent = sim.observable("ue_block_counts"), []

        async def watch():
            while True:
                bits = (await counts.read()).value["decoded_bits"][0, 0]
                spent.append((sim.now_s, float(bits)))
                await asyncio.sleep(5e-3)

        watching = asyncio.ensure_future(watch())
        await sim.node("edge0").send(sim.node("ue0"), bytes(1000))  # opens the connection
        begin_s = sim.now_s
        sending = asyncio.ensure_future(sim.node("edge0").send(sim.node("ue0"), bytes(size)))
        await sim.node("ue0").receive()
        await sim.node("ue0").receive()
        record = await sending
        watching.cancel()
        return begin_s, record, spent

    begin_s, record, spent = run(main)
    end_s = record.last_byte_s
    # Rate of the air in the transfer's second half: what transport blocks carried, less headers.
    half = [(t, bits) for t, bits in spent if (begin_s + end_s) / 2 <= t <= end_s]
    air_bps = (half[-1][1] - half[0][1]) / (half[-1][0] - half[0][0])
    rate_bps = air_bps * SEGMENT / (SEGMENT + HEADERS + RADIO_HEADERS)
    # Slow start doubles from 10 segments each round trip until the air is full; each of these takes a round trip.
    round_trips = math.ceil(math.log2(rate_bps / 8 * ROUND_TRIP_S / (10 * SEGMENT))) + 1
    at_rate_s = 8 * size / rate_bps
    assert 0.97 * at_rate_s < end_s - begin_s < 1.03 * at_rate_s + round_trips * ROUND_TRIP_S
    assert record.retransmissions == 0


def test_what_it_publishes():
    async def main(sim):
        names = [
            "cell", "ue_position", "ue_velocity", "ue_link", "ue_last_block", "ue_block_counts",
            "ue_throughput_bps", "ue_backlog_bytes", "ue_bearer_counts",
        ]  # fmt: skip
        before = (await sim.observable("ue_last_block").read()).value
        sending = asyncio.ensure_future(sim.node("edge0").send(sim.node("ue0"), bytes(2_000_000)))
        during = []
        for _ in range(20):
            await asyncio.sleep(2e-3)
            during.append([(await sim.observable(name).read()).value[0, 0] for name in names[-3:-1]])
        await sim.node("ue0").receive()
        await sending
        await asyncio.sleep(0.5)
        return before, during, {name: (await sim.observable(name).read()).value for name in names}

    before, during, after = run(main, {"numUe": 2})
    assert before.shape == (2, 2)
    assert not before["attempt"].any()
    assert after["cell"]["prbs"] == 273
    assert after["cell"]["slot_s"] == 0.5e-3
    ground = np.hypot(*after["ue_position"][:, :2].T)
    assert (np.abs(ground - 30.5) <= 0.5).all()
    assert after["ue_link"]["distance_2d_m"] == pytest.approx(ground)
    assert (after["ue_link"]["los"] == 1).all()
    block = after["ue_last_block"][0, 0]
    assert (block["attempt"], block["uplink"], block["ue"]) == (1, 0, 0)
    assert block["mcs"] > 10
    assert 10 < block["sinr_db"] < 60
    throughput_bps, backlog_bytes = np.max(during, axis=0)
    assert throughput_bps > 1e7
    assert backlog_bytes > 10_000
    assert after["ue_throughput_bps"][0, 0] < 2e6  # it was at most 160e6, five time constants ago
    assert not after["ue_backlog_bytes"].any()
    counts = after["ue_bearer_counts"]
    assert counts["delivered_bytes"][0, 0] > 2_000_000
    assert counts["sent_packets"].tolist() == counts["delivered_packets"].tolist()
    assert counts["sent_packets"][:, 1].tolist() == [0, 0]
    assert counts["sent_packets"][1, 0] > 100  # acknowledgements
    assert not counts["dropped_packets"].any()
    assert after["ue_block_counts"]["decoded_bits"][0, 0] >= 8 * counts["delivered_bytes"][0, 0]


def test_shares_divide_the_band():
    async def main(sim):
        edge, ues = sim.node("edge0"), [sim.node("ue0"), sim.node("ue1")]
        await asyncio.sleep(0.0103)
        await sim.control("prb_share").set(np.array([[2 / 3, 1 / 3], [0.5, 0.5]]))  # 12 and 6 of 18 groups
        sending = []
        slot = int((await sim.observable("control_slot").read()).value)
        for ue in ues:
            sending.append(asyncio.ensure_future(edge.send(ue, bytes(20_000_000))))
        await asyncio.sleep(0.08)
        groups = []
        for _ in range(20):
            await asyncio.sleep(2e-3)
            prbs = (await sim.observable("ue_last_block").read()).value["prbs"][0]
            groups.append([math.ceil(each / 16) for each in prbs])
        refusals = []
        for name, value in [
            ("prb_share", np.array([[0.75, 0.5], [0.5, 0.5]])),
            ("prb_share", np.array([[-0.1, 0.5], [0.5, 0.5]])),
            ("prb_share", np.array([[np.nan, 0.5], [0.5, 0.5]])),
            ("prb_least", np.array([[270, 270], [0, 0]], dtype=np.uint32)),
        ]:
            with pytest.raises(EdgelamError) as caught:
                await sim.control(name).set(value)
            refusals.append(str(caught.value))
        await sim.control("prb_least").set(np.array([[100, 0], [16, 16]], dtype=np.uint32))
        return slot, groups, refusals

    slot, groups, refusals = run(main, {"numUe": 2, "scheduler": "external", "sector": 1})
    assert 20 <= slot <= 22  # of 0.5 ms
    assert groups.count([12, 6]) > 15  # a few slots also carry retransmissions
    for refusal, text in zip(refusals, ["sum of 1.25", "-0.1", "nan", "270"], strict=True):
        assert text in refusal or "groups" in refusal
        assert "legal" in refusal


def test_controls_refuse_and_the_run_goes_on():
    async def main(sim):
        with pytest.raises(
            EdgelamError,
            match="Scheduler 'pf'; legal is external, or a class derived from edgelam::nr::ExternalScheduler",
        ):
            await sim.control("prb_share").set(np.array([[0.5], [0.5]]))
        with pytest.raises(EdgelamError, match="up to 150 m/s"):
            await sim.control("ue_velocity").set(np.array([[200.0, 0, 0]]))
        place = sim.observable("ue_position")
        first = (await place.read()).value
        await sim.control("ue_velocity").set(np.array([[1.0, 0, 0]]))
        await asyncio.sleep(0.5)
        return (await place.read()).value - first

    assert run(main) == pytest.approx(np.array([[0.5, 0, 0]]), abs=1e-6)


def best_weights(channel, layers):
    """Dominant right singular vectors of channel [ue, ue_antenna, element, prb_group]: one layer with all the power."""
    vectors = np.linalg.svd(np.moveaxis(channel, -1, 1))[2][:, :, 0].conj()
    weights = np.zeros((*vectors.shape, layers), np.complex64)
    weights[..., 0] = vectors
    return weights


def test_precoders_from_the_channel():
    """At 20 MHz a group has 4 resource blocks: its strongest direction is better than one for the whole band."""

    async def main(sim):
        channel, precoder = sim.observable("ue_channel"), sim.control("precoder")
        cell = (await sim.observable("cell").read()).value
        sending = asyncio.ensure_future(sim.node("edge0").send(sim.node("ue0"), bytes(20_000_000)))
        await asyncio.sleep(0.1)
        before = (await sim.observable("ue_last_block").read()).value[0, 0]
        h = (await channel.read()).value
        good = best_weights(h, 1)
        await precoder.set(good)
        slot = int((await sim.observable("control_slot").read()).value)
        now_slot = sim.now_s / float(cell["slot_s"])
        await asyncio.sleep(0.02)
        after = (await sim.observable("ue_last_block").read()).value[0, 0]
        refusals = []
        nan = good.copy()
        nan[0, 4, 7, 0] = np.nan
        partly = good.copy()
        partly[0, 3] = 0
        for bad in (nan, 2 * good, partly, good[:, 1:]):
            with pytest.raises(EdgelamError) as caught:
                await precoder.set(bad)
            refusals.append(str(caught.value))
        await asyncio.sleep(0.02)
        assert not sending.done()
        return cell, h, slot - now_slot, before, after, refusals

    options = {
        "beams": "external",
        "bandwidth": 20,
        "maxLayers": 1,
        "los": "Never",
        "gnbPower": 10,
        "minDistance": 60,
        "maxDistance": 61,
    }
    cell, h, ahead, before, after, refusals = run(main, options)
    assert h.dtype == np.complex64
    assert h.shape == (1, 4, 64, 13)
    assert cell["prb_groups"] == 13
    assert 0 <= ahead <= 1.01
    assert after["sinr_db"] > before["sinr_db"]
    for refusal, texts in zip(
        refusals,
        [("nan", "group 4"), ("power 4", "at most 1"), ("group 3", "all zero"), ("12", "13")],
        strict=True,
    ):
        for text in texts:
            assert text in refusal


def test_numbers_that_a_control_does_not_hold():
    """A dtype of 32 bits without a sign: -1 and 2^32 must not become other numbers."""

    async def main(sim):
        least = sim.control("prb_least")
        for bad in (-1, 2**32):
            with pytest.raises(EdgelamError, match=rf"{bad}\], \[0\]\] is not of dtype uint32, 0 to 4294967295"):
                await least.set([[bad], [0]])
        with pytest.raises(EdgelamError, match="274; legal are 0 to 273"):
            await least.set([[274], [0]])
        await least.set([[273], [0]])

    run(main, {"scheduler": "external"})


def test_precoders_need_external_beams():
    async def main(sim):
        h = (await sim.observable("ue_channel").read()).value
        with pytest.raises(EdgelamError, match="precoders with Beams 'eigen'; legal is external"):
            await sim.control("precoder").set(best_weights(h, 4))

    run(main)


def test_log_components_tell_what_the_radio_does(monkeypatch):
    names = [
        "NrTransmittingEntity",
        "NrReceivingEntity",
        "NrScheduler",
        "NrRoundRobinScheduler",
        "NrCodebookBeamformer",
    ]
    names += ["NrWidebandBeamformer", "NrHarq", "NrGrants", "NrBlockReceiver", "EdgelamChannelDrop", "EdgelamRayWindow"]
    monkeypatch.setenv("NS_LOG", ":".join(f"{name}=level_all|prefix_func" for name in names))
    options = ["--numUe=2", "--bytes=20000", "--scheduler=rr", "--beams=codebook", "--gnbRows=4", "--gnbColumns=4"]
    done = start("nr-urban-micro", *options)
    assert done.returncode == 0
    told = done.stderr
    for line in (
        r"NrTransmittingEntity:Take\(\): \S+ puts 1 PDUs of 64 bytes into a block of \d+; 0 wait",  # SYN
        r"NrTransmittingEntity:Poll\(\): \S+ polls with SDU 0",
        r"NrReceivingEntity:TakeStatus\(\): \S+ reports all below SDU 1 but 0 pieces",
        r"NrRoundRobinScheduler:Divide\(\): UE 1: \d+ of the \d+ groups needed",
        r"NrCodebookBeamformer:FindPrecoders\(\): [1-4] layers: i1 \(\d+, \d+, \d+\), i2 \d",
        r"NrHarq:ErrorRate\(\): block of \d+ bits in \d+ code blocks, after 1 transmissions: lost with probability ",
        r"EdgelamChannelDrop:DrawClusters\(\): around .*, N?LOS: delay spread ",
    ):
        assert re.search(line, told), line
    monkeypatch.delenv("NS_LOG")
    assert start("nr-urban-micro", *options).stderr == ""


def test_a_ue_out_of_coverage_fails_its_link_and_its_transfers_end():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        before = (await sim.observable("ue_radio_link").read()).value
        record = await edge.send(ue, bytes(10_000), protocol="udp")
        await asyncio.sleep(2)
        return before, record, (await sim.observable("ue_radio_link").read()).value

    before, record, after = run(main, {"numUe": 2, "gnbPower": -100, "uePower": -100})
    assert before.tolist() == [0, 0]
    assert record.status == "partial"
    assert record.delivered_bytes == 0
    assert after.tolist() == [2, 0]  # nobody has looked at the other's
