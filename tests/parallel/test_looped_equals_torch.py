# SPDX-License-Identifier: GPL-2.0-only
"""Looped tensor parallelism with equal widths against PyTorch's own tensor parallelism (DTensor) on the backend ns3."""

import functools
from typing import Any

import pytest
import torch
from looped_runs import batches, config, run

from edgelam import cosim
from edgelam.parallel.job import Job
from edgelam.parallel.launch import launch
from edgelam.parallel.looped_split import equal_split

STEPS = 4


def torchs_own(steps: int) -> tuple[list[float], dict[str, torch.Tensor]]:
    """What each rank does: the model of one device, its block parallelised by PyTorch."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    from edgelam.parallel.looped_model import LoopedModel, train_alone

    torch.set_num_threads(1)
    dist.init_process_group()
    settings = config(loops=2)
    model = LoopedModel(settings, seed=1)
    columns = {name: ColwiseParallel() for name in ("query", "key", "value", "inner")}
    rows = {name: RowwiseParallel() for name in ("output", "outer")}
    parallelize_module(model, init_device_mesh("cpu", (dist.get_world_size(),)), {**columns, **rows})
    _, losses = train_alone(settings, batches, steps, model=model)
    state = {
        name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        for name, tensor in model.state_dict().items()
    }
    dist.destroy_process_group()
    return losses, {name: tensor.detach() for name, tensor in state.items()}


def test_equal_widths_compute_what_torchs_tensor_parallelism_computes() -> None:
    simulate = functools.partial(cosim.simulate, scenario="wired-star", options={"numUe": 2, "rate": "1Gbps"})
    crossed: list[Any] = []
    found = launch(torchs_own, STEPS, job=Job(("ue0", "ue1")), simulate=simulate, on_record=crossed.append)
    assert sum(record.size_bytes for record in crossed if isinstance(record, cosim.TransferRecord)) > 500_000
    settings = config(loops=2)
    mine = run(settings, STEPS, split=equal_split(settings, ["ue0", "ue1"]), num_ue=2).trained
    for losses, weights in found:
        assert mine.losses == pytest.approx(losses, abs=1e-10)
        assert weights.keys() == mine.weights.keys()
        for name, weight in weights.items():
            torch.testing.assert_close(mine.weights[name], weight, rtol=0, atol=1e-10)
