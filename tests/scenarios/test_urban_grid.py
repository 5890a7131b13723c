# SPDX-License-Identifier: GPL-2.0-only
"""Scenario nr-urban-grid: every node reaches every other, whichever gNB serves it; bad options are refused."""

import asyncio

import numpy as np
import pytest
from scenario_runs import start

from edgelam import cosim

SMALL = {"sites": 3, "sectors": 1, "numUe": 4, "bandwidth": 20, "los": "Always"}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_every_gnb_and_every_ue_reach_each_other(protocol):
    async def body(sim):
        gnbs = [sim.node(f"gnb{i}") for i in range(3)]
        ues = [sim.node(f"ue{i}") for i in range(4)]
        pairs = [(a, b) for gnb in gnbs for ue in ues for a, b in ((gnb, ue), (ue, gnb))]
        pairs += [(a, b) for a in ues for b in ues if a is not b]
        records = await asyncio.gather(*(a.send(b, bytes(2000), tag=a.name, protocol=protocol) for a, b in pairs))
        return await sim.observable("serving_cell").read(), records

    cells, records = cosim.simulate(body, scenario="nr-urban-grid", options=SMALL, seed=2)
    assert len(set(np.asarray(cells.value).tolist())) > 1  # UEs of several gNBs
    assert len(records) == 36
    assert {record.status for record in records} == {"complete"}


def test_the_same_seed_gives_the_same_traffic_and_another_one_other_traffic():
    def table(seed):
        done = start(
            "nr-urban-grid",
            "--sites=3",
            "--numUe=6",
            "--bytes=1e5",
            "--bandwidth=20",
            f"--seed={seed}",
            "--format=json",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split('"wall_s"')[0]

    assert table(1) == table(1) != table(2)


@pytest.mark.parametrize(
    ("argument", "text"),
    [("--sites=0", "1 to 61"), ("--sectors=7", "1 to 6"), ("--carFraction=2", "0 to 1"), ("--isd=1", "20 to 5000")],
)
def test_bad_options_are_refused(argument, text):
    done = start("nr-urban-grid", argument)
    assert done.returncode == 2
    assert argument in done.stderr
    assert text in done.stderr


@pytest.mark.parametrize(("asked", "there"), [(1, 3), (3, 3), (6, 6)])
def test_edge_servers_that_are_missing_are_behind_the_upf(asked, there):
    """Two sites with a server each, and one behind the UPF: an experiment that needs more gets them."""

    async def main(sim):
        return [node.name for node in sim.nodes.values() if node.role == "edge"]

    options = {"sites": 2, "sectors": 1, "numUe": 1, "numEdge": asked}
    assert len(cosim.simulate(main, scenario="nr-urban-grid", options=options)) == there
