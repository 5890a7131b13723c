# SPDX-License-Identifier: GPL-2.0-only
"""fed-lora with devices that send wrong updates: what they send, and what the server makes of all updates.

The combinations are in edgelam/learning/robust. An update is what a device has sent minus what it had got, rounded as
it was sent: adapters and, if the server averages heads, the head, as one vector.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from edgelam import cosim
from edgelam.federated.records import Report, UpdateRecord
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.robust import COMBINATIONS, is_finite
from edgelam.learning.robust.settings import RobustSettings
from edgelam.random_streams import derive_seed, torch_generator

Weights = Mapping[str, Mapping[str, Tensor]]
"""Tensors under "adapter" and "head", then by name."""
PARTS = ("adapter", "head")


def poisoned(index: int, settings: SplitFedFTSettings) -> bool:
    """Whether a device sends wrong updates: the last ones do."""
    return index >= settings.num_devices - settings.robust.poisoned


def poison(sent: Weights, got: Weights, settings: RobustSettings, seed: int) -> dict[str, dict[str, Tensor]]:
    """Return what a wrong device sends in place of `sent`. seed: of the noise, another one in each round."""
    generator = torch_generator(derive_seed(seed, "poison"))
    found: dict[str, dict[str, Tensor]] = {}
    for part, tensors in sent.items():
        found[part] = {}
        for name, weight in tensors.items():
            before = got[part][name]
            if settings.poison == "nan":
                change = torch.full_like(weight, torch.nan)
            elif settings.poison == "noise":
                noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
                change = settings.poison_scale * noise.to(weight.dtype)
            else:
                change = -settings.poison_scale * (weight - before)
            found[part][name] = before + change
    return found


def combine(answers: Mapping[str, Weights], shared: Weights, settings: SplitFedFTSettings, *, round_number: int,
            method: str, report: Report) -> tuple[dict[str, dict[str, Tensor]], list[str]]:  # fmt: skip
    """Return what is shared next, and the devices whose updates are finite. shared: what the devices got."""
    before = _flat(cosim.decode(cosim.encode({part: dict(shared[part]) for part in PARTS if part in shared},
                                             settings.weight_encoding)))  # fmt: skip
    updates = {name: {key: w - before[key] for key, w in _flat(sent).items()} for name, sent in answers.items()}
    finite = [name for name, update in updates.items() if is_finite(update)]
    kept: list[int] = []
    after = before
    if finite:
        change, kept = COMBINATIONS[settings.robust.rule]([updates[name] for name in finite], settings.robust)
        after = {key: weight + change[key].to(weight.dtype) for key, weight in before.items()}
    used = {finite[k] for k in kept}
    for name, update in updates.items():
        norm = float(torch.stack([each.double().square().sum() for each in update.values()]).sum().sqrt())
        report(UpdateRecord(method, round_number, name, norm, name in finite, name in used))
    parts: dict[str, dict[str, Tensor]] = {}
    for key, weight in after.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = weight
    return parts, finite


def refuse_wrong(answers: Mapping[str, Weights], round_number: int) -> None:
    """Raise Diverged if an update is not finite: an average would spread it."""
    for name, sent in answers.items():
        for key, weight in _flat(sent).items():
            refuse_divergence(
                weight, f"{key} that device {name} has sent in round {round_number}",
                "a robust rule (--robust.rule median, krum, norm-bound) leaves such updates out",
            )  # fmt: skip


def _flat(weights: Weights) -> dict[str, Tensor]:
    return {f"{part}/{name}": w for part in PARTS if part in weights for name, w in weights[part].items()}
