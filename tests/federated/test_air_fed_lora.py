# SPDX-License-Identifier: GPL-2.0-only
"""Federated LoRA over the air of a cell: what it takes, what it learns beside messages, how its noise is counted."""

from dataclasses import replace

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, AirRecord, SplitFedFTSettings, UserPrivacyRecord, prepare
from edgelam.federated.air_fed_lora import bounded_energies
from edgelam.learning.air_settings import AirSettings
from edgelam.learning.over_the_air import look
from edgelam.learning.privacy.user import UserPrivacySettings
from edgelam.models import LoraSettings

A_BLOCK = 156
CELL = {"numUe": 3, "speed": 0, "minDistance": 30, "maxDistance": 60, "los": "Always"}


@pytest.fixture
def base(tiny_bert, token_file):
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=8, local_steps=4,
        lora=LoraSettings(rank=2), evaluations=1, weight_encoding="fp32", installed=True,
        user_privacy=UserPrivacySettings(clip=5.0, secure=False),
    )  # fmt: skip


def ran(settings, method="air-fed-lora"):
    records, transfers = [], []
    setup = prepare(settings, 1)

    async def main(sim):
        return await METHODS[method](sim, setup, records.append)

    outcome = cosim.simulate(
        main, scenario="nr-urban-micro", options=CELL, seed=1, on_transfer=transfers.append
    )  # fmt: skip
    return outcome, records, transfers


def of(records, kind):
    return [record for record in records if isinstance(record, kind)]


def test_updates_cross_the_air_at_once_and_are_learnt_from(base):
    theirs, _, messages = ran(base, "dp-fed-lora")
    ours, records, transfers = ran(base)
    assert ours.loss == pytest.approx(theirs.loss, abs=0.02)
    update = next(each.size_bytes for each in messages if each.tag == "update")
    values = (update - 4) // 4
    assert {each.size_bytes for each in transfers if each.tag == "update"} == {4}, "it is ready"
    (size,) = {each.size_bytes for each in transfers if each.tag == "mean"}
    assert size == 4 + 4 * values
    rounds = of(records, AirRecord)
    assert [each.round for each in rounds] == [0, 1]
    for each in rounds:
        assert (values, each.elements) == (323, 17 * A_BLOCK)  # 162 symbols: the last group, of one block, and another
        assert each.error < 0.01 * each.signal
        assert each.error == pytest.approx(each.noise_error, rel=0.5) or each.silent > 0
        assert (each.noise_multiplier, each.added, each.added_error) == (0, 0, 0)
        assert 0 < each.supplied < 0.1
        assert each.start_s < each.end_s


def test_thermal_noise_counts_and_the_rest_is_added(base):
    private = replace(base, user_privacy=UserPrivacySettings(clip=0.5, epsilon=20.0, secure=False))
    _, records, _ = ran(private)
    (spent,) = of(records, UserPrivacyRecord)
    assert spent.epsilon_rdp == pytest.approx(20.0, rel=1e-3)
    assert (spent.releases, spent.method) == (2, "air-fed-lora")
    assert "not a gNB that tells devices apart" in spent.against
    stated = of(records, AirRecord)
    lower = of(ran(replace(private, air=AirSettings(least_noise_figure_db=2.0)))[1], AirRecord)
    for each, other in zip(stated, lower, strict=True):
        assert each.noise_multiplier == spent.noise_multiplier
        assert each.supplied**2 + each.added**2 == pytest.approx(each.noise_multiplier**2)
        assert 0 < each.supplied < 0.01 * each.noise_multiplier
        # 3 dB less of the noise counts
        assert 20 * np.log10(each.supplied / other.supplied) == pytest.approx(3.0, abs=1e-6)
        # in each of d values of the mean of 3 devices: (2 C z / 3)^2, wherever all of them send
        least = each.elements * 0 + (2 * 0.5 * each.added / 3) ** 2
        assert each.added_error > 0.9 * least


def test_power_is_enough_whatever_the_updates_are():
    rng = np.random.default_rng(3)
    gains = (1e-5 * (rng.normal(size=(3, 2, 4)) + 1j * rng.normal(size=(3, 2, 4)))).astype(np.complex64)
    sky = look(
        cosim.AnalogTransfer(
            "gnb0", ("ue0", "ue1", "ue2"), 0.002, 0.005, 1e-16, 5.0, 0.2, np.array([0.002, 0.002, 0.0045, 0.0045]),
            np.array([0, 1, 0, 1]), np.full(4, A_BLOCK), np.zeros(4), gains, gains,
        ), 0.05,
    )  # fmt: skip
    count, clip, std = 3 * A_BLOCK, 0.7, np.full(3 * A_BLOCK, 0.01)
    eta = sky.needed(bounded_energies(sky, count, clip, std))
    for place in range(0, count, 7):  # all of an update in one symbol
        energies = np.full((3, count), 2 * 0.01**2)
        energies[:, place] += clip**2
        assert sky.needed(energies) >= eta * (1 - 1e-9)


def test_networks_without_a_cell_are_refused(base):
    setup = prepare(base, 1)

    async def main(sim):
        return await METHODS["air-fed-lora"](sim, setup, lambda record: None)

    nodes = {f"ue{k}": "ue" for k in range(3)} | {"edge0": "edge"}
    with pytest.raises(ConfigurationError, match="no node with role gnb, only edge, ue; legal are 5G scenarios"):
        cosim.simulate(main, nodes=nodes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"truncation": 1.0}, "truncation is 1.0; it must be at least 0 and below 1"),
        ({"most_prbs": 0}, "most_prbs is 0; it must be at least 1"),
        ({"least_noise_figure_db": -1.0}, "least_noise_figure_db is -1.0"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, says):
    with pytest.raises(ConfigurationError, match=says):
        AirSettings(**changes)
