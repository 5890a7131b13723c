# SPDX-License-Identifier: GPL-2.0-only
"""FedBuff: by hand, against fed-lora where both are the same, and with devices that are slow, late, or gone."""

import asyncio
from dataclasses import replace

import pytest
import torch

from edgelam import cosim
from edgelam.errors import BatteryEmpty, ConfigurationError
from edgelam.federated import (
    METHODS,
    EvaluationRecord,
    RoundRecord,
    SplitFedFTSettings,
    StalenessRecord,
    fedbuff,
    prepare,
)
from edgelam.federated.fedbuff import Buffer
from edgelam.models import LoraSettings


@pytest.fixture
def base(tiny_bert, token_file):
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=24, local_steps=4,
        lora=LoraSettings(rank=2), evaluations=2, weight_encoding="fp32",
    )  # fmt: skip


def ran(settings, method="fedbuff", profiles=None, **network):
    records = []
    setup = prepare(settings, 1)

    async def main(sim):
        return await METHODS[method](sim, setup, records.append)

    names = {f"ue{k}": "ue" for k in range(settings.num_devices)} | {"edge0": "edge"}
    outcome = cosim.simulate(main, seed=1, devices=profiles or {}, **({"nodes": names} | network))
    return outcome, records


def of(records, kind):
    return [record for record in records if isinstance(record, kind)]


def test_a_version_is_the_weighted_sum_of_what_waited():
    buffer = Buffer({"adapter": {"a": torch.tensor([1.0, 2.0])}}, size=2, exponent=0.5)
    assert buffer.add({"adapter": {"a": torch.tensor([4.0, 0.0])}}, 0) == (0, 1.0)
    assert not buffer.full
    assert buffer.add({"adapter": {"a": torch.tensor([0.0, 2.0])}}, 0) == (0, 1.0)
    buffer.step()
    assert buffer.weights["adapter"]["a"].tolist() == [3.0, 3.0]
    buffer.version = 4
    assert buffer.add({"adapter": {"a": torch.tensor([2.0, 2.0])}}, 1) == (3, 0.5)
    buffer.step()
    assert buffer.weights["adapter"]["a"].tolist() == [4.0, 4.0]


def test_one_device_learns_as_with_fed_lora(base):
    one = replace(base, num_devices=1, buffer=1, head_averaging="server")
    ours, records = ran(one)
    theirs, other = ran(one, "fed-lora")
    assert ours.accuracy == theirs.accuracy
    assert ours.loss == pytest.approx(theirs.loss, abs=1e-4)
    assert ours.num_samples == theirs.num_samples
    assert [r.loss for r in of(records, RoundRecord)] == pytest.approx(
        [r.loss for r in of(other, RoundRecord)], abs=1e-4
    )
    assert {row.staleness for row in of(records, StalenessRecord)} == {0}


@pytest.mark.parametrize("buffer", [1, 2, 4])
def test_fast_devices_give_more_and_staleness_is_what_the_log_says(buffer, base):
    profiles = {"ue0": "jetson-orin", "ue1": "jetson-orin", "ue2": "sensor"}
    outcome, records = ran(replace(base, buffer=buffer), profiles=profiles, scenario="wired-star", nodes=None,
                           options={"numUe": 3})  # fmt: skip
    rows = of(records, StalenessRecord)
    assert len(rows) == 3 * 6
    counts = [sum(row.device == name for row in rows) for name in ("ue0", "ue1", "ue2")]
    assert counts[0] > counts[2]
    assert [row.version for row in rows] == [k // buffer for k in range(18)]
    got = {}
    for row in rows:  # a device gets the version that there is after its update
        assert row.staleness == row.version - got.get(row.device, 0)
        assert row.weight == pytest.approx((1 + row.staleness) ** -0.5)
        got[row.device] = (row.update + 1) // buffer
    assert len(of(records, RoundRecord)) == -(-18 // buffer)
    assert sum(r.head == "average" for r in of(records, EvaluationRecord)) == 2
    assert outcome.loss < 1.0


def test_without_waiting_it_takes_less_time_than_in_rounds(base):
    profiles = {"ue0": "jetson-orin", "ue1": "jetson-orin", "ue2": "sensor"}
    network = {"profiles": profiles, "scenario": "wired-star", "nodes": None, "options": {"numUe": 3}}
    ours, _ = ran(base, **network)
    theirs, _ = ran(base, "fed-lora", **network)
    assert ours.num_samples == theirs.num_samples
    assert ours.time_s < theirs.time_s


def test_a_device_whose_battery_is_empty_is_left_out_or_ends_the_run(base):
    profiles = {"ue2": "sensor,battery_j=0.03", "ue*": "jetson-orin"}
    with pytest.raises(BatteryEmpty, match="updates of others go on"):
        ran(base, profiles=profiles, scenario="wired-star", nodes=None, options={"numUe": 3})
    outcome, records = ran(replace(base, stragglers="drop", round_deadline_s=0.5), profiles=profiles,
                           scenario="wired-star", nodes=None, options={"numUe": 3})  # fmt: skip
    assert len(of(records, StalenessRecord)) == 18
    assert outcome.loss < 1.0


def test_a_device_that_comes_back_gives_updates_again(base, monkeypatch):
    """ue2 does nothing for 2 s, which is more than three deadlines and a pause."""
    work = fedbuff.device

    async def late(link, learner, setup, *, index):
        if index == 2:
            await asyncio.sleep(2.0)
        await work(link, learner, setup, index=index)

    monkeypatch.setattr(fedbuff, "device", late)
    profiles = {"ue*": "sensor"}
    settings = replace(base, rounds=400, stragglers="drop", round_deadline_s=0.3)
    _, records = ran(settings, profiles=profiles, scenario="wired-star", nodes=None, options={"numUe": 3})
    rows = of(records, StalenessRecord)
    assert len(rows) == 300
    own = [row.time_s for row in rows if row.device == "ue2"]
    assert own
    assert min(own) > 2.0
    assert rows[-1].time_s > 2.5, "the run is long enough to show it"


def test_if_nobody_answers_in_time_the_run_ends_and_says_so(base):
    with pytest.raises(ConfigurationError, match="0 of 18 updates came in"):
        ran(replace(base, stragglers="drop", round_deadline_s=1e-5), scenario="wired-star", nodes=None,
            options={"numUe": 3})  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"buffer": 0}, "at least 1"),
        ({"staleness_exponent": -1.0}, "0 or more"),
        ({"aggregation": "flora"}, "legal is fedit"),
        ({"participation": 0.5}, "legal is 1"),
    ],
)
def test_what_is_not_legal_is_refused(changes, text, base):
    with pytest.raises(ConfigurationError, match=text):
        ran(replace(base, **changes))
