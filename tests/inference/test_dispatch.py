# SPDX-License-Identifier: GPL-2.0-only
"""What a dispatcher counts as a queue: calls on their way, calls of reports, calls that never come."""

import pytest
import torch
from small_services import declared

from edgelam import cosim
from edgelam.inference import Dispatcher, Graph, Request, Serving, catalogue, sequence, splitter

SLOW = {"scenario": "wired-star", "options": {"numUe": "1", "numEdge": "3", "rate": "10Mbps"}}
MEGABYTE = torch.zeros(1_000_000, dtype=torch.uint8)  # 0.8 s and more on the link of the user


def serve(times, *, node=None, graph=None, services=None):
    services = services or [declared("look", ("x",), "y", flops=1e6)]
    graph = graph or Graph("look", ("x",), ("y",), {"root": sequence("look")})
    asked = [Request(i, "ue0", graph.name, time, {"x": MEGABYTE}) for i, time in enumerate(times)]
    dispatcher = Dispatcher(node=node)

    async def main(sim):
        serving = Serving(sim, catalogue(services), {graph.name: graph}, dispatcher=dispatcher)
        serving.deploy({service.name: ["edge0", "edge1"] for service in services})
        outcome = await serving.serve(asked)
        left = [dispatcher.queues(name) for name in ("edge0", "edge1")]
        await serving.close()
        return outcome, left

    outcome, left = cosim.simulate(main, **SLOW)
    assert all(row.status == "complete" for row in outcome.requests)
    return [call.node for call in sorted(outcome.calls, key=lambda call: call.request)], left


def test_calls_on_their_way_are_in_the_queue():
    """Four requests at once, whose inputs take a second: none has come to an instance when the last one is routed."""
    nodes, left = serve([0.0, 0.0, 0.0, 0.0])
    assert nodes == ["edge0", "edge1", "edge0", "edge1"]
    assert left == [{"look": 0.0}, {"look": 0.0}]


def test_a_router_counts_what_it_has_sent_and_no_report_has_shown():
    """The second request comes when two reports have said that nothing waits anywhere, and the first is on its way."""
    nodes, _ = serve([0.0, 0.3, 4.0], node="edge2")
    assert nodes == ["edge0", "edge1", "edge0"]


@pytest.mark.parametrize("node", [None, "edge2"])
def test_calls_that_never_come_are_not_counted_for_ever(node):
    """Each request is routed for both branches of a Splitter, and takes one."""
    services = [declared(name, ("x",), "y", flops=1e6) for name in ("left", "right")]
    graph = Graph("either", ("x",), ("y",), {"root": splitter("left", "right")})
    nodes, left = serve([0.0, 2.5, 5.0, 7.5, 10.0, 12.5], node=node, graph=graph, services=services)
    assert nodes == ["edge0"] * 6  # each comes when nothing is left of the one before
    if node is None:
        assert left == [{"left": 0.0, "right": 0.0}] * 2
