# SPDX-License-Identifier: GPL-2.0-only
"""Training with accelerate and with the Trainer of transformers."""

import os
import tempfile

import torch
import torch.distributed as dist
import transformers
from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset, TensorDataset

os.environ["ACCELERATE_USE_CPU"] = "true"
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
torch.manual_seed(8)
model = torch.nn.Linear(4, 2).double()
optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
data = DataLoader(TensorDataset(torch.arange(96, dtype=torch.float64).reshape(24, 4) / 96), batch_size=2)
model, optimiser, data = accelerator.prepare(model, optimiser, data)
for (batch,) in data:
    with accelerator.accumulate(model):
        loss = model(batch).square().mean()
        accelerator.backward(loss)
        optimiser.step()
        optimiser.zero_grad()
        print("accelerate", accelerator.gather(loss.detach().reshape(1)).tolist())
print(accelerator.reduce(torch.ones(1), "sum").item(), accelerator.num_processes)
accelerator.wait_for_everyone()


class Words(Dataset):
    """Sequences of numbers."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        words = torch.arange(index, index + 6) % 20
        return {"input_ids": words, "labels": words, "attention_mask": torch.ones(6, dtype=torch.int64)}


torch.manual_seed(9)
config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=1, n_head=2)
network = transformers.GPT2LMHeadModel(config).double()
arguments = transformers.TrainingArguments(
    tempfile.mkdtemp(), num_train_epochs=1, per_device_train_batch_size=2, use_cpu=True, report_to=[], save_steps=2,
    logging_steps=1, disable_tqdm=True, eval_strategy="epoch", seed=3,
)  # fmt: skip
trainer = transformers.Trainer(network, arguments, train_dataset=Words(), eval_dataset=Words())
trainer.remove_callback(transformers.trainer_callback.PrinterCallback)  # it prints how fast this machine is
trainer.train()
for entry in trainer.state.log_history:
    print({key: value for key, value in entry.items() if key in ("loss", "eval_loss", "epoch", "grad_norm", "step")})
if dist.is_initialized():
    dist.destroy_process_group()
