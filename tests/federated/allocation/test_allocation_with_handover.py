# SPDX-License-Identifier: GPL-2.0-only
"""Devices that are handed over between two cells while they learn: rounds go on, and shares belong to cells."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from edgelam import cosim
from edgelam.federated import METHODS, AllocationRecord, DecisionRecord, RoundRecord, SplitFedFTSettings, prepare
from edgelam.federated.allocation import AllocationSettings
from edgelam.models import LoraSettings

ROUNDS = 24


@pytest.fixture(scope="module")
def drive(tiny_bert: Path, token_file: Path):
    """Records of a run, the handovers in it, and the resource blocks."""
    rule = AllocationSettings("drift-plus-penalty", v=1.0, deadline_s=0.5, cost_budget=2.5, weights="equal")
    settings = SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=ROUNDS, batch_size=24,
        lora=LoraSettings(rank=2), evaluations=1, encoding="fp64", allocation=rule,
    )  # fmt: skip
    records, seen = [], []

    async def main(sim):
        outcome = await METHODS["split-fedft"](sim, prepare(settings, 1), records.append)
        seen.extend((await sim.observable("handovers").read()).value)
        return outcome

    options = {"numUe": 3, "scheduler": "external", "bandwidth": 20, "sites": 3, "sectors": 1, "numEdge": 1,
               "speed": 100, "carSpeed": 100}  # fmt: skip
    outcome = cosim.simulate(main, "nr-urban-grid", options=options, seed=2)
    return outcome, records, seen


def test_rounds_go_on_through_handovers(drive):
    outcome, records, seen = drive
    assert len(seen) > 0, "nobody was handed over: the test shows nothing"
    rounds = [each for each in records if isinstance(each, RoundRecord)]
    assert [each.round for each in rounds] == list(range(ROUNDS))
    assert outcome.num_samples == sum(each.num_samples for each in rounds) > 0
    assert outcome.loss < np.log(3)


def test_shares_are_of_the_cell_in_which_a_device_is(drive):
    _, records, _ = drive
    shares, cells = defaultdict(float), defaultdict(set)
    for each in records:
        if isinstance(each, AllocationRecord):
            shares[each.round, each.cell] += each.share
            cells[each.device].add(each.cell)
    assert max(shares.values()) <= 1.0 + 1e-9
    assert max(len(each) for each in cells.values()) > 1, "a device's cell changes between decisions"
    assert {each.round for each in records if isinstance(each, DecisionRecord)} == set(range(ROUNDS))
