# SPDX-License-Identifier: GPL-2.0-only
"""Programs of torch.distributed, run under gloo and over the simulated network."""

import functools
import json
import math
import re
import subprocess
import sys
from pathlib import Path

from edgelam import cosim
from edgelam.parallel.job import Job
from edgelam.parallel.launch import run_ranks

PROGRAMS = Path(__file__).parent / "programs"
RANKS = ("ue0", "ue1", "ue2", "edge0")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*(?:e[+-]?\d+)?|nan|inf)")


def over_network(
    command, *, ranks=RANKS, records=None, compute="modelled", scenario="wired-star", options=None, idle_timeout_s=60.0,
    **of_job,
):  # fmt: skip
    """Run a program as all ranks, over wired-star at 1 Gb/s if no other network is named."""
    job = Job(tuple(ranks), compute=compute, **of_job)
    users = sum(name.startswith("ue") for name in ranks)
    options = {"numUe": max(users, 1), **({"rate": "1Gbps"} if scenario == "wired-star" else {}), **(options or {})}
    simulate = functools.partial(cosim.simulate, scenario=scenario, options=options)
    on_record = None if records is None else records.append
    words = [str(word) for word in command]
    return run_ranks(words, job, simulate, on_record=on_record, idle_timeout_s=idle_timeout_s)


def under_gloo(programs, folder):
    """What each program prints on each rank under gloo: [rank][program]."""
    out, size = folder / "gloo", len(RANKS)
    out.mkdir()
    # a process of its own forks the ranks: this one may have threads, which a fork does not take along
    command = [sys.executable, Path(__file__).with_name("gloo_ranks.py"), str(size), folder, out, *programs]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
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
