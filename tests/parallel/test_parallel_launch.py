# SPDX-License-Identifier: GPL-2.0-only
"""Starting ranks, and how a run ends where one of them fails."""

import functools
import os
import signal

import pytest
from torch_runs import over_network

from edgelam import cosim
from edgelam.commands import torchrun
from edgelam.errors import ConfigurationError, RankFailed
from edgelam.parallel.job import Job
from edgelam.parallel.launch import launch


def _sum_of_ranks(start):
    import torch
    import torch.distributed as dist

    dist.init_process_group()
    tensor = torch.tensor([start + dist.get_rank()])
    dist.all_reduce(tensor)
    return tensor.item(), os.environ["RANK"], os.environ["WORLD_SIZE"]


def test_launch_returns_what_the_ranks_return():
    simulate = functools.partial(cosim.simulate, scenario="wired-star", options={"numUe": 2})
    records = []
    job = Job(("ue0", "ue1"))
    found = launch(_sum_of_ranks, 10, job=job, simulate=simulate, on_record=records.append)
    assert found == [(21, "0", "2"), (21, "1", "2")]
    shares = [record for record in records if isinstance(record, dict)]
    assert [share["operation"] for share in shares] == ["all_reduce", "all_reduce"]
    assert {share["node"] for share in shares} == {"ue0", "ue1"}
    assert all(share["end_s"] > share["start_s"] for share in shares)


@pytest.mark.parametrize("how", ["raise ValueError('boom')", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)"])
def test_a_rank_that_fails_ends_the_run_and_is_named(tmp_path, capfd, how):
    program = tmp_path / "fails.py"
    program.write_text(
        "import os, signal, sys\nimport torch.distributed as dist\ndist.init_process_group()\n"
        f"if dist.get_rank() == 1:\n    {how}\ndist.barrier()\n"
    )
    with pytest.raises(RankFailed, match="rank 1 at ue1") as caught:
        over_network([program], ranks=("ue0", "ue1"))
    assert caught.value.rank == 1
    expected = "ValueError: boom" if "boom" in how else signal.Signals(9).name if "kill" in how else "exit status 3"
    assert expected in str(caught.value)


def test_options_stand_before_the_program_and_its_arguments_behind():
    own = ["--ranks", "ue0", "ue1,edge0", "--scenario", "wired-star", "--options", "rate=1Gbps", "numUe=2"]
    assert torchrun.split([*own, "train.py", "--epochs", "3"]) == (own, ["train.py", "--epochs", "3"])
    assert torchrun.split([*own, "--no-report", "-m", "train"]) == ([*own, "--no-report"], ["-m", "train"])
    assert torchrun.split(["--ranks", "ue0", "train.py"]) == (["--ranks", "ue0"], ["train.py"])


@pytest.mark.parametrize(
    ("ranks", "said"), [((), "0 ranks"), (("ue0", "ue0"), "ue0 is given twice"), (tuple("abc") * 70, "210 ranks")]
)
def test_ranks_that_cannot_be_are_refused(ranks, said):
    with pytest.raises(ConfigurationError, match=said):
        Job(ranks)
