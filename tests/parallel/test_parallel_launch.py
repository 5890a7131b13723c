# SPDX-License-Identifier: GPL-2.0-only
"""Starting ranks, and how a run ends where one of them fails."""

import contextlib
import functools
import io
import os
import signal
import subprocess
import sys

import pytest
from torch_runs import over_network

from edgelam import cosim
from edgelam.commands import torchrun
from edgelam.cosim.records import ComputeRecord
from edgelam.errors import ConfigurationError, RankFailed, StalledError
from edgelam.parallel import environment, serve
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
    clusters = ["--ranks", "ue0,ue1,ue2", "--clusters", "ue0", "ue1,ue2"]
    assert torchrun.split([*clusters, "train.py", "ue1"]) == (clusters, ["train.py", "ue1"])


@pytest.mark.parametrize(
    ("ranks", "said"), [((), "0 ranks"), (("ue0", "ue0"), "ue0 is given twice"), (tuple("abc") * 70, "210 ranks")]
)
def test_ranks_that_cannot_be_are_refused(ranks, said):
    with pytest.raises(ConfigurationError, match=said):
        Job(ranks)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"protocol": "quic"}, "protocol is 'quic'; legal are tcp and udp"),
        ({"rate_bps": 1e6}, "it is the pace of udp"),
        ({"protocol": "udp", "rate_bps": 0.0}, r"rate_bps = 0\.0; legal are 1 to"),
        ({"clusters": (("ue0",),)}, "clusters are ue0: each of the ranks ue0, ue1 must be in one of them"),
        ({"clusters": (("ue0", "ue1"), ())}, "each of the ranks"),
    ],
)
def test_ways_of_communication_that_cannot_be_are_refused(given, said):
    with pytest.raises(ConfigurationError, match=said):
        Job(("ue0", "ue1"), **given)


def test_clusters_are_those_of_the_members_of_a_group():
    job = Job(("ue0", "ue1", "ue2", "edge0"), clusters=(("ue0", "edge0"), ("ue1", "ue2")))
    assert job.clusters_of([0, 1, 2, 3]) == [[0, 3], [1, 2]]
    assert job.clusters_of([1, 3]) == [[1], [0]]
    assert job.clusters_of([2, 1]) == [[1, 0]]
    assert Job(("ue0", "ue1")).clusters_of([0, 1]) is None


def test_ranks_that_hold_and_do_nothing_end_the_run_and_are_named(tmp_path):
    program = tmp_path / "waits.py"
    program.write_text(
        "import threading\nimport torch.distributed as dist\ndist.init_process_group()\nlock = threading.Lock()\n"
        "lock.acquire()\nif dist.get_rank() == 1:\n    lock.acquire()  # of a peer that never gives it back\n"
        "dist.barrier()\n"
    )
    with pytest.raises(StalledError, match=r"no processor for 2 s: participant 2 \('rank 1 at ue1'") as caught:
        over_network([program], ranks=("ue0", "ue1"), idle_timeout_s=2)
    assert "lock.acquire()  # of a peer" in str(caught.value)
    assert "'rank 0 at ue0') waits" in str(caught.value)


def test_a_simulated_clock_tells_what_computing_and_the_network_take(tmp_path):
    program = tmp_path / "clocks.py"
    program.write_text(
        "import time\nimport torch\nimport torch.distributed as dist\ndist.init_process_group()\n"
        "began, since = time.time(), time.perf_counter()\ntorch.randn(256, 256) @ torch.randn(256, 256)\n"
        "computed = time.perf_counter() - since\ntime.sleep(0.25)\nslept = time.monotonic() - since - computed\n"
        "dist.all_reduce(torch.ones(1000))\nprint(computed, slept, time.time() - began)\n"
    )
    records = []
    with contextlib.redirect_stdout(io.StringIO()) as output:
        over_network([program], ranks=("ue0", "ue1"), clock="simulated", records=records)
    computed, slept, whole = map(float, output.getvalue().splitlines()[0].split(": ")[1].split())
    blocks = [record for record in records if isinstance(record, ComputeRecord) and record.node == "ue0"]
    assert computed == pytest.approx(sum(block.end_s - block.start_s for block in blocks[:1]), abs=1e-9)
    assert blocks[0].flops == 2 * 256**3
    assert slept == pytest.approx(0.25)
    assert whole > 0.25 + computed


def test_a_program_that_spawns_its_ranks_runs_as_the_ranks_that_there_are(tmp_path):
    program = tmp_path / "spawns.py"
    program.write_text(
        "import os\nimport torch\nimport torch.distributed as dist\nimport torch.multiprocessing as mp\n"
        "def work(rank, size):\n    os.environ['MASTER_PORT'] = '1234'\n"
        "    dist.init_process_group('gloo', init_method='tcp://127.0.0.1:1234', rank=rank, world_size=size)\n"
        "    tensor = torch.ones(1)\n    dist.all_reduce(tensor)\n    print(rank, tensor.item())\n"
        "if __name__ == '__main__':\n    mp.spawn(work, args=(2,), nprocs=2)\n"
    )
    with contextlib.redirect_stdout(io.StringIO()) as output:
        over_network([program], ranks=("ue0", "ue1"))
    assert sorted(output.getvalue().splitlines()) == ["[0] ue0: 0 2.0", "[1] ue1: 1 2.0"]
    program.write_text(program.read_text().replace("nprocs=2", "nprocs=3"))
    with pytest.raises(RankFailed, match=r"spawn of 3 processes.*Change two lines"):
        over_network([program], ranks=("ue0", "ue1"))


def test_processes_that_a_rank_starts_are_no_ranks(tmp_path):
    program = tmp_path / "starts.py"
    program.write_text(
        "import multiprocessing\nimport torch.distributed as dist\n"
        "def work(rank):\n    dist.init_process_group('gloo', rank=rank, world_size=2)\n"
        "if __name__ == '__main__':\n    children = [multiprocessing.Process(target=work, args=(i,)) for i in (0, 1)]\n"
        "    for child in children:\n        child.start()\n    for child in children:\n        child.join()\n"
    )
    with pytest.raises(RankFailed, match="Change two lines"):
        over_network([program], ranks=("ue0", "ue1"))


def test_ranks_started_by_hand_need_an_import_and_a_name(tmp_path):
    program = tmp_path / "by_hand.py"
    program.write_text(
        "import edgelam.parallel\nimport torch\nimport torch.distributed as dist\ndist.init_process_group('ns3')\n"
        "tensor = torch.ones(2) * (dist.get_rank() + 1)\ndist.all_reduce(tensor)\n"
        f"open(f'{tmp_path}/{{dist.get_rank()}}', 'w').write(str(tensor.tolist()))\n"
    )
    job, processes, records = Job(("ue0", "ue1")), [], []

    async def main(sim):
        for rank in range(2):
            variables = {**os.environ, **environment(sim, rank, job)}
            processes.append(subprocess.Popen([sys.executable, str(program)], env=variables))
        await serve(sim, job, on_record=records.append)

    try:
        cosim.simulate(main, "wired-star", options={"numUe": 2}, participants=job.participants)
        assert [process.wait(60) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ["[3.0, 3.0]"] * 2
    assert records


UNDER_WAY = """
import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
dist.init_process_group()
rank = dist.get_rank()
def begun():
    return functional.all_gather_single(torch.ones(2) * (rank + 1), 0, dist.group.WORLD)
summed, whole, part, came = begun(), torch.empty(8), torch.empty(2), torch.empty(4)
dist.all_reduce(summed)
dist.all_gather_into_tensor(whole, begun())
dist.reduce_scatter_tensor(part, begun())
sending = dist.isend(begun(), 1 - rank)
dist.recv(came, 1 - rank)
sending.wait()
assert summed.tolist() == [2, 2, 4, 4]
assert whole.tolist() == [1, 1, 2, 2] * 2
assert part.tolist() == [2 * (rank + 1)] * 2
assert came.tolist() == [1, 1, 2, 2]
try:
    dist.all_reduce(distribute_tensor(torch.ones(4), init_device_mesh("cpu", (2,)), [Shard(0)]))
except NotImplementedError as error:
    assert "give its to_local()" in str(error)
else:
    raise AssertionError("a DTensor was reduced")
"""


def test_a_tensor_that_is_still_made_is_waited_for_and_a_distributed_one_is_refused(tmp_path):
    program = tmp_path / "under_way.py"
    program.write_text(UNDER_WAY)
    over_network([program], ranks=("ue0", "ue1"))


LAUNCHED = """
import os, subprocess, sys
import torch
import torch.distributed as dist
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
def work(start):
    dist.init_process_group("gloo")
    tensor = torch.tensor([start + dist.get_rank()])
    dist.all_reduce(tensor)
    dist.destroy_process_group()
    return tensor.item(), os.environ["RANK"]
if __name__ == "__main__":
    print(sys.argv[1:], work(5))
    config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=2, run_id="x", rdzv_backend="c10d")
    print(elastic_launch(config, work)(10))
    for starts in (
        lambda: subprocess.run(["torchrun", "--nproc-per-node", "2", "train.py"]),
        lambda: subprocess.run([sys.executable, "-u", "-m", "torch.distributed.run", "train.py"]),
        lambda: subprocess.run("cd /tmp && exec accelerate launch train.py", shell=True),
        lambda: os.system("OMP_NUM_THREADS=1 mpirun -n 2 python train.py"),
    ):
        try:
            print("started", starts())
        except Exception as error:
            print(str(error).split(", and")[0])
    print(subprocess.run(["echo", "torchrun"], capture_output=True, text=True).stdout.strip())
"""


def test_a_program_of_torchrun_runs_as_the_ranks_that_there_are_and_another_launcher_is_refused(tmp_path):
    program = tmp_path / "launched.py"
    program.write_text(LAUNCHED)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", program, "--lr", "3"]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        over_network(command, ranks=("ue0", "ue1"))
    said = [line.removeprefix("[1] ue1: ") for line in output.getvalue().splitlines() if line.startswith("[1]")]
    assert said == [
        "['--lr', '3'] (11, '1')",
        "{0: (21, '0'), 1: (21, '1')}",
        *(
            f"the program starts its ranks by {launcher}"
            for launcher in ("torchrun", "torch.distributed.run", "accelerate launch", "mpirun")
        ),
        "torchrun",
    ]
    command[3] = "3"
    with pytest.raises(RankFailed, match="a launch of 3 processes in a run of 2 ranks"):
        over_network(command, ranks=("ue0", "ue1"))
