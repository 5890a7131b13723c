# SPDX-License-Identifier: GPL-2.0-only
"""Serving: times against hand-computed ones, answers against the modules alone, batches, memory, failures."""

import asyncio
import dataclasses
import math

import numpy as np
import pytest
import torch
from small_services import GRAPHS, declared, inputs, services

from edgelam import cosim
from edgelam.cosim.devices import profile
from edgelam.errors import ConfigurationError, OutOfDeviceMemory
from edgelam.inference import (
    Computing,
    Dispatcher,
    Graph,
    Poisson,
    Request,
    Service,
    Serving,
    Task,
    catalogue,
    drawn,
    recovery,
    sequence,
    unshared,
)
from edgelam.inference.moments import PARTS
from edgelam.inference.routing import SmoothWeightedRoundRobin

NODES = {"ue0": "ue", "ue1": "ue", "edge0": "edge", "edge1": "edge", "cloud0": "cloud"}
WIRED = {"scenario": "wired-star", "options": {"numUe": "2", "numEdge": "3", "rate": "50Mbps"}}


def requests(duration_s=1.0, rate=6.0, users=("ue0", "ue1"), seed=3):
    tasks = {
        user: [
            Task(name, name, Poisson(rate), 0.2, lambda rng, name=name: inputs(name, rng)) for name in GRAPHS
        ]
        for user in users
    }  # fmt: skip
    return drawn(tasks, duration_s, seed)


def serve(placement, asked, made=None, graphs=None, *, dispatcher=None, failures=None, cold=False, computing=None,
          hosts=(), **where):  # fmt: skip
    """Serve in a simulation of its own; the outcome, and memory that is still held."""
    made, graphs = made or services(), graphs or GRAPHS

    async def main(sim):
        serving = Serving(sim, made, graphs, dispatcher=dispatcher, computing=computing, repository="edge0")
        if hosts:
            serving.recover = lambda node: recovery.lost(serving, hosts, node)
        serving.deploy(placement, cold=cold)
        outcome = await serving.serve(asked, failures=failures)
        await serving.close()
        return outcome, {node.name: node.memory.held() for node in sim.nodes.values()}

    return cosim.simulate(main, **(where or {"nodes": NODES}))


EVERYWHERE = {name: ["edge0", "edge1"] for name in services()}


def test_answers_are_those_of_the_modules():
    asked = requests()
    outcome, held = serve(EVERYWHERE, asked)
    made = services()
    assert len(outcome.requests) == len(asked) > 10
    assert not any(held.values())
    for request in asked:
        given = dict(request.inputs)
        with torch.no_grad():
            seen = made["vision"].module.forward(given)["seen"].half().float()
            if request.graph == "look":
                expected = made["label"].module.forward({"seen": seen})["label"]
                assert torch.equal(outcome.answers[request.id]["label"], expected)
                continue
            heard = made["audio"].module.forward(given)["heard"].half().float()
            joint = made["joint"].module.forward({"seen": seen, "heard": heard})["joint"]
            talking = made["talk"].module.generate({"joint": joint})
            tokens = [part["tokens"] for part in talking]
        assert torch.equal(outcome.answers[request.id]["tokens"], torch.cat(tokens))


@pytest.fixture(scope="module")
def wired():
    asked = requests()
    return asked, serve(EVERYWHERE, asked, **WIRED)[0]


def test_parts_of_a_request_add_up(wired):
    _, outcome = wired
    for row in outcome.requests:
        assert row.status == "complete"
        parts = [getattr(row, f"{part}_s") for part in PARTS]
        assert sum(parts) == pytest.approx(row.e2e_s, abs=1e-12)
        assert min(parts) >= 0
        assert row.uplink_s > 0.005  # propagation alone: 5 ms and 1 ms
        assert row.downlink_s > 0.005
        assert row.on_time == (row.e2e_s <= 0.2)
        mine = [move for move in outcome.moves if move.request == row.request]
        assert sum(move.bytes for move in mine) == row.bytes


def test_every_edge_is_a_transfer_of_the_encoded_values(wired):
    asked, outcome = wired
    for request in asked:
        moves = [move for move in outcome.moves if move.request == request.id]
        calls = {call.service: call for call in outcome.calls if call.request == request.id}
        ups = sum(move.bytes for move in moves if move.part == "uplink")
        places = [calls[name].node for name in ("vision", "audio") if name in calls]
        assert ups == 64 * 4 * len(places)
        backhaul = sum(move.bytes for move in moves if move.part == "backhaul")
        if request.graph == "look":
            assert backhaul == (128 if calls["vision"].node != calls["label"].node else 0)
        else:
            assert backhaul == 128 * sum(place != calls["joint"].node for place in places) + (
                256 if calls["joint"].node != calls["talk"].node else 0
            )


def test_streaming_gives_first_token_before_the_last():
    outcome, _ = serve(EVERYWHERE, requests())
    for row in outcome.requests:
        if row.graph == "both":
            assert row.tokens == 6
            assert 0 < row.ttft_s < row.e2e_s
            assert row.tpot_s == pytest.approx((row.e2e_s - row.ttft_s) / 5)
        else:
            assert row.ttft_s == row.e2e_s
            assert math.isnan(row.tpot_s)


def test_the_same_seed_gives_the_same_records(wired):
    asked, outcome = wired
    again = serve(EVERYWHERE, asked, **WIRED)[0]
    assert repr(again.requests) == repr(outcome.requests)
    assert repr(again.moves) == repr(outcome.moves)
    assert repr(again.calls) == repr(outcome.calls)


def test_results_that_are_kept_change_no_record(wired):
    asked, outcome = wired
    computing = Computing(keep=False)
    anew = serve(EVERYWHERE, asked, computing=computing, **WIRED)[0]
    assert repr(anew.requests) == repr(outcome.requests)
    assert repr(anew.calls) == repr(outcome.calls)
    assert computing.computed == len(anew.calls)
    kept = Computing()
    for _ in range(2):
        outcome = serve(EVERYWHERE, asked, computing=kept, **WIRED)[0]
        assert repr(outcome.requests) == repr(anew.requests)
    assert kept.computed == len(anew.calls)


def test_sharing_changes_no_bit_of_any_answer(wired):
    asked, outcome = wired
    copies, own = unshared(services(), GRAPHS)
    places = {name: ["edge1"] if name.endswith("look") else ["edge2"] for name in copies}
    alone = serve(places, asked, copies, own, **WIRED)[0]
    assert [row.answer for row in alone.requests] == [row.answer for row in outcome.requests]
    assert len({row.answer for row in alone.requests}) > len(asked) // 3
    assert [row.e2e_s for row in alone.requests] != [row.e2e_s for row in outcome.requests]


def test_a_chain_of_declared_services_takes_the_time_one_works_out():
    """1 GFLOP at 1.6 TFLOP/s, then at 125: without a network, compute is all there is."""
    made = catalogue([declared("first", ("x",), "y"), declared("second", ("y",), "z", flops=5e9)])
    graph = Graph("chain", ("x",), ("z",), {"root": sequence("first", "second")})
    asked = [
        Request(i, "ue0", "chain", 0.0, {"x": torch.zeros(100)}, deadline_s=1e-3) for i in range(3)
    ]  # fmt: skip
    outcome, _ = serve({"first": ["edge0"], "second": ["cloud0"]}, asked, made, {"chain": graph})
    first, second = 1e9 / profile("cpu-server").flops_per_s, 5e9 / profile("datacentre-gpu").flops_per_s
    for i, row in enumerate(outcome.requests):
        assert row.compute_s == pytest.approx(first + second, abs=2e-9)
        assert row.queue_s == pytest.approx(i * first, abs=5e-9)
        assert row.declared
        assert row.on_time == (i * first + first + second <= 1e-3)
    assert [call.start_s for call in outcome.calls if call.service == "first"] == pytest.approx(
        [0, first, 2 * first], abs=5e-9
    )


def test_a_batch_reads_weights_once():
    """Four requests at once: as a batch, the flops add up, and memory traffic of the weights counts once."""
    made = services()
    asked = [Request(i, "ue0", "look", 0.0, inputs("look", np.random.default_rng(i))) for i in range(4)]
    taken = {}
    for size in (1, 4):
        some = catalogue(dataclasses.replace(service, max_batch=size) for service in made.values())
        outcome, _ = serve({"vision": ["edge0"], "label": ["edge0"]}, asked, some)
        assert max(call.batch for call in outcome.calls) == size
        taken[size] = outcome.end_s
    assert taken[4] < 0.5 * taken[1]
    assert {call.flops for call in outcome.calls if call.service == "vision"} == {2 * (64 * 256 + 256 * 256 + 256 * 64)}


def test_a_batch_waits_to_fill_and_no_longer():
    some = catalogue(dataclasses.replace(s, max_batch=2, batch_wait_s=0.05) for s in services().values())
    times = (0.0, 0.01, 0.2)  # two fill a batch; the third is alone
    asked = [Request(i, "ue0", "look", t, inputs("look", np.random.default_rng(i))) for i, t in enumerate(times)]
    outcome, _ = serve({"vision": ["edge0"], "label": ["edge0"]}, asked, some)
    first = {call.request: call for call in outcome.calls if call.service == "vision"}
    assert first[0].batch == first[1].batch == 2
    assert first[0].start_s == pytest.approx(0.01, abs=1e-6)
    assert first[2].batch == 1
    assert first[2].start_s == pytest.approx(0.25, abs=1e-6)


def test_a_higher_priority_is_taken_first():
    made = catalogue([declared("only", ("x",), "y")])
    graph = Graph("one", ("x",), ("y",), {"root": sequence("only")})
    asked = [
        Request(i, "ue0", "one", 0.0, {"x": torch.zeros(1)}, priority=priority) for i, priority in enumerate((0, 1, 7))
    ]
    outcome, _ = serve({"only": ["edge0"]}, asked, made, {"one": graph})
    order = sorted(outcome.calls, key=lambda call: call.start_s)
    # those that are there when the first one begins
    assert [call.request for call in order][1:] == [i for i in (2, 1, 0) if i != order[0].request]


def test_weights_that_do_not_fit_are_refused_with_both_numbers():
    made = catalogue([declared("big", ("x",), "y", weight_bytes=5 * 2**30), declared("small", ("y",), "z")])
    graph = Graph("one", ("x",), ("z",), {"root": sequence("big", "small")})
    with pytest.raises(OutOfDeviceMemory, match=r"ue0.*5,369,709,120 bytes.*4,294,967,296"):
        serve({"big": ["ue0"], "small": ["ue0"]}, [], made, {"one": graph})


def test_a_request_that_can_never_fit_fails_and_others_wait_for_memory():
    device = dataclasses.replace(profile("cpu-server"), memory_bytes=1_000_000)
    made = services()
    used = made["vision"].weight_bytes + made["label"].weight_bytes
    assert used < 1_000_000
    asked = [Request(i, "ue0", "look", 0.0, inputs("look", np.random.default_rng(i))) for i in range(6)]
    big = dict(asked[0].inputs, image=torch.zeros(2000, 64))
    asked.append(Request(6, "ue0", "look", 0.0, big))
    outcome, _ = serve(
        {"vision": ["edge0"], "label": ["edge0"]}, asked, made, nodes=NODES, devices={"edge0": device}
    )  # fmt: skip
    assert [row.status for row in outcome.requests] == ["complete"] * 6 + ["failed"]
    assert "but of its 1,000,000 bytes only" in outcome.requests[6].reason


def test_a_cold_instance_gets_its_weights_over_the_network():
    asked = requests(duration_s=0.5)
    outcome, _ = serve({name: ["edge1"] for name in services()}, asked, cold=True, **WIRED)
    assert all(row.status == "complete" for row in outcome.requests)
    for instance in outcome.instances:
        assert instance.file_bytes == instance.weight_bytes > 100_000
        assert instance.ready_s - instance.asked_s > instance.weight_bytes * 8 / 1e9
    first = min(outcome.requests, key=lambda row: row.arrive_s)
    assert first.load_s > 0.004
    assert sum(row.load_s for row in outcome.requests[-3:]) == 0


def test_a_node_that_fails_loses_no_request():
    asked = requests(duration_s=0.6, rate=30)
    whole = serve(EVERYWHERE, asked, dispatcher=Dispatcher(SmoothWeightedRoundRobin()), **WIRED)[0]
    broken = serve(
        EVERYWHERE, asked, dispatcher=Dispatcher(SmoothWeightedRoundRobin()), failures={"edge1": 0.4}, **WIRED
    )[0]
    assert len(broken.requests) == len(asked)
    assert {row.status for row in broken.requests} == {"complete"}
    assert [row.answer for row in broken.requests] == [row.answer for row in whole.requests]
    again = [row for row in broken.requests if row.attempts > 1]
    assert again
    for row in again:
        assert row.arrive_s < 0.51
        assert row.retry_s > 0
        parts = [getattr(row, f"{part}_s") for part in PARTS]
        assert sum(parts) == pytest.approx(row.e2e_s, abs=1e-12)
    assert not any(call.node == "edge1" and call.end_s > 0.4 for call in broken.calls)


def test_without_a_replica_that_is_left_requests_fail_with_a_reason():
    asked = requests(duration_s=1.0)
    outcome = serve({**EVERYWHERE, "vision": ["edge1"]}, asked, failures={"edge1": 0.3}, **WIRED)[0]
    failed = [row for row in outcome.requests if row.status == "failed"]
    assert failed
    assert {row.reason for row in failed} == {"no instance of vision is left"}
    assert all(row.status == "complete" for row in outcome.requests if row.end_s < 0.3)
    assert all(math.isnan(row.e2e_s) and not row.on_time for row in failed)


def test_services_that_only_a_failed_node_had_start_elsewhere():
    """Their weights cross the network, and no request is lost."""
    asked = requests(duration_s=1.0)
    places = {**EVERYWHERE, "vision": ["edge1"], "joint": ["edge1"]}
    whole = serve(places, asked, **WIRED)[0]
    broken = serve(places, asked, failures={"edge1": 0.3}, hosts=("edge0", "edge1", "edge2"), **WIRED)[0]
    assert {row.status for row in broken.requests} == {"complete"}
    assert [row.answer for row in broken.requests] == [row.answer for row in whole.requests]
    # edge0 has the weights of the others already, so edge2 has the most free memory
    new = {each.service: each for each in broken.instances if each.node == "edge2"}
    assert set(new) == {"vision", "joint"}
    for each in new.values():
        assert each.asked_s >= 0.4
        assert each.file_bytes == each.weight_bytes
    assert sum(row.load_s for row in broken.requests) > 0


def test_a_service_that_fits_no_node_that_is_left_is_lost_with_a_reason():
    made = catalogue([declared("big", ("x",), "y", weight_bytes=5_000_000)])
    graph = Graph("one", ("x",), ("y",), {"root": sequence("big")})
    asked = [Request(i, "ue0", "one", 0.1 * i, {"x": torch.zeros(4)}) for i in range(6)]
    device = dataclasses.replace(profile("cpu-server"), memory_bytes=4_000_000)
    outcome, _ = serve(
        {"big": ["cloud0"]}, asked, made, {"one": graph}, failures={"cloud0": 0.2}, hosts=("edge0", "edge1", "cloud0"),
        nodes=NODES, devices={"edge*": device},
    )  # fmt: skip
    assert [row.status for row in outcome.requests][:2] == ["complete"] * 2
    assert {row.reason for row in outcome.requests[3:]} == {"no instance of big is left"}


def test_deciding_at_a_router_is_charged(wired):
    asked, free = wired
    charged = serve(EVERYWHERE, asked, dispatcher=Dispatcher(node="edge2"), **WIRED)[0]
    assert all(row.decision_s == 0 for row in free.requests)
    assert all(row.decision_s > 0.012 for row in charged.requests)  # there and back
    assert [row.answer for row in charged.requests] == [row.answer for row in free.requests]


def test_a_router_that_fails_ends_requests_with_a_reason():
    outcome = serve(EVERYWHERE, requests(), dispatcher=Dispatcher(node="edge2"), failures={"edge2": 0.3}, **WIRED)[0]
    failed = [row for row in outcome.requests if row.status == "failed"]
    assert failed
    assert {row.reason for row in failed} == {"edge2, the router, has failed"}


def test_an_instance_that_is_removed_hands_its_calls_over():
    asked = requests(duration_s=0.5)

    async def main(sim):
        serving = Serving(sim, services(), GRAPHS)
        serving.deploy(EVERYWHERE)

        async def later():
            await asyncio.sleep(0.2)
            await serving.remove("vision", "edge1")

        removing = asyncio.create_task(later())
        outcome = await serving.serve(asked)
        await removing
        return outcome

    outcome = cosim.simulate(main, **WIRED)
    assert {row.status for row in outcome.requests} == {"complete"}
    assert not any(c.service == "vision" and c.node == "edge1" and c.end_s > 0.2 for c in outcome.calls)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"vision": ["nowhere"]}, "no node 'nowhere'"),
        ({"visoin": ["edge0"]}, "no service is called 'visoin'; did you mean 'vision'"),
        ({"vision": ["edge0", "edge0"]}, "vision is on edge0 already"),
        ({"vision": []}, "service 'vision' of graph 'look' has no instance"),
    ],
)
def test_wrong_placements_are_refused(change, text):
    with pytest.raises(ConfigurationError, match=text):
        serve(EVERYWHERE | change, requests())


def test_wrong_requests_are_refused():
    for request, text in (
        (Request(0, "ue9", "look", 0.0, {}), "no node 'ue9'"),
        (Request(0, "ue0", "lok", 0.0, {}), "did you mean 'look'"),
        (Request(0, "ue0", "look", 0.0, {"imag": torch.zeros(1)}), "request 0 lacks 'image'"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            serve(EVERYWHERE, [request])
    again = requests()[:1] * 2
    with pytest.raises(ConfigurationError, match="two requests have the number 0"):
        serve(EVERYWHERE, again)


@pytest.mark.parametrize(
    ("failures", "text"),
    [
        ({"edge9": 0.1}, "no node 'edge9'"),
        ({"edge1": -1.0}, r"edge1 is to fail at -1\.0 s"),
        ({"edge1": math.nan}, "edge1 is to fail at nan s"),
    ],
)
def test_failures_that_cannot_be_are_refused_before_anything_runs(failures, text):
    with pytest.raises(ConfigurationError, match=text):
        serve(EVERYWHERE, requests(), failures=failures)


def test_weights_stop_where_their_source_fails():
    """The repository fails while weights cross its link of 50 Mb/s: all requests end with the reason."""
    made = catalogue([declared("big", ("x",), "y", weight_bytes=5_000_000)])
    graph = Graph("one", ("x",), ("y",), {"root": sequence("big")})
    asked = [Request(i, "ue0", "one", 0.1 * i, {"x": torch.zeros(4)}) for i in range(12)]
    slow = {"scenario": "wired-star", "options": WIRED["options"] | {"edgeRate": "50Mbps"}}
    outcome, held = serve({"big": ["edge1"]}, asked, made, {"one": graph}, cold=True, failures={"edge0": 0.4}, **slow)
    assert len(outcome.requests) == len(asked)
    assert {row.reason for row in outcome.requests} == {"edge0, which has the weights of big, has failed"}
    assert all(row.end_s <= max(row.arrive_s + 0.05, 0.51) for row in outcome.requests)
    assert not any(held.values())


def test_an_instance_without_room_for_its_weights_answers_with_both_numbers():
    """Two cold services share a node that has room for one of them."""
    device = dataclasses.replace(profile("cpu-server"), memory_bytes=1_500_000)
    made = catalogue([declared("one", ("x",), "y"), declared("two", ("x",), "z")])
    graphs = {
        name: Graph(name, ("x",), (key,), {"root": sequence(name)}) for name, key in (("one", "y"), ("two", "z"))
    }  # fmt: skip

    async def main(sim):
        serving = Serving(sim, made, graphs, repository="cloud0")
        serving.deploy({"one": ["edge0"]}, cold=True)
        serving.deploy({"two": ["edge0"]}, cold=True)
        asked = [
            Request(i, "ue0", name, 0.1 * i, {"x": torch.zeros(1)}) for i, name in enumerate(("one", "two", "one"))
        ]
        return await serving.serve(asked)

    outcome = cosim.simulate(main, nodes=NODES, devices={"edge0": device})
    assert [row.status for row in outcome.requests] == ["complete", "failed", "complete"]
    assert "1,500,000" in outcome.requests[1].reason
    assert "1,000,000" in outcome.requests[1].reason


class Gate:
    """A module that gives soft tokens: as many as it is told, or none."""

    name = "gate"
    takes = ("count",)
    gives = ("soft",)
    weights_hash = "gate"
    weight_bytes = 0

    def forward(self, values):
        count = int(values["count"][0])
        return {"soft": torch.ones(count, 576) * 0.3}


class Adder:
    """A module that takes nothing but soft tokens."""

    name = "adder"
    takes = ("soft",)
    gives = ("sum",)
    weights_hash = "adder"
    weight_bytes = 0

    def forward(self, values):
        return {"sum": values["soft"].sum(dim=0)}


@pytest.mark.parametrize("encoding", ["fp32", "fp16", "int8", "exact"])
def test_soft_tokens_may_be_none(encoding):
    made = catalogue([Service("gate", Gate(), encoding=encoding), Service("adder", Adder())])
    graph = Graph("soft", ("count",), ("sum",), {"root": sequence("gate", "adder")})
    asked = [Request(i, "ue0", "soft", 0.1 * i, {"count": torch.tensor([i])}) for i in range(3)]
    outcome, _ = serve({"gate": ["edge0"], "adder": ["edge1"]}, asked, made, {"soft": graph}, **WIRED)
    assert [row.status for row in outcome.requests] == ["complete"] * 3
    for i in range(3):
        assert torch.allclose(outcome.answers[i]["sum"], torch.full((576,), 0.3 * i), atol=2e-3 * max(i, 1))
        (move,) = [move for move in outcome.moves if move.request == i and move.what == "soft"]
        size = {"fp32": 4 * 576, "fp16": 2 * 576, "int8": 580, "exact": 4 * 576}[encoding]
        assert move.bytes == max(i * size, 1)  # the message that there are none
