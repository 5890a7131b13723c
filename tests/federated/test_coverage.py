# SPDX-License-Identifier: GPL-2.0-only
"""A device drives out of its cell's coverage in the middle of a round, over ns-3: who goes on, and who is named."""

import asyncio

import pytest

from edgelam import cosim
from edgelam.errors import TransferError
from edgelam.federated import DeviceRoundRecord, RoundRecord, SplitFedFTSettings, prepare, split_fedft
from edgelam.models import LoraSettings

LEAVES_S, SPEED, NEAR_M, FAR_M = 0.2, 150.0, 40.0, 220.0
PLACES = {0: (30.0, 10.0), 1: (30.0, -10.0), 2: (NEAR_M, 0.0)}
BACK_S = LEAVES_S + 2 * (FAR_M - NEAR_M) / SPEED
# UEs of little power: one at FAR_M is out of range
CELL = {"numUe": 3, "maxDistance": 400, "bandwidth": 5, "uePower": -20, "los": "Never"}


def ways(folder, *, back):
    """Write where UEs go: ue2 drives away, and comes back or goes on."""
    lines = [f"$node_({ue}) set X_ {x}\n$node_({ue}) set Y_ {y}\n" for ue, (x, y) in PLACES.items()]
    turns_s = LEAVES_S + (FAR_M - NEAR_M) / SPEED
    for at_s, to_m in ((LEAVES_S, FAR_M), (turns_s, NEAR_M if back else 390)):
        lines.append(f'$ns_ at {at_s} "$node_(2) setdest {to_m} 0 {SPEED}"\n')
    (folder / "ways").write_text("".join(lines))
    return str(folder / "ways")


def learn(ways, backbone, task, options=None, **changes):
    """Learn in the cell; return records, and times at which the link of ue2 was out of sync or failed."""
    settings = SplitFedFTSettings(
        task=str(task), backbone=str(backbone), num_devices=3, partition="iid", batch_size=8,
        lora=LoraSettings(rank=2), evaluations=1, **changes,
    )  # fmt: skip
    records, lost_s = [], []

    async def main(sim):
        async def watch():
            while True:
                if (await sim.observable("ue_radio_link").read()).value[2]:
                    lost_s.append(sim.now_s)
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        try:
            return await split_fedft.run(sim, prepare(settings, 1), records.append)
        finally:
            watching.cancel()

    options = CELL | {"mobilityFile": ways} | (options or {})
    cosim.simulate(main, "nr-urban-micro", options=options, seed=1)
    return records, lost_s


def test_rounds_go_on_without_a_device_out_of_coverage_and_with_it_again(tmp_path, tiny_bert, token_file):
    records, lost_s = learn(
        ways(tmp_path, back=True), tiny_bert, token_file, rounds=18, round_deadline_s=0.3, stragglers="drop"
    )
    rounds = [each for each in records if isinstance(each, RoundRecord)]
    counted = {
        name: [each.counted for each in records if isinstance(each, DeviceRoundRecord) and each.device == name]
        for name in ("ue0", "ue1", "ue2")
    }
    assert counted["ue0"] == counted["ue1"] == [True] * 18
    away = [number for number, has in enumerate(counted["ue2"]) if not has]
    assert away == list(range(away[0], away[-1] + 1)), "it is away once"
    assert 0 < away[0] < away[-1] < 17, "it was there before, and is there again"
    assert [each.num_dropped for each in rounds] == [int(number in away) for number in range(18)]
    assert any(rounds[away[0]].start_s < at_s < rounds[away[-1]].end_s for at_s in lost_s)
    assert rounds[away[-1]].end_s < BACK_S + 1.0


GONE = {"uePower": -30, "edgelam::TransferApplication::DataRetries": 3}


def test_rounds_go_on_without_a_device_that_stays_away(tmp_path, tiny_bert, token_file):
    """Its connections are given up, its messages of the end do not arrive, and the run ends nevertheless."""
    records, lost_s = learn(
        ways(tmp_path, back=False), tiny_bert, token_file, GONE, rounds=6, round_deadline_s=0.3, stragglers="drop"
    )
    rounds = [each for each in records if isinstance(each, RoundRecord)]
    assert [each.num_dropped for each in rounds] == [0, 0, 1, 1, 1, 1]
    assert max(lost_s) > rounds[-1].end_s


def test_waiting_for_a_device_that_stays_away_ends_with_its_name(tmp_path, tiny_bert, token_file):
    with pytest.raises(TransferError, match="ue2"):
        learn(ways(tmp_path, back=False), tiny_bert, token_file, GONE, rounds=20)
