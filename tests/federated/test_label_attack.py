# SPDX-License-Identifier: GPL-2.0-only
"""Labels told by Jacobians, in a run: with and without noise, for both places where the server pools."""

from dataclasses import replace

import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, LabelLeakRecord, LeakRecord, SplitFedFTSettings, prepare
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.models import LoraSettings

NODES = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}


def told(settings, method="split-fedft"):
    records = []

    async def main(sim):
        return await METHODS[method](sim, prepare(settings, 1), records.append)

    cosim.simulate(main, seed=1, nodes=NODES)
    return [r for r in records if isinstance(r, LabelLeakRecord)]


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
def test_jacobians_tell_labels_unless_noise_hides_them(cut, tiny_bert, token_file):
    clean = SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=6, batch_size=8,
        evaluations=1, lora=LoraSettings(rank=2), cut=cut, privacy=PrivacySettings(attack=True),
    )  # fmt: skip
    (found,) = told(clean)
    assert (found.samples, found.labels) == (3 * 40, 3), "the first batch's are zero, as the head is"
    assert found.recovered > 0.9 > found.largest
    (noisy,) = told(replace(clean, privacy=PrivacySettings(clip=0.05, noise_multiplier=3.0, attack=True)))
    assert noisy.recovered < 0.6
    assert not told(replace(clean, privacy=PrivacySettings()))


def test_a_method_without_attacks_refuses_them(tiny_bert, token_file):
    settings = SplitFedFTSettings(task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid",
                                  privacy=PrivacySettings(attack=True))  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"privacy\.attack"):
        told(settings, "decomposed")


def test_tokens_are_attacked_without_any_protection(tiny_text_bert):
    settings = SplitFedFTSettings(backbone=str(tiny_text_bert), num_devices=3, rounds=1, batch_size=4, evaluations=1,
                                  test_samples=10, privacy=PrivacySettings(attack=True))  # fmt: skip
    records = []

    async def main(sim):
        return await METHODS["split-fedft"](sim, prepare(settings, 1), records.append)

    cosim.simulate(main, seed=1, nodes=NODES)
    leaks = [r for r in records if isinstance(r, LeakRecord)]
    assert [r.recovered for r in leaks] == [1.0] * 3
