# SPDX-License-Identifier: GPL-2.0-only
"""Nodes and the simulation object, on the clock without a network."""

import asyncio
import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from cosim_runs import STAR, run
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam import cosim
from edgelam.errors import ConfigurationError, ControlRefused, ObservableRefused


def test_send_and_receive():
    records = []

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        x = torch.arange(6.0).reshape(2, 3).requires_grad_()
        record = await ue.send(edge, {"z": x, "step": 3}, tag="embedding", encoding="fp16")
        with torch.no_grad():
            x.zero_()  # what was sent is sent
        message = await edge.receive(ue, tag="embedding")
        assert torch.equal(message.data["z"], torch.arange(6.0).reshape(2, 3))
        assert (message.source, message.tag, message.lost, message.lost_bytes) == (ue, "embedding", [], 0)
        assert (message.size_bytes, message.encoding) == (20, "fp16")
        return record

    record = run(main, on_transfer=records.append)
    assert records == [record]
    assert (record.source, record.receiver, record.size_bytes, record.status) == ("ue0", "edge0", 20, "complete")
    assert record.goodput_bps == math.inf
    assert pd.DataFrame([dataclasses.asdict(record)]).loc[0, "tag"] == "embedding"


def test_several_receivers_get_their_own_copies():
    async def main(sim):
        edge, ues = sim.node("edge0"), sim.nodes_with_role("ue")
        records = await edge.send(ues, torch.ones(3), tag="model")
        assert [r.receiver for r in records] == ["ue0", "ue1", "ue2"]
        assert len({r.id for r in records}) == 1
        got = [(await ue.receive()).data for ue in ues]
        got[0].zero_()
        assert got[1].sum() == 3

    run(main)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_receive_takes_the_oldest_that_fits(data):
    sent = data.draw(st.lists(st.tuples(st.sampled_from(["ue0", "ue1"]), st.sampled_from("ab")), max_size=8))
    asked = data.draw(
        st.lists(st.tuples(st.sampled_from(["ue0", "ue1", None]), st.sampled_from(["a", "b", None])), max_size=8)
    )
    waiting_first = data.draw(st.booleans())

    async def main(sim):
        edge, got = sim.node("edge0"), {}

        async def ask(i, source, tag):
            message = await edge.receive(None if source is None else sim.node(source), tag=tag)
            got[i] = message.data

        async def send():
            for i, (source, tag) in enumerate(sent):
                await sim.node(source).send(edge, i, tag=tag)

        if not waiting_first:
            await send()
        tasks = [asyncio.create_task(ask(i, *a)) for i, a in enumerate(asked)]
        await asyncio.sleep(1)
        if waiting_first:
            await send()
            await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        return got

    def fits(want, have):
        return all(w in (None, h) for w, h in zip(want, have, strict=True))

    # the obvious way: a list of each, first fit
    expected, left_sent, left_asked = {}, list(enumerate(sent)), list(enumerate(asked))
    outer, inner = (left_sent, left_asked) if waiting_first else (left_asked, left_sent)
    for first in list(outer):
        for second in inner:
            (i, have), (j, want) = (first, second) if waiting_first else (second, first)
            if fits(want, have):
                expected[j] = i
                inner.remove(second)
                break
    assert run(main) == expected


def test_message_in_the_instant_of_a_time_out_is_not_lost():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")

        receiver = asyncio.create_task(edge.receive())
        # the record comes right after the delivery has woken the receiver, before it runs
        sim.on_transfer = lambda record: receiver.cancel()
        await ue.send(edge, 1)
        await ue.send(edge, 2)
        with pytest.raises(asyncio.CancelledError):
            await receiver
        return (await edge.receive()).data, (await edge.receive()).data

    assert run(main) == (1, 2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda ue, edge: ue.send(ue, 1), "ue0 sends '' to itself"),
        (lambda ue, edge: ue.send([], 1), "to nobody"),
        (lambda ue, edge: ue.send([edge, edge], 1), "same node twice"),
        (
            lambda ue, edge: ue.send(["edge0"], 1),
            "receivers must be nodes of this simulation; there are: ue0, ue1, ue2, edge0",
        ),
        (lambda ue, edge: ue.send(edge, b""), "sends 0 bytes"),
        (lambda ue, edge: ue.send(edge, 1, protocol="quic"), "unknown protocol 'quic'; there are: ideal, tcp, udp"),
        (lambda ue, edge: ue.send(edge, 1, encoding="fp8"), "unknown encoding 'fp8'"),
        (lambda ue, edge: ue.send(edge, 1, deadline_s=0), "deadline_s = 0; it must be positive"),
        (lambda ue, edge: ue.send(edge, 1, rate_bps=-1), "rate_bps = -1; legal are 1 to"),
        (lambda ue, edge: ue.send(edge, 1, protocol="udp", rate_bps=0.4), "rate_bps = 0.4; legal are 1 to"),
        (lambda ue, edge: ue.send(edge, 1, protocol="udp", rate_bps=1e30), r"rate_bps = 1e\+30; legal are 1 to"),
        (lambda ue, edge: ue.send(edge, 1, protocol="udp", rate_bps=math.nan), "rate_bps = nan"),
        (lambda ue, edge: ue.send("edge0", 1), r"ue0 sends '' to \['edge0'\]"),
        (lambda ue, edge: ue.send(edge, 1, give_up_s=math.inf), "give_up_s = inf"),
        (lambda ue, edge: ue.send(edge, 1, tag=7), "a tag is text, not 7"),
        (lambda ue, edge: ue.receive("edge0"), "receives from 'edge0'"),
    ],
)
def test_mistakes_are_refused(call, text):
    async def main(sim):
        await call(sim.node("ue0"), sim.node("edge0"))

    with pytest.raises(ConfigurationError, match=text):
        run(main)


def test_names_that_exist_are_listed():
    async def main(sim):
        for wrong, text in (
            (lambda: sim.node("gnb"), "no node 'gnb' in scenario 'none'; there are: ue0, ue1, ue2, edge0"),
            (lambda: sim.nodes_with_role("cloud"), "no node with role 'cloud'.*roles: edge, ue"),
            (lambda: sim.observable("x"), "no observable 'x'.*there are: none"),
            (lambda: sim.control("x"), "no control 'x'.*there are: none"),
            (lambda: sim.environment(1), "participants 0"),
            (lambda: sim.claim("edge0"), "claim takes nodes.*not 'edge0'"),
        ):
            with pytest.raises(ConfigurationError, match=text):
                wrong()
        with pytest.raises(ConfigurationError, match="no participant 3"):
            await sim.post(3, "x", 1)
        await sim.barrier("alone")
        await sim.post(0, "self", {"a": np.arange(3)})
        return (await sim.collect(0, "self"))["a"].tolist()

    assert run(main) == [0, 1, 2]
    assert issubclass(ControlRefused, Exception)
    assert issubclass(ObservableRefused, Exception)


def test_unknown_scenarios_are_refused(tmp_path):
    async def main(sim):
        raise AssertionError

    with pytest.raises(ConfigurationError, match="unknown scenario 'wired-moon'; there are: none, "):
        cosim.simulate(main, "wired-moon")
    with pytest.raises(ConfigurationError, match="is not a program"):
        cosim.simulate(main, tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="nodes are given by the scenario"):
        cosim.simulate(main, "wired-star", nodes=STAR)


def test_main_must_be_a_coroutine_function():
    with pytest.raises(ConfigurationError, match="main must be a coroutine function"):
        run(lambda sim: None)


def test_random_streams_depend_on_seed_and_name_only():
    async def main(sim):
        return [
            float(sim.rng("a").random()),
            float(sim.rng("b").random()),
            torch.rand(1, generator=sim.generator("a")).item(),
        ]

    first = run(main, seed=1)
    assert first == run(main, seed=1)
    assert len({*first, *run(main, seed=2)}) == 6


def test_default_devices_by_role():
    async def main(sim):
        return [node.device.name for node in sim.nodes.values()]

    nodes = {"a": "ue", "b": "edge", "c": "cloud", "d": "gnb"}
    assert run(main, nodes=nodes) == ["phone", "cpu-server", "datacentre-gpu", "cpu-server"]
    assert run(main, nodes=nodes, devices={"[ab]": "jetson-nano", "*": "jetson-orin"}) == [
        "jetson-nano",
        "jetson-nano",
        "jetson-orin",
        "jetson-orin",
    ]
