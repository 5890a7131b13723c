# SPDX-License-Identifier: GPL-2.0-only
"""Federated fine-tuning of other weights than adapters of one rank: it learns, and sends what it says."""

from dataclasses import replace

import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, DeviceRecord, EvaluationRecord, SplitFedFTSettings, prepare
from edgelam.models import LoraSettings
from edgelam.models.frozen import num_bytes
from edgelam.models.lora import lora_layers

NODES = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}


@pytest.fixture
def base(tiny_bert, token_file):
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=30, local_steps=5,
        lora=LoraSettings(rank=4), evaluations=3, head_averaging="none",
    )  # fmt: skip


def ran(settings, method="fed-lora"):
    records, transfers = [], []
    setup = prepare(settings, 1)

    async def main(sim):
        return await METHODS[method](sim, setup, records.append)

    cosim.simulate(main, seed=1, nodes=NODES, on_transfer=transfers.append)
    scores = [r for r in records if isinstance(r, EvaluationRecord) and r.head == "average"]
    return setup, records, transfers, scores


def sizes(transfers, tag, up):
    return {t.size_bytes for t in transfers if t.tag == tag and (t.source != "edge0") == up}


@pytest.mark.parametrize("method", ["split-fedft", "fed-lora", "fedbuff", "local", "centralised"])
@pytest.mark.parametrize(("tuning", "rate"), [("ia3", 1e-2), ("full", 1e-3)])
def test_other_weights_are_trained(method, tuning, rate, base):
    _, _, _, scores = ran(replace(base, tuning=tuning, learning_rate=rate, rounds=15), method)
    assert scores[-1].loss < scores[0].loss < 1.2


@pytest.mark.parametrize("tuning", ["ia3", "full"])
def test_what_is_trained_is_what_is_sent(tuning, base):
    setup, _, transfers, _ = ran(replace(base, tuning=tuning, learning_rate=1e-3, rounds=5))
    values = sum(p.numel() for p in setup.encoder().lora.values())
    for up in (True, False):
        (size,) = sizes(transfers, "adapter", up)
        assert 2 * values < size < 2 * values + 64
    assert bool(sizes(transfers, "model", up=False)) == (tuning == "ia3"), "of a whole model nothing is frozen"


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_rounded_frozen_weights_take_less_to_download_and_to_hold(kind, base):
    settings = replace(base, rounds=10)
    plain, rough = ran(settings), ran(replace(settings, frozen_weights=kind))
    (download,) = sizes(rough[2], "model", up=False)
    assert download == num_bytes(rough[0].encoder().base(), kind)
    assert download < next(iter(sizes(plain[2], "model", up=False)))
    peaks = [max(r.peak_memory_bytes for r in each[1] if isinstance(r, DeviceRecord) and r.role == "ue")
             for each in (plain, rough)]  # fmt: skip
    assert peaks[1] < peaks[0]
    assert rough[3][-1].loss < rough[3][0].loss


def test_a_model_that_is_there_is_not_downloaded(base):
    _, _, transfers, scores = ran(replace(base, rounds=15, installed=True))
    assert not sizes(transfers, "model", up=False)
    assert len(scores) == 3


@pytest.mark.parametrize("aggregation", ["flora", "hetlora"])
def test_devices_have_ranks_of_their_own(aggregation, base):
    setup, _, transfers, scores = ran(replace(base, aggregation=aggregation, ranks=(4, 2, 1)))
    assert scores[-1].loss < scores[0].loss
    pair = sum(layer.a.numel() + layer.b.numel() for layer in lora_layers(setup.encoder()).values()) // 4
    for name, rank in (("ue0", 4), ("ue1", 2), ("ue2", 1)):
        up = {t.size_bytes for t in transfers if t.tag == "adapter" and t.source == name}
        down = {t.size_bytes for t in transfers if t.tag == "adapter" and t.receiver == name}
        (size,) = up
        assert 2 * pair * rank < size < 2 * pair * rank + 64
        if aggregation == "hetlora":
            (size,) = down
            assert 2 * pair * rank < size < 2 * pair * rank + 64
        else:
            assert max(down) > 2 * pair * 7, "the stack of all"


def test_ranks_that_are_all_the_same_change_nothing(base):
    for aggregation in ("flora", "hetlora"):
        plain = ran(replace(base, aggregation=aggregation, rounds=10))[3]
        same = ran(replace(base, aggregation=aggregation, rounds=10, ranks=(4,)))[3]
        assert [r.loss for r in plain] == [r.loss for r in same]


def test_personal_models_are_judged_one_by_one(base):
    _, records, _, scores = ran(replace(base, aggregation="fedsa-lora"))
    last = max(r.step for r in scores)
    own = [r for r in records if isinstance(r, EvaluationRecord) and r.step == last and r.test_set == "global"
           and r.head != "average"]  # fmt: skip
    assert len({r.loss for r in own}) == 3, "each with a B of its own"
    assert scores[-1].accuracy == pytest.approx(sum(r.accuracy for r in own) / 3)
    assert scores[-1].loss < scores[0].loss


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tuning": "ia3", "aggregation": "flora"}, "legal are aggregation fedit"),
        ({"tuning": "full", "freeze_a": True}, "freeze_a False"),
        ({"tuning": "full", "frozen_weights": "int8"}, "legal is frozen_weights plain"),
        ({"aggregation": "flora", "frozen_weights": "int4"}, "legal is frozen_weights plain"),
        ({"ranks": (2,)}, "legal are flora, hetlora"),
        ({"ranks": (5,), "aggregation": "hetlora"}, "from 1 to lora.rank, 4"),
        ({"ranks": (0,), "aggregation": "flora"}, "from 1 to lora.rank, 4"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, text, base):
    with pytest.raises(ConfigurationError, match=text):
        replace(base, **changes)


def test_methods_that_cut_refuse_what_they_do_not_know(base):
    for changes in ({"tuning": "ia3"}, {"frozen_weights": "int8"}):
        with pytest.raises(ConfigurationError, match="legal is"):
            ran(replace(base, **changes), "decomposed")
