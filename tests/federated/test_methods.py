# SPDX-License-Identifier: GPL-2.0-only
"""All methods through the coroutines, without a network: what they send, report and learn."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgelam import cosim
from edgelam.errors import BatteryEmpty, ConfigurationError
from edgelam.federated import (
    METHODS,
    DeviceRecord,
    DeviceRoundRecord,
    EvaluationRecord,
    Outcome,
    RoundRecord,
    Setup,
    SplitFedFTSettings,
    prepare,
    split_fedft,
)
from edgelam.federated.controls import linear, majority, samples_processed
from edgelam.learning.participation import draw
from edgelam.models import LoraSettings, lora_layers

NODES = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}

WITHOUT_A_CELL = [method for method in METHODS if method != "air-fed-lora"]


@pytest.fixture(scope="module")
def settings(tiny_bert: Path, token_file: Path) -> SplitFedFTSettings:
    """Three devices, 12 steps of up to 12 samples."""
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=12, batch_size=4,
        lora=LoraSettings(rank=2), evaluations=2, local_steps=5, encoding="fp32", weight_encoding="fp32",
    )  # fmt: skip


class Run:
    """A finished run and everything it reported."""

    def __init__(self, method: str, setup: Setup, **simulate: Any) -> None:
        self.records: list[Any] = []
        self.transfers: list[cosim.TransferRecord] = []
        self.computes: list[cosim.ComputeRecord] = []

        async def main(sim: cosim.Simulation) -> Outcome:
            return await METHODS[method](sim, setup, self.records.append)

        self.outcome = cosim.simulate(
            main, nodes=NODES, on_transfer=self.transfers.append, on_compute=self.computes.append, **simulate
        )

    def of(self, kind: type) -> list[Any]:
        """Records of a kind."""
        return [record for record in self.records if isinstance(record, kind)]

    def sent(self) -> Counter[str]:
        """Number of transfers by tag."""
        return Counter(record.tag for record in self.transfers)


@pytest.mark.parametrize("method", WITHOUT_A_CELL)
def test_every_method_learns_from_as_many_samples(method: str, settings: SplitFedFTSettings) -> None:
    setup = prepare(settings, seed=1)
    run = Run(method, setup)
    assert (run.outcome.method, run.outcome.steps) == (method, 12)
    assert run.outcome.num_samples == 12 * 3 * 4
    scores = [r for r in run.of(EvaluationRecord) if (r.head, r.test_set) == ("average", "global")]
    assert len(scores) == 2
    assert (scores[-1].accuracy, scores[-1].loss) == (run.outcome.accuracy, run.outcome.loss)
    assert scores[-1].loss < scores[0].loss < math.log(3)
    nodes = {record.node: record for record in run.of(DeviceRecord)}
    working = {"edge0"} if method == "centralised" else {"ue0", "ue1", "ue2"}
    assert all(nodes[name].flops > 0 and nodes[name].energy_j > 0 for name in working)
    assert all(nodes[name].peak_memory_bytes > 0 for name in working)
    assert Run(method, setup).outcome == run.outcome, "the same again"


def test_split_messages_and_their_sizes(settings: SplitFedFTSettings) -> None:
    run = Run("split-fedft", prepare(settings, seed=1))
    assert run.sent() == {"invitation": 39, "embedding": 36, "representation": 36, "jacobian": 36, "head": 72}
    sizes = {record.tag: record.size_bytes for record in run.transfers}
    assert sizes["embedding"] == 4 + 4 * 5 * 16 * 4 + 4 * 4  # step, 4 samples of 5 tokens of width 16, lengths
    assert sizes["representation"] == 4 + 4 * 16 * 4
    assert sizes["jacobian"] == 4 + 4 * 16 * 4 + 8  # and the loss, for the record
    assert sizes["head"] == 4 + (16 * 3 + 3 + 16 + 1) * 4
    tokens = Run("split-fedft", prepare(replace(settings, cut="tokens", head_averaging="none"), seed=1))
    assert {r.size_bytes for r in tokens.transfers if r.tag == "representation"} == {4 + 4 * 5 * 16 * 4}
    assert "head" not in tokens.sent()
    trained = Run("split-fedft", prepare(replace(settings, train_embedding=True), seed=1))
    assert {r.size_bytes for r in trained.transfers if r.tag == "embedding_gradient"} == {4 + 4 * 5 * 16 * 4}


def test_unsplit_messages_and_memory(settings: SplitFedFTSettings) -> None:
    setup = prepare(settings, seed=1)
    run = Run("fed-lora", setup)
    assert run.sent() == {"model": 3, "invitation": 12, "adapter": 18}  # 12 steps are rounds of 5, 5 and 2
    assert [record.step for record in run.of(RoundRecord)] == [5, 10, 12]
    encoder = setup.encoder()
    model = sum(weight.numel() for weight in encoder.base().values()) * 4
    assert {r.size_bytes for r in run.transfers if r.tag == "model"} == {model}
    assert Run("local", setup).sent() == {"model": 3}
    assert Run("centralised", setup).sent() == {"data": 3}
    split = {r.node: r.peak_memory_bytes for r in Run("split-fedft", setup).of(DeviceRecord)}
    unsplit = {r.node: r.peak_memory_bytes for r in run.of(DeviceRecord)}
    assert split["ue0"] < 0.5 * unsplit["ue0"], "splitting wins on the device's memory"


def test_where_the_time_goes_adds_up(settings: SplitFedFTSettings) -> None:
    for method in ("split-fedft", "fed-lora"):
        run = Run(method, prepare(settings, seed=1))
        rounds = {record.round: record for record in run.of(RoundRecord)}
        rows = run.of(DeviceRoundRecord)
        assert len(rows) == 3 * len(rounds)
        for row in rows:
            assert (row.start_s, row.end_s) == (rounds[row.round].start_s, rounds[row.round].end_s)
            parts = row.compute_s + row.uplink_s + row.downlink_s + row.waiting_s
            assert parts == pytest.approx(row.end_s - row.start_s, abs=1e-9)
            assert row.compute_s > 0.0
            assert row.waiting_s >= -1e-12


def test_participation(settings: SplitFedFTSettings) -> None:
    run = Run("split-fedft", prepare(replace(settings, participation=0.67), seed=1))
    assert [record.num_devices for record in run.of(RoundRecord)] == [2] * 12
    assert run.outcome.num_samples == 12 * 2 * 4
    assert len({row.device for row in run.of(DeviceRoundRecord)}) == 3
    assert draw(10, 0.3, 5, 1) == draw(10, 0.3, 5, 1)
    assert len(set(draw(10, 0.3, 5, 1))) == 3
    assert len(draw(4, 0.01, 0, 1)) == 1
    assert draw(4, 1.0, 0, 1) == [0, 1, 2, 3]


SLOW = cosim.DeviceProfile("snail", 1e5, 1e5, 2**32, 1.0, 2.0)
"""A device that takes milliseconds where the others take microseconds."""


@pytest.mark.parametrize("method", ["split-fedft", "fed-lora"])
def test_stragglers_are_dropped_or_waited_for(method: str, settings: SplitFedFTSettings) -> None:
    waiting = prepare(replace(settings, round_deadline_s=0.01), seed=1)
    run = Run(method, waiting, devices={"ue1": SLOW})
    rounds = run.of(RoundRecord)
    assert {(record.num_dropped, record.num_late) for record in rounds} == {(0, 1)}
    assert run.outcome.num_samples == 12 * 3 * 4
    assert all(record.end_s - record.start_s > 0.01 for record in rounds)

    dropping = prepare(replace(settings, round_deadline_s=0.01, stragglers="drop"), seed=1)
    run = Run(method, dropping, devices={"ue1": SLOW})
    rounds = run.of(RoundRecord)
    assert {(record.num_dropped, record.num_late) for record in rounds} == {(1, 0)}
    assert run.outcome.num_samples == 12 * 2 * 4
    assert {row.counted for row in run.of(DeviceRoundRecord) if row.device == "ue1"} == {False}
    assert {row.counted for row in run.of(DeviceRoundRecord) if row.device != "ue1"} == {True}
    assert len(run.of(DeviceRoundRecord)) == 3 * len(rounds)
    assert run.sent()["release"] == len(rounds)


def test_when_everybody_is_dropped_nothing_is_learned_and_the_run_goes_on(settings: SplitFedFTSettings) -> None:
    setup = prepare(replace(settings, round_deadline_s=1e-9, stragglers="drop"), seed=1)
    federation = split_fedft.build(setup, ["ue0", "ue1", "ue2"])
    before = {name: weight.detach().clone() for name, weight in federation.server.encoder.lora.items()}
    records: list[Any] = []

    async def main(sim: cosim.Simulation) -> Outcome:
        return await split_fedft.run(sim, setup, records.append, federation)

    outcome = cosim.simulate(main, nodes=NODES)
    assert outcome.num_samples == 0
    assert [r.num_dropped for r in records if isinstance(r, RoundRecord)] == [3] * 12
    assert all(torch.equal(before[name], weight) for name, weight in federation.server.encoder.lora.items())


@pytest.mark.parametrize("method", ["split-fedft", "fed-lora"])
def test_an_empty_battery_takes_a_device_out(method: str, settings: SplitFedFTSettings) -> None:
    """At the phone's 0.5 W of idle power and more, 5 mJ last less than 10 ms: that is one round with a deadline."""
    flat = {"ue1": "phone,battery_j=0.005"}
    dropping = prepare(replace(settings, round_deadline_s=0.01, stragglers="drop"), seed=1)
    slow = {"ue2": SLOW}  # misses every deadline, so that rounds take time
    run = Run(method, dropping, devices=flat | slow)
    dropped = [record.num_dropped for record in run.of(RoundRecord)]
    assert dropped[1:] == [2] * (len(dropped) - 1)
    assert len(dropped) > 2
    counted = [row for row in run.of(DeviceRoundRecord) if row.counted]
    assert [row.round for row in counted if row.device == "ue0"] == list(range(len(dropped)))
    assert not [row for row in counted if row.device != "ue0" and row.round > 0]

    with pytest.raises(
        BatteryEmpty, match=r"ue1: its battery of 0\.005 J is empty since .*; rounds go on without such a device"
    ):
        Run(method, prepare(replace(settings, round_deadline_s=0.01), seed=1), devices=flat | slow)


def test_dropping_renormalises_the_weights(settings: SplitFedFTSettings) -> None:
    """With one device always dropped the adapters are those of a federation that never had it."""
    deadline = replace(settings, round_deadline_s=0.01, stragglers="drop", rounds=4, head_averaging="none")
    setup = prepare(deadline, seed=1)
    with_straggler = split_fedft.build(setup, ["ue0", "ue1", "ue2"])

    async def main(sim: cosim.Simulation) -> Outcome:
        return await split_fedft.run(sim, setup, split=with_straggler)

    cosim.simulate(main, nodes=NODES, devices={"ue2": SLOW})
    without = prepare(replace(settings, rounds=4, head_averaging="none"), seed=1)
    without = replace(
        without, settings=replace(without.settings, num_devices=2), shards=without.shards[:2], parts=without.parts[:2]
    )
    two = split_fedft.build(without, ["ue0", "ue1"])

    async def main_two(sim: cosim.Simulation) -> Outcome:
        return await split_fedft.run(sim, without, split=two)

    cosim.simulate(main_two, nodes={"ue0": "ue", "ue1": "ue", "edge0": "edge"})
    for name, weight in two.server.encoder.lora.items():
        torch.testing.assert_close(with_straggler.server.encoder.lora[name], weight, rtol=0, atol=1e-7)


@pytest.mark.parametrize("encoding", ["fp16", "bf16", "int8"])
def test_rounded_payloads_still_learn(encoding: str, settings: SplitFedFTSettings) -> None:
    run = Run("split-fedft", prepare(replace(settings, encoding=encoding), seed=1))
    assert run.outcome.loss < math.log(3)
    bytes_a_token = {"fp16": 32, "bf16": 32, "int8": 4 + 16}[encoding]
    assert {r.size_bytes for r in run.transfers if r.tag == "embedding"} == {4 + 20 * bytes_a_token + 16}


def test_a_text_task_with_a_decoder_only_backbone(tiny_text_gpt2: Path) -> None:
    settings = SplitFedFTSettings(
        backbone=str(tiny_text_gpt2), num_devices=3, rounds=2, batch_size=3, max_tokens=10, evaluations=1,
        test_samples=16,
    )  # fmt: skip
    setup = prepare(settings, seed=1)
    assert setup.encoder().pool.kind == "last"
    for method in WITHOUT_A_CELL:
        assert Run(method, setup).outcome.num_samples == 2 * 3 * 3


def test_controls(settings: SplitFedFTSettings) -> None:
    setup = prepare(settings, seed=1)
    assert majority(setup).accuracy == pytest.approx(1 / 3, abs=0.05)
    same, every = linear(setup)
    assert every.num_train_samples == len(setup.task.train)
    assert same.num_train_samples == len(samples_processed(setup)) <= 12 * 3 * 4
    assert every.accuracy > 0.8
    text = prepare(SplitFedFTSettings(rounds=3, num_devices=2), seed=1)
    same, every = linear(text)
    assert every.accuracy > same.accuracy > 0.2
    assert every.name.startswith("TF-IDF")


def test_what_does_not_fit_is_named(settings: SplitFedFTSettings) -> None:
    setup = prepare(settings, seed=1)

    async def main(sim: cosim.Simulation) -> Outcome:
        return await split_fedft.run(sim, setup)

    with pytest.raises(ConfigurationError, match="num_devices is 3 but the scenario has 1"):
        cosim.simulate(main, nodes={"ue0": "ue", "edge0": "edge"})
    with pytest.raises(ConfigurationError, match="no server"):
        cosim.simulate(main, nodes={"ue0": "ue", "ue1": "ue", "ue2": "ue"})
    with pytest.raises(ConfigurationError, match="5 tokens but max_tokens allows 4"):
        prepare(replace(settings, max_tokens=4), seed=1)
    with pytest.raises(ConfigurationError, match="cannot give each device"):
        prepare(replace(settings, num_devices=1000), seed=1)
    for values in ({"rounds": 0}, {"participation": 0.0}, {"stragglers": "drop"}, {"alpha": -1.0}):
        with pytest.raises(ConfigurationError, match=next(iter(values))):
            replace(settings, **values)  # type: ignore[arg-type]


def test_same_samples_whatever_the_order_of_asking(settings: SplitFedFTSettings) -> None:
    shard, again = prepare(settings, seed=1).shards[0], prepare(settings, seed=1).shards[0]
    forward = [shard.indices(step, 0).tolist() for step in range(20)]
    backward = [again.indices(step, 0).tolist() for step in reversed(range(20))]
    assert forward == backward[::-1]
    epoch = np.concatenate(forward)[: len(shard)]
    assert sorted(epoch.tolist()) == list(range(len(shard))), "every sample once an epoch"


@pytest.mark.parametrize("aggregation", ["fedit", "ffa-lora", "fedex-lora", "flora"])
def test_rules_of_federated_lora_learn_and_send_what_they_say(aggregation: str, settings: SplitFedFTSettings) -> None:
    setup = prepare(replace(settings, aggregation=aggregation, head_averaging="none"), seed=1)
    run = Run("fed-lora", setup)
    scores = [r for r in run.of(EvaluationRecord) if (r.head, r.test_set) == ("average", "global")]
    assert scores[-1].loss < scores[0].loss < math.log(3)
    layers = lora_layers(setup.encoder()).values()
    factor = {part: 4 * sum(getattr(layer, part).numel() for layer in layers) for part in "ab"}
    pair = factor["a"] + factor["b"]
    # of three devices, what goes up and what comes down in the first round and in the later ones
    up, first, later = {
        "fedit": (pair, pair, pair),
        "ffa-lora": (factor["b"], factor["b"], factor["b"]),
        "fedex-lora": (pair, pair, 3 * pair + 3 * 4),
        "flora": (pair, 0, 3 * pair),
    }[aggregation]
    sent = [r for r in run.transfers if r.tag == "adapter"]
    ups = [r.size_bytes for r in sent if r.source != "edge0"]
    downs = sorted({r.size_bytes for r in sent if r.source == "edge0"})
    extra = ups[0] - up  # numbers of the round, of samples, the loss: the same in every round
    assert 0 < extra < 64
    assert set(ups) == {up + extra}
    assert [down - downs[0] for down in downs] == ([0, later - first] if later != first else [0])
    assert 0 < downs[0] - first < 64


@pytest.mark.parametrize("change", [{"participation": 0.5}, {"stragglers": "drop", "round_deadline_s": 1.0}])
def test_rules_that_change_frozen_weights_want_every_device(change: dict[str, Any], settings: Any) -> None:
    with pytest.raises(ConfigurationError, match="fedit or ffa-lora"):
        replace(settings, aggregation="flora", **change)
    replace(settings, aggregation="ffa-lora", **change)
