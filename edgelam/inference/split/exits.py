# SPDX-License-Identifier: GPL-2.0-only
"""Early exits whose confidence is calibrated, and what they are worth on samples that were not trained on.

Each exit has a temperature (`models.nested.confidence`). For a confidence, an input that is at least so sure is
answered at the exit, and all others go on to the end of the model.

Shape suffixes: B batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.inference.split.chain import Chain
from edgelam.models.cuts import Cuttable, State
from edgelam.models.nested.confidence import temperature


class CalibratedExits:
    """The exits of a model that can be cut."""

    def __init__(self, cuts: Cuttable, temperatures: Mapping[int, float]) -> None:
        """temperatures: cut -> temperature of the exit there."""
        self.cuts, self.temperatures = cuts, dict(temperatures)

    @torch.no_grad()
    def answer(self, state: State, cut: int) -> tuple[Tensor, Tensor]:
        """Return the likeliest classes int64 [B] for what crosses a cut, and their confidence float64 [B]."""
        probabilities = (self.cuts.leave(state, cut).double() / self.temperatures[cut]).softmax(dim=-1)
        confidence_B, found_B = probabilities.max(dim=-1)
        return found_B, confidence_B


@torch.no_grad()
def calibrated(cuts: Cuttable, inputs: Sequence[State], labels: Sequence[int]) -> CalibratedExits:
    """Return the exits with temperatures of the least cross-entropy on samples of batch 1 that were not trained on.

    Raises ConfigurationError for a model without exits, or without samples.
    """
    if not cuts.exits or not inputs:
        raise ConfigurationError(f"{len(cuts.exits)} exits and {len(inputs)} samples; at least one of each is needed")
    logits: dict[int, list[Tensor]] = {cut: [] for cut in cuts.exits}
    for given in inputs:
        state, at = dict(given), 0
        for cut in cuts.exits:
            state, at = cuts.run(state, at, cut), cut
            logits[cut].append(cuts.leave(state, cut))
    right = torch.tensor(list(labels))
    return CalibratedExits(cuts, {cut: temperature(torch.cat(rows), right) for cut, rows in logits.items()})


def with_leaving(
    chain: Chain, exits: CalibratedExits, states: Mapping[int, Sequence[State]], confidences: Sequence[float]
) -> Chain:
    """Return the chain with the share of inputs that leave at each exit, for each confidence.

    states: cut -> what crosses it, of samples held out. Raises ConfigurationError for a confidence outside 0 to 1.
    """
    if any(not 0 <= confidence <= 1 for confidence in confidences):
        raise ConfigurationError(f"confidences are {list(confidences)}; legal are 0 to 1")
    found = {}
    for cut, there in chain.exits.items():
        sure = torch.cat([exits.answer(state, cut)[1] for state in states[cut]])
        leaving = {confidence: float((sure >= confidence).double().mean()) for confidence in confidences}
        found[cut] = dataclasses.replace(there, leaving=leaving)
    return dataclasses.replace(chain, exits=found)
