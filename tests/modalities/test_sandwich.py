# SPDX-License-Identifier: GPL-2.0-only
"""Training of nested models: all sizes learn, and a training that was ended goes on to the same weights."""

import sys
from pathlib import Path

import pytest
import torch

from edgelam.modalities.bench import Bench
from edgelam.modalities.sandwich import Training, fit, rounding

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import small_nested

STEPS = Training(steps=40, checkpoint=10, rate=3e-3, exit_rate=1e-2, group=16)


def batch_of(generator):
    """Sequences whose class is the first token's remainder."""
    ids = torch.randint(small_nested.VOCABULARY, (24, 4), generator=generator)
    return ids, None, ids[:, 0] % 2


def trained(folder, say=lambda line: None):
    nested = small_nested.text(layers=2, exits=(1, 2), shares=((2, 24), (4, 48)))
    return fit(nested, batch_of, STEPS, Bench(None, seed=1, folder=folder, say=say))


@torch.no_grad()
def losses(nested):
    ids, _, labels = batch_of(torch.Generator().manual_seed(5))
    return {
        (width, depth): float(torch.nn.functional.cross_entropy(logits, labels))
        for width in (0, 1) for depth, logits in nested(ids, width=width, change=rounding(4, 16)).items()
    }  # fmt: skip


def test_all_sizes_learn_with_few_bits_and_a_killed_training_goes_on(tmp_path):
    whole = trained(None)
    begin = losses(small_nested.text(layers=2, exits=(1, 2), shares=((2, 24), (4, 48))))
    end = losses(whole)
    assert all(end[size] < 0.8 * begin[size] for size in begin)

    def stop(line):
        if "step 30" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, stop)
    assert [path.name for path in tmp_path.iterdir()] == ["step-20.safetensors"]
    said = []
    again = trained(tmp_path, said.append)
    assert [line.split(":")[0] for line in said] == ["step 30 of 40", "step 40 of 40"]
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    assert torch.equal(again.parts["stem"]["table"], small_nested.text(layers=2, exits=(1, 2),
                       shares=((2, 24), (4, 48))).parts["stem"]["table"])  # fmt: skip
