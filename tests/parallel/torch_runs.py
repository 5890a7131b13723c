# SPDX-License-Identifier: GPL-2.0-only
"""Programs of torch.distributed, run under gloo and over the simulated network."""

import functools
import json
import math
import multiprocessing
import os
import re
from pathlib import Path

from edgelam import cosim
from edgelam.parallel.job import Job
from edgelam.parallel.launch import run_ranks

PROGRAMS = Path(__file__).parent / "programs"
RANKS = ("ue0", "ue1", "ue2", "edge0")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*(?:e[+-]?\d+)?|nan|inf)")


def over_network(
    command, *, ranks=RANKS, records=None, compute="modelled", rate="1Gbps", idle_timeout_s=60.0, **of_job
):
    """Run a program as all ranks, over wired-star."""
    job = Job(tuple(ranks), compute=compute, **of_job)
    users = sum(name.startswith("ue") for name in ranks)
    simulate = functools.partial(cosim.simulate, scenario="wired-star", options={"numUe": max(users, 1), "rate": rate})
    on_record = None if records is None else records.append
    words = [str(word) for word in command]
    return run_ranks(words, job, simulate, on_record=on_record, idle_timeout_s=idle_timeout_s)


def _rank_under_gloo(rank, size, folder, out, programs):
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    import torch
    from torch.distributed import FileStore, distributed_c10d

    torch.set_num_threads(1)
    count = [0]

    def rendezvous(*_, **__):  # a file in the place of a port, which another run may take
        count[0] += 1
        yield FileStore(f"{folder}/store{count[0]}", size), rank, size

    distributed_c10d.rendezvous = rendezvous
    import sys

    sys.path.insert(0, str(PROGRAMS))
    import together

    together.run(out, programs)


def under_gloo(programs, folder):
    """What each program prints on each rank under gloo: [rank][program]."""
    out, size = folder / "gloo", len(RANKS)
    out.mkdir()
    context = multiprocessing.get_context("fork")
    arguments = (size, str(folder), str(out), [str(program) for program in programs])
    ranks = [context.Process(target=_rank_under_gloo, args=(rank, *arguments)) for rank in range(size)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
        if rank.exitcode is None:
            rank.kill()
    assert [rank.exitcode for rank in ranks] == [0] * size
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(size)]


def under_ns3(programs, folder, **how):
    """The same over the simulated network."""
    out = folder / "ns3"
    out.mkdir()
    over_network([PROGRAMS / "together.py", out, *programs], **how)
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(len(RANKS))]


def assert_same(gloo, ns3):
    """The same text, its numbers equal to 1e-12, but where gloo refuses."""
    pairs = list(zip(gloo.splitlines(), ns3.splitlines(), strict=True))
    gloo, ns3 = ("\n".join(lines) for lines in zip(*(p for p in pairs if " refused " not in p[0]), strict=True))
    assert _NUMBER.sub("#", ns3) == _NUMBER.sub("#", gloo)
    for one, other in zip(_NUMBER.findall(gloo), _NUMBER.findall(ns3), strict=True):
        assert one == other or math.isclose(float(one), float(other), rel_tol=1e-12, abs_tol=1e-12), f"{gloo}\n{ns3}"
