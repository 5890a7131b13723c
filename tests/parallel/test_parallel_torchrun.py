# SPDX-License-Identifier: GPL-2.0-only
"""`edgelam torchrun`: one run folder with everything, and time that computing and communication take."""

import json

import pytest

from edgelam.commands.main import main
from edgelam.report.trace_events import write_trace
from edgelam.runs.folders.load import load_run

STEP = """
import sys, time
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
dist.init_process_group()
torch.manual_seed(0)
network = torch.nn.Sequential(*(torch.nn.Linear(96, 96) for _ in range(4)))
waits = sys.argv[1] == "wait"
model = network if waits else DistributedDataParallel(network, bucket_cap_mb=0.04)
batch = torch.randn(4096, 96)
for step in range(2):
    network.zero_grad()
    dist.barrier()
    began = time.time()
    model(batch).square().mean().backward()
    if waits:
        for parameter in reversed(list(network.parameters())):
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
    took = time.time() - began
if dist.get_rank() == 0:
    print("took", took, sum(parameter.grad.double().abs().sum().item() for parameter in network.parameters()))
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """For a program that overlaps and one that waits: seconds of a step, a sum of its gradient, the run."""
    folder = tmp_path_factory.mktemp("torchrun")
    program = folder / "step.py"
    program.write_text(STEP)
    found = {}
    for how in ("overlap", "wait"):
        options = ["--scenario", "wired-star", "--options", "rate=50Mbps", "--devices", "*=jetson-nano"]
        ours = ["torchrun", "--ranks", "ue0,ue1", *options, "--clock", "simulated", "--out", str(folder / how)]
        with pytest.MonkeyPatch.context() as patch:
            said = []
            patch.setattr("builtins.print", lambda *words, said=said, **_: said.append(" ".join(map(str, words))))
            assert main([*ours, str(program), how]) == 0
        took, gradient = map(float, next(line for line in said if "took" in line).split("took ")[1].split())
        run = load_run(next((folder / how / "torchrun").iterdir()))
        found[how] = took, gradient, run
    return found


def test_a_step_of_ddp_overlaps_and_has_the_gradient_of_one_that_waits(steps):
    overlapped, waiting = steps["overlap"], steps["wait"]
    assert overlapped[0] < 0.9 * waiting[0]
    assert overlapped[1] == pytest.approx(waiting[1], rel=1e-5)


def test_collectives_are_rows_between_the_transfers_and_computations_of_one_folder(steps):
    run = steps["overlap"][2]
    collectives, transfers, compute = run["collectives"], run["transfers"], run["compute"]
    assert set(collectives["operation"]) == {"all_gather", "broadcast", "all_reduce", "barrier"}
    assert (collectives["end_s"] >= collectives["last_start_s"]).all()
    assert (collectives["last_start_s"] >= collectives["start_s"]).all()
    assert set(collectives["slowest"]) <= {"ue0", "ue1"}
    assert (collectives["ranks"] == 2).all()
    reductions = collectives[collectives["operation"] == "all_reduce"]
    parameters = 4 * (96 * 96 + 96) * 4
    assert reductions["size_bytes"].sum() == 2 * parameters
    backward = compute[(compute["label"] == "backward") & (compute["node"] == "ue0")]
    assert any(
        ((backward["start_s"] < end) & (backward["end_s"] > start)).any()
        for start, end in zip(reductions["start_s"], reductions["end_s"], strict=True)
    )
    assert set(compute["label"]) >= {"forward", "backward"}
    assert transfers["size_bytes"].sum() > 0


def test_plot_draws_the_collectives(steps, capsys):
    path = steps["overlap"][2].path
    assert main(["plot", str(path)]) == 0
    said = capsys.readouterr().out
    assert "all_reduce" in said
    assert (path / "collectives.svg").stat().st_size > 1000
    assert (path / "collectives.csv").read_text().splitlines()[0].endswith("took_s")


def test_collectives_are_bars_of_report_and_trace(steps, tmp_path):
    run = steps["overlap"][2]
    assert "collectives of group 0" in (run.path / "report.html").read_text()
    write_trace(run.path, tmp_path / "trace.json")
    bars = [event for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if "cat" in event]
    assert sum(bar["cat"] == "collective" for bar in bars) == len(run["collectives"])
    assert any(bar["name"].startswith("all_reduce by ring, ") for bar in bars)


def test_a_run_of_ranks_is_not_replayed_and_says_what_to_run(steps, capsys):
    assert main(["replay", str(steps["wait"][2].path), "--scenario", "wired-star"]) == 2
    said = capsys.readouterr().err
    assert "each rank is a process of its own" in said
    assert "edgelam torchrun --scenario ... --ranks ue0 ue1" in said
    assert "step.py wait" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--resume"], "no --resume: a simulated network begins at time 0"),
        (["--resume=last"], "no --resume: a simulated network begins at time 0"),
        (["--nproc_per_node", "4"], "no --nproc_per_node: ranks are named by their nodes"),
        (["--nproc-per-node=4"], "no --nproc-per-node: ranks are named by their nodes"),
        (["--standalone"], "no --standalone: leave it out: ranks find one another"),
        (["--max-restarts", "3"], "no --max-restarts: leave it out: a rank that fails ends the run"),
    ],
)
def test_options_of_torchrun_that_mean_nothing_here_are_refused_by_name(tmp_path, capsys, options, said):
    program = tmp_path / "train.py"
    program.write_text("raise AssertionError\n")
    assert main(["torchrun", *options, "--ranks", "ue0,ue1", str(program), "--resume"]) == 2
    assert said in capsys.readouterr().err
