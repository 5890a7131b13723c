# SPDX-License-Identifier: GPL-2.0-only
"""Part exits, with trained weights: temperatures from half of the samples, answers that leave early on the rest."""

from __future__ import annotations

import torch

from edgelam.modalities.trained import one_thread
from edgelam.models.nested.confidence import calibration_error, leave_early, temperature
from edgelam.runs import RunFolder

from .config import Config
from .models import TRAINED, held_out, trained

EXITS = {
    "model": str, "threshold": float, "accuracy": float, "layers": float, "error_before": float, "error_after": float,
}  # fmt: skip
"""One row a threshold. layers: mean depth at which samples left; error_before, error_after: expected calibration error,
mean over exits, without and with temperatures."""
THRESHOLDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
BATCH = 50


@torch.no_grad()
def run(config: Config, folder: RunFolder) -> None:
    """Measure all thresholds."""
    network = trained(config.model)
    inputs, mask, labels = held_out(config.model, config.samples)
    with one_thread():
        parts = [
            network(inputs[at : at + BATCH], None if mask is None else mask[at : at + BATCH])
            for at in range(0, len(labels), BATCH)
        ]
    logits = {depth: torch.cat([part[depth] for part in parts]) for depth in network.shape.exits}
    half = len(labels) // 2
    chosen = {depth: temperature(mine[:half], labels[:half]) for depth, mine in logits.items()}
    rest = {depth: mine[half:] for depth, mine in logits.items()}
    errors = [
        sum(calibration_error((mine / t).softmax(dim=1), labels[half:]) for mine, t in pairs) / len(rest)
        for pairs in ([(mine, 1.0) for mine in rest.values()], [(mine, chosen[depth]) for depth, mine in rest.items()])
    ]
    for threshold in THRESHOLDS:
        answers, depths = leave_early(rest, chosen, threshold)
        folder.table("exits", EXITS).append(
            {"model": TRAINED[config.model], "threshold": threshold,
             "accuracy": float((answers == labels[half:]).double().mean()), "layers": float(depths.double().mean()),
             "error_before": errors[0], "error_after": errors[1]}
        )  # fmt: skip
