# SPDX-License-Identifier: GPL-2.0-only
"""From services and a network to a plan: profiles, calibration against ns-3, decisions that cost."""

import dataclasses

import numpy as np
import pytest
import torch
from small_services import GRAPHS, inputs, services

from edgelam import cosim
from edgelam.cosim.devices import profile as device
from edgelam.errors import ConfigurationError
from edgelam.inference import Computing, Dispatcher, Graph, Poisson, Serving, Step, Task, drawn, sequence, splitter
from edgelam.inference.calibration import Line, Taken, fit, of_moves, probed
from edgelam.inference.deployment import SOLVERS
from edgelam.inference.planner import decide
from edgelam.inference.problem import Demand, delay, problem_of
from edgelam.inference.profile import USER, Edge, profile
from edgelam.inference.routing import Planned

ROLES = {"ue0": "ue", "ue1": "ue", "edge0": "edge", "edge1": "edge", "edge2": "edge"}
HOSTS = ("edge0", "edge1", "edge2")
WIRED = {"scenario": "wired-star", "options": {"numUe": "2", "numEdge": "3", "rate": "50Mbps"}}


def sample(graph):
    return inputs(graph, np.random.default_rng(0))


def test_a_profile_has_the_bytes_of_every_edge():
    found = profile(GRAPHS["both"], services(), Computing(), sample("both"))
    assert [call.service for call in found.calls] == ["vision", "audio", "joint", "talk"]
    assert set(found.edges) == {
        Edge(USER, "vision", 256, 1.0), Edge(USER, "audio", 256, 1.0), Edge("vision", "joint", 128, 1.0),
        Edge("audio", "joint", 128, 1.0), Edge("joint", "talk", 256, 1.0), Edge("talk", USER, 48, 1.0),
    }  # fmt: skip
    flops = {call.service: sum(work.flops for work in call.steps) for call in found.calls}
    assert flops["vision"] == 2 * (64 * 256 + 256 * 256 + 256 * 64)
    assert len(found.calls[3].steps) == 6


def test_a_profile_of_a_splitter_has_expected_numbers():
    graph = Graph(
        "g", ("image",), ("label",),
        {"root": sequence("pick", "label"), "pick": splitter(Step("vision", weight=3), Step("other"))},
    )  # fmt: skip
    made = services()
    made["other"] = dataclasses.replace(made["vision"], name="other")
    found = profile(graph, made, Computing(), sample("look"))
    assert {call.service: call.visits for call in found.calls} == {"vision": 0.75, "other": 0.25, "label": 1.0}
    assert Edge("vision", "label", 128, 0.75) in found.edges
    assert Edge("other", "label", 128, 0.25) in found.edges


def test_lines_are_found_again():
    true = {("ue0", "edge0"): Line(0.005, 1e-7), ("edge0", "edge1"): Line(0.001, 1e-8)}
    taken = [Taken(*pair, size, line.seconds(size)) for pair, line in true.items() for size in (10**3, 10**5, 10**6)]
    links = fit(taken, ROLES)
    for pair, line in true.items():
        assert links.line(*pair).latency_s == pytest.approx(line.latency_s)
        assert links.line(*pair).byte_s == pytest.approx(line.byte_s)
    assert links.errors(taken).max() < 1e-9
    assert links.line("ue1", "edge2") == links.line("ue0", "edge1")  # the line of the roles
    assert links.line("edge1", "edge1") == Line(0.0, 0.0)
    with pytest.raises(ConfigurationError, match="no transfer that took time was recorded"):
        fit([Taken("ue0", "edge0", 10, 0.0)], ROLES)


def test_calibration_against_ns3():
    """Probes over wired links of known rate: the line is the propagation and the rate; errors are of other sizes."""

    async def main(sim):
        fitted = await probed(sim, [("ue0", "edge0"), ("edge0", "edge1")], (2_000, 20_000, 100_000))
        held = await probed(sim, [("ue0", "edge0"), ("edge0", "edge1")], (5_000, 60_000))
        return fitted, held

    fitted, held = cosim.simulate(main, **WIRED)
    links = fit(fitted, ROLES)
    errors = links.errors(held)
    assert np.median(errors) < 0.1
    up = links.line("ue0", "edge0")
    assert 0.006 < up.latency_s < 0.009
    assert 8 / 50e6 < up.byte_s < 1.2 * 8 / 50e6


def plan_and_serve(solver, *, charge, seconds=1.0):
    made = services()

    async def main(sim):
        serving = Serving(sim, made, GRAPHS, dispatcher=Dispatcher())
        profiles = {name: profile(graph, made, serving.computing, sample(name)) for name, graph in GRAPHS.items()}
        pairs = [(a, b) for a in ("ue0", *HOSTS) for b in HOSTS if a != b] + [("edge0", "ue0")]
        links = fit(await probed(sim, pairs, (200, 20_000)), ROLES)
        demand = [Demand(user, graph, 3.0) for user in ("ue0", "ue1") for graph in GRAPHS]

        def problem():
            return problem_of(sim, made, profiles, demand, links, hosts=HOSTS)

        decision = await decide(serving, "edge0", HOSTS, problem, lambda p: SOLVERS[solver](p, 1), charge=charge)
        serving.deploy(decision.plan.placement(decision.problem))
        serving.dispatcher.rule = Planned(decision.plan.routes(decision.problem))
        tasks = {
            user: [Task(g, g, Poisson(3.0), 0.2, lambda rng, g=g: inputs(g, rng)) for g in GRAPHS]
            for user in ("ue0", "ue1")
        }
        outcome = await serving.serve(drawn(tasks, seconds, 5))
        return decision, outcome, links

    return cosim.simulate(main, **WIRED)


def test_a_plan_is_carried_out_and_its_model_is_near_the_network():
    decision, outcome, links = plan_and_serve("exact", charge=True)
    assert decision.start_s < decision.measured_s < decision.end_s
    assert decision.operations > 0
    routes = decision.plan.routes(decision.problem)
    by_request = {row.request: row for row in outcome.requests}
    for call in outcome.calls:
        row = by_request[call.request]
        assert call.node == routes[row.user, row.graph, call.service]
    predicted = delay(decision.problem, decision.plan)
    measured = np.mean([row.e2e_s for row in outcome.requests])
    assert predicted == pytest.approx(measured, rel=0.5)
    assert np.median(links.errors(of_moves(outcome.moves))) < 0.5


def test_without_charge_a_decision_takes_no_time_and_is_the_same():
    free, _, _ = plan_and_serve("greedy", charge=False, seconds=0.2)
    charged, _, _ = plan_and_serve("greedy", charge=True, seconds=0.2)
    assert free.start_s == free.measured_s == free.end_s
    assert charged.end_s - charged.start_s > 0.004  # states and plans cross two links of 1 ms each
    assert free.plan == charged.plan


def test_seconds_of_a_problem_are_the_roofline_of_each_node():
    made = services()
    links = fit([Taken("ue0", "edge0", 10, 0.1), Taken("ue0", "edge0", 20, 0.2)], ROLES)

    async def main(sim):
        profiles = {"look": profile(GRAPHS["look"], made, Computing(), sample("look"))}
        return problem_of(sim, made, profiles, [Demand("ue0", "look", 1.0)], links, hosts=("edge0", "ue0"))

    problem = cosim.simulate(main, nodes={"ue0": "ue", "edge0": "edge"})
    assert problem.services == ("vision", "label")
    with torch.no_grad():
        work = cosim.count(made["vision"].module.forward, sample("look"))
    for n, name in enumerate(("cpu-server", "phone")):
        assert problem.seconds[0, n] == pytest.approx(device(name).seconds(work.flops, work.bytes))
    assert problem.weight_bytes[0] == made["vision"].weight_bytes
    # room is left for one request of vision: its input, the concatenated input, and two layers of 256 values
    assert problem.memory_bytes[1] == device("phone").memory_bytes - 4 * (64 + 64 + 2 * 256)
