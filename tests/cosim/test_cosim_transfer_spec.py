# SPDX-License-Identifier: GPL-2.0-only
"""What a transfer is asked for as one value: what is legal, what is packed, and its class of traffic on the wire."""

import asyncio
import dataclasses
import json
import struct
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelam import _bridge, cosim
from edgelam.cosim.messages import Protocol
from edgelam.cosim.transfer_spec import PROTOCOLS, TransferOptions, TransferSpec
from edgelam.errors import ConfigurationError
from edgelam.replay import ProgramPlayer, ProgramRecorder

NEVER_NS = 2**63 - 1
PCAP = Path(__file__).parent / "wire_pcap.py"
STAR = {"ue0": "ue", "edge0": "edge"}


def simulate(main, **settings):
    return cosim.simulate(main, "wired-star", options={"numUe": 1}, **settings)


# ---- the value -------------------------------------------------------------------------------------------------------


def test_keywords_and_fields_are_the_same():
    fields = {field.name: typing.get_type_hints(TransferSpec)[field.name] for field in dataclasses.fields(TransferSpec)}
    assert typing.get_type_hints(TransferOptions) == fields


def test_every_field_of_the_twin_is_packed_and_no_other():
    twin = Protocol(_bridge.SCHEMA)["TransferRequest"].dtype["spec"]
    spec = TransferSpec(protocol="udp", deadline_s=2.5, give_up_s=0.25, rate_bps=3e6, priority=6, paced=True)
    packed = spec.packed(7, 99, 10**9)
    assert packed == {
        "id": 7, "size_bytes": 99, "protocol": 2, "priority": 6, "deadline_ns": 3_500_000_000,
        "give_up_ns": 250_000_000, "rate_bps": 3_000_000, "paced": 1,
    }  # fmt: skip
    assert set(packed) == set(twin.names)
    assert TransferSpec().packed(1, 1, 5)["deadline_ns"] == NEVER_NS
    assert TransferSpec(deadline_s=1e300).packed(1, 1, 5)["deadline_ns"] == NEVER_NS


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TransferSpec().priority = 3  # type: ignore[misc]


@pytest.mark.parametrize("priority", [-1, 8, 2.0, "3", None, True, 2**32])
def test_a_priority_that_is_none_is_refused_with_what_is_legal(priority):
    with pytest.raises(ConfigurationError, match=f"priority = {priority!r}: a class of traffic is an int from 0 "):
        TransferSpec(priority=priority)


@pytest.mark.parametrize("paced", [1, "yes", None])
def test_pacing_is_a_yes_or_no(paced):
    with pytest.raises(ConfigurationError, match=f"paced = {paced!r}; legal are True and False"):
        TransferSpec(paced=paced)


def test_an_unknown_keyword_is_an_error_of_the_call():
    async def main(sim):
        await sim.node("ue0").send(sim.node("edge0"), 1, prority=3)

    with pytest.raises(TypeError, match="unexpected keyword argument 'prority'"):
        cosim.simulate(main, nodes=STAR)


@given(
    st.builds(
        TransferSpec,
        tag=st.text(st.characters(codec="utf-8"), max_size=5),
        protocol=st.sampled_from([*PROTOCOLS]),
        give_up_s=st.integers(0, 10**12).map(lambda ns: ns / 1e9),
        rate_bps=st.none() | st.integers(1, 10**12),
        encoding=st.sampled_from(cosim.ENCODINGS),
        priority=st.integers(0, 7),
        paced=st.booleans(),
    )
)
def test_a_recording_gives_it_back(spec):
    note = json.loads(json.dumps({"to": ["edge0"]} | spec.noted()))
    assert TransferSpec.from_note(note) == spec


def test_a_recording_of_before_has_no_priority():
    note = {"to": ["a"], "tag": "x", "protocol": "udp", "encoding": "fp16", "give_up_ns": 200_000_000, "rate_bps": 0}
    spec = TransferSpec(tag="x", protocol="udp", encoding="fp16", give_up_s=0.2)
    assert TransferSpec.from_note(note) == spec
    assert {"to": ["a"]} | spec.noted() == note


# ---- the class of traffic --------------------------------------------------------------------------------------------


def packets(path: Path) -> list[tuple[int, int]]:
    """(DSCP, IP protocol) of each packet of a pcap file of a point-to-point device: PPP, then IPv4."""
    data = path.read_bytes()
    assert struct.unpack_from("<I", data)[0] in {0xA1B2C3D4, 0xA1B23C4D}
    assert struct.unpack_from("<I", data, 20)[0] == 9  # PPP
    found, at = [], 24
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        assert data[at + 16 : at + 18] == b"\x00\x21"  # IPv4
        found.append((data[at + 19] >> 2, data[at + 27]))
        at += 16 + length
    return found


def test_packets_carry_the_class_of_their_transfer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        records = [
            await ue.send(edge, bytes(10_000), priority=5),
            await ue.send(edge, bytes(2800), protocol="udp", priority=2),
            await edge.send(ue, bytes(2800), protocol="udp", priority=7),
        ]
        return [record.priority for record in records]

    assert cosim.simulate(main, PCAP) == [5, 2, 7]
    found = packets(tmp_path / "link-0-1.pcap")
    assert found == packets(tmp_path / "link-1-1.pcap")
    assert {dscp for dscp, protocol in found if protocol == 6} == {40}  # SYN, SYN-ACK, data, acknowledgements
    assert len([1 for _, protocol in found if protocol == 6]) > 8 + 4
    assert [dscp for dscp, protocol in found if protocol == 17] == [16, 16, 56, 56]


def test_without_a_priority_packets_carry_no_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        record = await ue.send(edge, bytes(10_000))
        await ue.send(edge, bytes(2800), protocol="udp")
        return record.priority

    assert cosim.simulate(main, PCAP) == 0
    found = packets(tmp_path / "link-0-1.pcap")
    assert {protocol for _, protocol in found} == {6, 17}
    assert {dscp for dscp, _ in found} == {0}


def test_a_transfer_does_not_wait_behind_one_of_another_priority():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        sizes = ((2_000_000, 1), (1000, 1), (1000, 2))
        return await asyncio.gather(*(ue.send(edge, bytes(size), priority=priority) for size, priority in sizes))

    long, behind, beside = simulate(main)
    assert beside.last_byte_s < long.last_byte_s <= behind.last_byte_s


def test_a_recording_keeps_the_priority_and_a_replay_plays_it():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        sizes = ((500_000, 1), (1000, 1), (1000, 2))
        return await asyncio.gather(*(ue.send(edge, bytes(size), priority=priority) for size, priority in sizes))

    operations: list = []
    first = simulate(main, program=ProgramRecorder(operations.extend))
    player = ProgramPlayer(operations)
    simulate(player.main, program=player)
    times = {(r.size_bytes, r.priority): r.last_byte_s for r in first}
    assert {(r.size_bytes, r.priority): r.last_byte_s for r in player.transfers.values()} == times
    assert len(times) == 3


# ---- pacing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paced", [False, True])
def test_paced_transfers_in_opposite_directions_keep_the_rate(paced):
    """Two transfers of 8 MB, warmed by one each: acknowledgements that wait behind data cost a tenth of the rate."""

    async def main(sim):
        ends = sim.node("ue0"), sim.node("ue1")
        for _ in range(2):
            start_s = sim.now_s
            ways = [a.send(b, bytes(8_000_000), paced=paced) for a, b in (ends, ends[::-1])]
            records = await asyncio.gather(*ways)
        return max(record.last_byte_s for record in records) - start_s

    took_s = cosim.simulate(main, "wired-star", options={"numUe": 2, "rate": "100Mbps"})
    alone_s = 8_000_000 * 8 / 100e6 * (1 + 81 / 1400) + 0.01
    assert took_s < 1.02 * alone_s if paced else took_s > 1.05 * alone_s


def test_a_paced_transfer_has_a_connection_of_its_own():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        ways = [ue.send(edge, bytes(size), paced=paced) for size, paced in ((2_000_000, False), (1000, True))]
        large, small = await asyncio.gather(*ways)
        return large.last_byte_s, small.last_byte_s

    large_s, small_s = simulate(main)
    assert small_s < large_s / 2
