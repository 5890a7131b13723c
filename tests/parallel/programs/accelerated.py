# SPDX-License-Identifier: GPL-2.0-only
"""accelerate as its users call it: schedules, clipping, metrics, states, uneven data."""

import tempfile

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import broadcast_object_list, gather_object, reduce, set_seed
from torch.utils.data import DataLoader, TensorDataset


def train(what, **given):
    set_seed(3)
    accelerator = Accelerator(cpu=True, **given)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).double()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 / (1 + step))
    rows = torch.arange(6 * 22, dtype=torch.float64).reshape(22, 6) / 100  # not a multiple of ranks and batches
    data = DataLoader(TensorDataset(rows, rows.sum(1, keepdim=True)), batch_size=2, shuffle=True)
    model, optimiser, data, schedule = accelerator.prepare(model, optimiser, data, schedule)
    for inputs, target in data:
        with accelerator.accumulate(model):
            loss = torch.nn.functional.mse_loss(model(inputs), target)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    model.eval()
    with torch.no_grad():
        found = [accelerator.gather_for_metrics((model(inputs), target)) for inputs, target in data]
    print(what, sum(each[0].sum().item() for each in found), sum(len(each[0]) for each in found))
    whole = accelerator.get_state_dict(model)
    print(what, {name: value.double().sum().item() for name, value in (whole or {}).items()})
    folder = broadcast_object_list([tempfile.mkdtemp() if accelerator.is_main_process else None])[0]
    accelerator.save_state(folder)
    accelerator.wait_for_everyone()
    accelerator.load_state(folder)
    print(what, gather_object([accelerator.process_index]), reduce(torch.ones(1), "mean").item())
    padded = accelerator.pad_across_processes(torch.ones(accelerator.process_index + 1))
    print(what, padded.tolist(), accelerator.split_between_processes(list(range(7))).__enter__())
    accelerator.free_memory()


train("data parallel", gradient_accumulation_steps=2)
dist.destroy_process_group()
for state in (AcceleratorState, GradientState, PartialState):  # for programs after this one
    state._reset_state()
