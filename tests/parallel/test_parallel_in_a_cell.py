# SPDX-License-Identifier: GPL-2.0-only
"""Programs of torch.distributed whose ranks are UEs of a 5G cell."""

import pytest
import torch
from parallel_runs import NAMED, run_ranks
from torch_runs import PROGRAMS, RANKS, assert_same, over_network, under_gloo, under_ns3

from edgelam.cosim.records import TransferRecord
from edgelam.errors import TransferError

PIPELINES = [PROGRAMS / "tutorial_pipelines.py"]
CLUSTERS = (("ue0", "ue1"), ("ue2", "edge0"))
BAD_RADIO = {"rlc": "um", "los": "Never", "minDistance": 200, "maxDistance": 300, "uePower": -3, "speed": 30}


def test_pipelines_by_hierarchical_collectives_over_udp_compute_what_they_compute_under_gloo(tmp_path):
    records = []
    how = {"scenario": "nr-urban-micro", "algorithm": "hierarchical", "protocol": "udp", "clusters": CLUSTERS}
    ns3 = under_ns3(PIPELINES, tmp_path, records=records, **how)
    gloo = under_gloo(PIPELINES, tmp_path)
    for rank in range(len(RANKS)):
        assert_same(gloo[rank]["tutorial_pipelines"], ns3[rank]["tutorial_pipelines"])
    transfers = [record for record in records if isinstance(record, TransferRecord)]
    assert {record.protocol for record in transfers} >= {"udp"}
    assert {record.source for record in transfers} == set(RANKS)


@pytest.mark.parametrize("operation", ["all_reduce", "broadcast", "reduce"])
def test_hierarchical_over_udp_is_exact(operation):
    own = [torch.arange(60_000, dtype=torch.float64) * (rank + 1) for rank in range(4)]
    transfers = []

    async def program(group, sim):
        tensor = own[group.rank].clone()
        await getattr(group, operation)(tensor)
        return tensor

    results = run_ranks(
        program, 4, scenario="nr-urban-micro", protocol="udp", rate_bps=400e6, algorithm="hierarchical",
        clusters=[[0, 1], [2, 3]], on_transfer=transfers.append,
    )  # fmt: skip
    for rank, result in enumerate(results):
        changed = rank == 0 or operation != "reduce"
        wanted = own[0] if operation == "broadcast" else sum(own) if changed else own[rank]
        assert torch.equal(result, wanted)
    assert {record.protocol for record in transfers} == {"udp"}


@pytest.mark.parametrize("algorithm", NAMED)
def test_what_a_bad_radio_link_loses_is_repaired(algorithm):
    transfers = []

    async def program(group, sim):
        tensor = torch.arange(20_000.0) + group.rank
        await group.all_reduce(tensor)
        return tensor

    results = run_ranks(
        program, 3, scenario="nr-urban-micro", options=BAD_RADIO, protocol="udp", algorithm=algorithm, server="edge0",
        on_transfer=transfers.append,
    )  # fmt: skip
    for result in results:
        assert torch.equal(result, 3 * torch.arange(20_000.0) + 3)
    assert any(record.lost_bytes for record in transfers)
    assert any(record.tag.endswith("/again") for record in transfers)


def test_a_link_over_which_nothing_comes_is_an_error():
    async def program(group, sim):
        await group.all_reduce(torch.ones(20_000))

    nowhere = {"los": "Never", "minDistance": 4000, "maxDistance": 5000, "uePower": -30}
    with pytest.raises(TransferError, match=r"'all_reduce' from ue\d to ue\d.*could not be set up"):
        run_ranks(program, 2, scenario="nr-urban-micro", options=nowhere, protocol="udp")


def test_connections_are_paced_on_wires_and_not_in_a_cell():
    """In a cell, where pacing costs time, an all-reduce takes the time of one without pacing, to the nanosecond."""

    async def program(group, sim):
        begun_s = sim.now_s
        await group.all_reduce(torch.ones(40_000), algorithm="tree")
        return sim.now_s - begun_s, group.paced

    took = {
        (scenario, paced): max(run_ranks(program, 3, scenario=scenario, paced=paced))
        for scenario in ("wired-star", "nr-urban-micro")
        for paced in (None, True, False)
    }
    assert took["nr-urban-micro", None] == took["nr-urban-micro", False]
    assert took["nr-urban-micro", None][0] < took["nr-urban-micro", True][0]
    assert took["wired-star", None] == took["wired-star", True] != took["wired-star", False]


def test_a_program_of_ranks_in_a_cell_is_not_paced_and_has_what_was_lost_repaired(tmp_path):
    """The same through torch.distributed: what the launcher starts does as a `Group` does."""
    program, records = tmp_path / "groups.py", []
    program.write_text(
        "import torch, torch.distributed as dist\ndist.init_process_group()\n"
        "tensor = torch.arange(50_000.0) + dist.get_rank()\ndist.all_reduce(tensor)\n"
        "assert torch.equal(tensor, 2 * torch.arange(50_000.0) + 1)\n"
        f"open(f'{tmp_path}/{{dist.get_rank()}}', 'w').write(str(dist.group.WORLD.group.paced))\n"
    )
    bad = {"options": BAD_RADIO, "protocol": "udp", "records": records}
    for scenario, how, paced in (("wired-star", {}, "True"), ("nr-urban-micro", bad, "False")):
        over_network([program], ranks=("ue0", "ue1"), scenario=scenario, **how)
        assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == [paced] * 2
    assert any(record.lost_bytes for record in records if isinstance(record, TransferRecord))
