# SPDX-License-Identifier: GPL-2.0-only
"""The queueing model of routing: without queues, the problem's delay; with queues, cases by hand; what rules see."""

import dataclasses

import numpy as np
import pytest
from problems import random_problem

from edgelam.errors import ConfigurationError
from edgelam.inference import Request
from edgelam.inference.deployment import genetic
from edgelam.inference.deployment.replicated import spread
from edgelam.inference.problem import AT_USER, Flow, FlowEdge, Problem, flow_delay
from edgelam.inference.routing import Knowledge, Learned, LeastExpectedDelay, Replica
from edgelam.inference.routing_model import RECENT, ROWS, Model, Routed, Shift, Tables, replayed
from edgelam.random_streams import from_numbers


def drawn(rate=1.0, **sizes):
    problem = random_problem(np.random.default_rng(3), **({"services": 7, "nodes": 4, "flows": 3} | sizes))
    flows = tuple(dataclasses.replace(flow, rate=flow.rate * rate, deadline_s=0.3) for flow in problem.flows)
    return dataclasses.replace(problem, flows=flows)


def everywhere(problem):
    return dict.fromkeys(problem.services, problem.nodes)


def test_without_queues_a_request_takes_what_the_problem_says():
    problem = drawn(rate=1e-6)
    model = Model(Tables(problem, everywhere(problem)), from_numbers(1), copies=20, moves_per_s=0)
    rng, at = np.random.default_rng(0), [{} for _ in range(20)]
    compared = 0
    for _ in range(30):
        nodes = rng.integers(4, size=20)
        for e, n in enumerate(nodes):
            at[e][list(problem.flows[model.flow[e]].calls)[model.call[e]]] = int(n)
        delays, flows = model.step(nodes)
        for e in np.flatnonzero(~np.isnan(delays)):
            first, second, *_ = problem.flows[flows[e]].calls
            if at[e][first] == at[e][second]:  # side by side in the graph: one waits for the other
                at[e] = {}
                continue
            assert delays[e] == pytest.approx(flow_delay(problem, flows[e], at[e]), rel=1e-6)
            at[e] = {}
            compared += 1
    assert compared > 50


def one_service(rate=1e6):
    """A node of 2 s a call and one of 3 s; the input takes 1 s to either, the answer half a second."""
    edges = (FlowEdge(AT_USER, 0, 1.0, 1.0), FlowEdge(0, AT_USER, 1.0, 1.0))
    ones = np.ones((1, 2))
    return Problem(
        nodes=("a", "b"), services=("s",), seconds=np.array([[2.0, 3.0]]), weight_bytes=ones[0, :1],
        memory_bytes=np.array([5.0, 5.0]), flows=(Flow("ue0", "g", rate, {0: 1.0}, edges, 10.0),),
        latency_s=np.zeros((2, 2)), byte_s=np.zeros((2, 2)), up_latency_s=0 * ones, up_byte_s=ones,
        down_latency_s=0.5 * ones, down_byte_s=0 * ones,
    )  # fmt: skip


def test_calls_wait_for_those_before_them_by_hand():
    """All requests come at time 0, as good as."""
    model = Model(Tables(one_service(), {"s": ["a", "b"]}), from_numbers(1), copies=1, moves_per_s=0, report_every_s=0)
    seen = [float(model.step(np.array([n]))[0][0]) for n in (0, 0, 1, 0)]
    assert seen == pytest.approx([1 + 2 + 0.5, 1 + 4 + 0.5, 1 + 3 + 0.5, 1 + 6 + 0.5], abs=1e-4)
    rows = dict(zip(ROWS, model.view().rows[0].T, strict=True))
    assert rows["transfer"] == pytest.approx([0.1, 0.1])  # of a deadline of 10 s
    assert rows["backlog"] == pytest.approx([0.6, 0.3], abs=1e-4)
    assert rows["wait"] == pytest.approx([0.5, 0.2], abs=1e-4)  # while the input is on its way, a second goes by
    assert rows["onward"] == pytest.approx([0.05, 0.05])


def test_the_router_knows_what_has_ended_by_the_last_report():
    model = Model(Tables(one_service(rate=0.2), {"s": ["a", "b"]}), from_numbers(2), copies=1, moves_per_s=0,
                  report_every_s=1000.0)  # fmt: skip
    for _ in range(5):
        model.step(np.array([0]))
    assert model.now[0] > 10
    assert model.view().rows[0, 0, ROWS.index("backlog")] == pytest.approx(1.0)  # five calls of 2 s, none reported
    model.report_every_s = 0.0
    assert model.view().rows[0, 0, ROWS.index("backlog")] < 1.0


def test_a_node_without_a_replica_stands_for_the_first_one_that_has_it():
    model = Model(Tables(one_service(), {"s": ["b"]}), from_numbers(1), copies=1, moves_per_s=0)
    assert model.view().legal.tolist() == [[False, True]]
    assert model.step(np.array([0]))[0][0] == pytest.approx(1 + 3 + 0.5, abs=1e-4)


def test_demand_and_places_follow_their_shift():
    problem = drawn()
    tables = Tables(problem, everywhere(problem))
    demand = np.tile([4.0, 1.0, 0.05], (200, 1))
    attraction = np.tile([0.0, 3.0, -3.0], (200, 1))
    model = Model(tables, from_numbers(1), copies=200, moves_per_s=5, shift=Shift(demand, attraction))
    flows = []
    for _ in range(100):
        flows.append(model.step(np.zeros(200, dtype=int))[1])
    asked = np.bincount(np.concatenate(flows), minlength=3) / tables.num_calls
    expected = tables.rates * demand[0]
    assert asked / asked.sum() == pytest.approx(expected / expected.sum(), abs=0.03)
    share = np.bincount(model.place.ravel(), minlength=3) / model.place.size
    weights = np.exp(attraction[0])
    assert share == pytest.approx(weights / weights.sum(), abs=0.06)


def test_a_rule_sees_what_the_model_shows():
    problem = drawn()
    tables = Tables(problem, everywhere(problem))
    model = Model(tables, from_numbers(4), copies=1, moves_per_s=0, report_every_s=0)
    flow = problem.flows[model.flow[0]]
    replicas = [Replica(node, 1.0, 0.0) for node in problem.nodes]
    sent = dict.fromkeys(problem.nodes, 0)
    knowledge = Knowledge(tables, lambda node: {})
    request = Request(0, flow.user, flow.graph, float(model.now[0]), {})
    for k, s in enumerate(flow.calls):
        mine, theirs = knowledge.view(problem.services[s], replicas, request), model.view()
        columns = [ROWS.index(name) for name in ("replica", "compute", "onward")]
        assert mine.rows[..., columns] == pytest.approx(theirs.rows[..., columns])
        if k == 0:
            assert mine.rows == pytest.approx(theirs.rows)
            assert mine.context[:, :2] == pytest.approx(theirs.context[:, :2])
        node = k % len(problem.nodes)
        assert knowledge.chosen(node, replicas) == node
        sent[problem.nodes[node]] += 1
        model.step(np.array([node]))


def test_least_expected_delay_and_a_policy_choose_among_the_replicas_that_are_left():
    tables = Tables(one_service(), {"s": ["a", "b"]})
    request = Request(0, "ue0", "g", 0.0, {})
    both, rng = [Replica("b", 1.0, 0.0), Replica("a", 1.0, 0.0)], np.random.default_rng(0)
    queues = {"a": {}, "b": {}}
    rule = LeastExpectedDelay(Knowledge(tables, queues.get))
    assert both[rule.choose("s", both, request, rng)].node == "a"
    queues["a"] = {"s": 1.0, "of another": 9.0}  # 2 s, of which 1 s goes by: 4 s against 4 s; then more
    queues["a"]["s"] = 2.0
    assert both[rule.choose("s", both, request, rng)].node == "b"
    assert both[:1][rule.choose("s", both[:1], request, rng)].node == "b"
    learned = Learned(Knowledge(tables, queues.get), lambda view: int(view.rows[0, :, 2].argmax()), 77)
    assert both[learned.choose("s", both, request, rng)].node == "b"
    assert learned.operations(2) == 77


@pytest.mark.parametrize(
    ("replicas", "text"),
    [({"s": ["c"]}, "'c', which is no node"), ({}, "service 's' has no replica"), ({"t": ["a"]}, "has no replica")],
)
def test_replicas_that_are_not_legal(replicas, text):
    with pytest.raises(ConfigurationError, match=text):
        Tables(one_service(), replicas)


def test_replicas_are_spread_as_far_as_memory_allows():
    problem = one_service(rate=0.1)
    assert spread(problem, 1) == {"s": ["a"]}
    assert spread(problem, 5) == {"s": ["a", "b"]}
    for copies in (1, 2, 3):
        drawn_one = drawn(services=9, nodes=4)
        found = spread(drawn_one, copies)
        held = [sum(drawn_one.weight_bytes[s] for s, name in enumerate(drawn_one.services) if node in found[name])
                for node in drawn_one.nodes]  # fmt: skip
        assert all(1 <= len(nodes) <= copies for nodes in found.values())
        assert (np.array(held) <= drawn_one.memory_bytes).all()
    with pytest.raises(ConfigurationError, match="no node has memory left for service"):
        spread(dataclasses.replace(problem, memory_bytes=np.zeros(2)), 1)


def test_the_genetic_algorithm_keeps_to_replicas():
    problem = drawn(rate=0.1)
    replicas = spread(problem, 2)
    plan = genetic.solve(problem, seed=1, population=10, generations=3, replicas=replicas)
    for service, nodes in plan.placement(problem).items():
        assert set(nodes) <= set(replicas[service])


def test_a_run_that_is_replayed_has_the_delays_of_the_model_itself():
    """What one copy of the model routed, replayed from what is known of the requests alone."""
    problem = drawn(rate=20.0)
    tables = Tables(problem, everywhere(problem))
    model = Model(tables, from_numbers(2), copies=1, moves_per_s=2.0)
    rng, routed, delays = np.random.default_rng(1), [], []
    while len(routed) < 60:
        begin_s, flow = float(model.now[0]), int(model.flow[0])
        place, nodes, found = int(model.place[0, tables.user[flow]]), [], [np.nan]
        while np.isnan(found[0]):
            nodes.append(int(rng.choice(np.flatnonzero(model.view().legal[0]))))
            found, _ = model.step(np.array(nodes[-1:]))
        delays.append(found[0])
        routed.append(Routed(begin_s, flow, place, tuple(nodes)))
    assert replayed(tables, routed).tolist() == delays
    assert max(delays) > 3 * min(delays)
    assert len(replayed(tables, [])) == 0


def ends_of_calls(times):
    """When a node of 2 s a call has done calls that are there at these times, routed one after the other."""
    model = Model(Tables(one_service(), {"s": ["a", "b"]}), from_numbers(1), copies=1, moves_per_s=0)
    ends = []
    for time in times:
        model._there = lambda time=time: np.array([[time, time]])
        model.step(np.array([0]))
        ends.append(model.ends[0, 0, (model.next[0, 0] - 1) % RECENT])
    return ends


def test_a_node_does_calls_in_the_order_in_which_they_are_there():
    rng = np.random.default_rng(5)
    times = 2.5 * np.arange(200) + rng.exponential(6, size=200)  # later ones are often there first
    for i, end in enumerate(ends_of_calls(times)):
        free = -np.inf
        for time in sorted(times[:i][times[:i] <= times[i]]):
            free = max(time, free) + 2
        assert end == pytest.approx(max(times[i], free) + 2)


def test_calls_that_the_model_no_longer_keeps_still_hold_a_node_up():
    assert ends_of_calls([1.0] * (3 * RECENT)) == pytest.approx(1 + 2 * np.arange(1, 3 * RECENT + 1))
