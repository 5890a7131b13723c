# SPDX-License-Identifier: GPL-2.0-only
"""MiniLM as a nested model on the comments of ns-3: 3 depths and 3 widths, trained from its pre-trained weights."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from edgelam.data.task import Examples, load_task
from edgelam.modalities.bench import Bench
from edgelam.modalities.sandwich import Batch, Training
from edgelam.modalities.sandwich import fit as train
from edgelam.models.backbone import load_backbone
from edgelam.models.nested import Nested, of_bert
from edgelam.random_streams import derive_seed, from_numbers

TRAINING = Training(steps=160, checkpoint=20)
BATCH, TOKENS = 16, 32
EXITS, SHARES = (2, 4, 6), ((4, 512), (8, 1024), (12, 1536))


def empty() -> Nested:
    """Return a network of the right shape."""
    return of_bert(load_backbone("minilm").model, load_task("ns3-comments").num_classes, EXITS, SHARES, TOKENS)


def inputs_of(examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
    """Return token ids int64 [texts, 32], which of them are no padding, and labels."""
    found = _tokenizer()(
        list(examples.inputs), padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
    )
    return found["input_ids"], found["attention_mask"].bool(), torch.from_numpy(examples.labels)


def held_out(count: int, seed: int = 0) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return inputs, mask and labels of so many drawn comments of the test set."""
    test = load_task("ns3-comments").test
    order = from_numbers(derive_seed(seed, "comments of the test set")).permutation(len(test))
    return inputs_of(test.subset(order[:count]))


def fit(bench: Bench) -> tuple[Nested, dict[str, float]]:
    """Train on the training set."""
    ids, mask, labels = inputs_of(load_task("ns3-comments").train)

    def batch_of(generator: torch.Generator) -> Batch:
        chosen = torch.randint(len(ids), (BATCH,), generator=generator)
        longest = int(mask[chosen].sum(dim=1).max())
        return ids[chosen, :longest], mask[chosen, :longest], labels[chosen]

    return train(empty(), batch_of, TRAINING, bench), {"training samples": len(ids), "steps": TRAINING.steps}


@functools.cache
def _tokenizer() -> Any:
    return load_backbone("minilm").tokenizer
