# SPDX-License-Identifier: GPL-2.0-only
"""A device whose uplink is too slow for its batch, over real sockets: cut off in the middle of every transfer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgelam import cosim
from edgelam.federated import DeviceRoundRecord, Outcome, RoundRecord, SplitFedFTSettings, prepare, split_fedft
from edgelam.federated.samples import Shard
from edgelam.models import LoraSettings

ROUNDS = 6
SIZES = (2, 3, 20)
"""Samples a batch: the last device's embedding takes 0.3 s on a link of 200 kb/s, the others' less than 0.1 s."""


@pytest.mark.parametrize("stragglers", ["drop", "wait"])
def test_a_slow_uplink(stragglers: str, tiny_bert: Path, token_file: Path) -> None:
    settings = SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=ROUNDS, batch_size=20,
        lora=LoraSettings(rank=2), evaluations=1, encoding="fp32", round_deadline_s=0.3, stragglers=stragglers,
        head_averaging="none",
    )  # fmt: skip
    setup = prepare(settings, seed=1)
    shards = tuple(
        Shard(shard.samples, batch_size=size, accumulation=1, seed=(9, device))
        for device, (shard, size) in enumerate(zip(setup.shards, SIZES, strict=True))
    )
    setup = replace(setup, shards=shards)
    federation = split_fedft.build(setup, ["ue0", "ue1", "ue2"])
    records: list[Any] = []

    async def main(sim: cosim.Simulation) -> Outcome:
        return await split_fedft.run(sim, setup, records.append, federation)

    cosim.simulate(main, "wired-star", options={"numUe": 3, "rate": "200kbps"}, seed=1)
    rounds = [record for record in records if isinstance(record, RoundRecord)]
    rows = [record for record in records if isinstance(record, DeviceRoundRecord)]
    assert len(rounds) == ROUNDS
    assert len(rows) == 3 * ROUNDS
    if stragglers == "wait":
        assert {(record.num_samples, record.num_dropped, record.num_late) for record in rounds} == {(25, 0, 1)}
        assert all(record.end_s - record.start_s > 0.3 for record in rounds)
        return
    assert {(record.num_samples, record.num_dropped, record.num_late) for record in rounds} == {(5, 1, 0)}
    assert {row.device for row in rows if not row.counted} == {"ue2"}
    assert all(record.end_s - record.start_s < 0.3 for record in rounds)

    alone = replace(
        setup, settings=replace(settings, num_devices=2, round_deadline_s=None, stragglers="wait"), shards=shards[:2]
    )
    two = split_fedft.build(alone, ["ue0", "ue1"])

    async def main_two(sim: cosim.Simulation) -> Outcome:
        return await split_fedft.run(sim, alone, split=two)

    cosim.simulate(main_two, nodes={"ue0": "ue", "ue1": "ue", "edge0": "edge"})
    for name, weight in two.server.encoder.lora.items():
        torch.testing.assert_close(federation.server.encoder.lora[name], weight, rtol=0, atol=1e-6)
