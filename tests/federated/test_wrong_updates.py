# SPDX-License-Identifier: GPL-2.0-only
"""Federated LoRA in which devices send wrong updates: an average is spoilt, a robust rule goes on."""

from dataclasses import replace

import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError, Diverged
from edgelam.federated import METHODS, RoundRecord, SplitFedFTSettings, UpdateRecord, prepare
from edgelam.learning.robust import RobustSettings
from edgelam.models import LoraSettings


@pytest.fixture
def base(tiny_bert, token_file):
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=5, partition="iid", rounds=24, local_steps=4,
        lora=LoraSettings(rank=2), evaluations=1, weight_encoding="fp32",
    )  # fmt: skip


def ran(settings):
    records = []
    setup = prepare(settings, 1)

    async def main(sim):
        return await METHODS["fed-lora"](sim, setup, records.append)

    outcome = cosim.simulate(main, nodes={f"ue{k}": "ue" for k in range(5)} | {"edge0": "edge"}, seed=1)
    return outcome, records


@pytest.mark.parametrize("rule", ["median", "krum", "norm-bound"])
def test_a_poisoned_update_spoils_the_average_and_not_the_robust_rule(rule, base):
    clean, _ = ran(base)
    wrong = RobustSettings(poisoned=1, poison="sign-flip", poison_scale=50.0)
    spoilt, _ = ran(replace(base, robust=wrong))
    held, records = ran(replace(base, robust=replace(wrong, rule=rule)))
    assert held.loss < spoilt.loss
    assert held.loss < clean.loss + 0.3
    rows = [record for record in records if isinstance(record, UpdateRecord)]
    assert len(rows) == 6 * 5
    if rule == "krum":
        assert not any(row.kept for row in rows if row.device == "ue4")


def test_nan_ends_an_average_and_is_left_out_by_a_robust_rule(base):
    nan = RobustSettings(poisoned=1, poison="nan")
    with pytest.raises(Diverged, match="ue4 has sent in round 0"):
        ran(replace(base, robust=nan))
    outcome, records = ran(replace(base, robust=replace(nan, rule="median")))
    assert outcome.loss < 1.2
    assert {(row.device, row.finite) for row in records if isinstance(row, UpdateRecord)} == {
        *((f"ue{k}", True) for k in range(4)), ("ue4", False),
    }  # fmt: skip
    rounds = [record for record in records if isinstance(record, RoundRecord)]
    assert all(each.num_samples == 4 * 4 * 8 for each in rounds)


def test_all_wrong_leaves_the_weights_as_they_are(base):
    outcome, _ = ran(replace(base, rounds=8, robust=RobustSettings("median", poisoned=5, poison="nan")))
    assert outcome.loss == pytest.approx(1.0986, abs=1e-3)  # the head was never moved: three classes alike


def test_what_a_robust_rule_cannot_do_is_refused(base):
    for changes, text in (
        ({"aggregation": "flora"}, "legal are fedit, ffa-lora"),
        ({"num_devices": 4}, "legal are byzantine 0"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            replace(base, robust=RobustSettings("krum"), **changes)
