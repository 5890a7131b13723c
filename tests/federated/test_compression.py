# SPDX-License-Identifier: GPL-2.0-only
"""fed-lora whose devices compress what they send: what crosses ns-3, and what is learned."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgelam import cosim
from edgelam.federated import METHODS, EvaluationRecord, Outcome, Setup, SplitFedFTSettings, prepare
from edgelam.federated.updates import Receiver, Sender, shared_weights
from edgelam.learning.aggregation import RULES
from edgelam.learning.compressors import CompressionSettings

STEP, SAMPLES, LOSS = 4, 4, 8  # what heads an update and comes with it, in bytes


@pytest.fixture(scope="module")
def settings(tiny_bert: Path, token_file: Path) -> SplitFedFTSettings:
    """Two devices, six exchanges of adapters and heads."""
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=2, partition="iid", rounds=12, local_steps=2,
        batch_size=4, evaluations=2, encoding="fp32", weight_encoding="fp32",
    )  # fmt: skip


def run(setup: Setup, **simulate: Any) -> tuple[Outcome, list[EvaluationRecord], list[cosim.TransferRecord]]:
    """The outcome, the scores of the average model, and the transfers of adapters."""
    scores: list[EvaluationRecord] = []
    transfers: list[cosim.TransferRecord] = []

    def report(record: Any) -> None:
        if isinstance(record, EvaluationRecord) and (record.head, record.test_set) == ("average", "global"):
            scores.append(record)

    async def main(sim: cosim.Simulation) -> Outcome:
        return await METHODS["fed-lora"](sim, setup, report)

    outcome = cosim.simulate(main, on_transfer=transfers.append, **simulate)
    return outcome, scores, [record for record in transfers if record.tag == "adapter"]


def bytes_by_hand(shape: torch.Size, compression: CompressionSettings) -> int:
    """Of a tensor of at most two axes."""
    numel, longest = math.prod(shape), max(shape, default=1)
    if compression.kind == "top-k":
        place = 1 if numel <= 256 else 2
        return math.ceil(compression.share * numel) * (4 + place)
    if compression.kind == "powersgd":
        factors = compression.rank * sum(shape)
        return 4 * (factors if len(shape) == 2 and factors < numel else numel)
    return 2 * numel if compression.kind == "fp16" else numel + 4 * (numel // longest)


@pytest.mark.parametrize("compression", [
    CompressionSettings("fp16"), CompressionSettings("int8"), CompressionSettings("top-k", share=0.25),
    CompressionSettings("powersgd", rank=1),
], ids=lambda compression: compression.kind)  # fmt: skip
def test_over_ns3_the_transfers_have_the_compressor_s_bytes(compression: Any, settings: SplitFedFTSettings) -> None:
    setup = prepare(replace(settings, compression=compression), seed=1)
    _, scores, transfers = run(setup, scenario="wired-star", options={"numUe": 2}, seed=1)
    weights = shared_weights(setup.unsplit(), RULES["fedit"], True)
    shapes = [tensor.shape for tensors in weights.values() for tensor in tensors.values()]
    expected = STEP + SAMPLES + LOSS + sum(bytes_by_hand(shape, compression) for shape in shapes)
    ups = [record for record in transfers if record.source != "edge0"]
    downs = [record for record in transfers if record.source == "edge0"]
    assert [record.size_bytes for record in ups] == [expected] * 12
    assert all(record.acknowledged_s > record.queued_s for record in ups)
    assert {record.size_bytes for record in downs} == {STEP + 4 * sum(math.prod(shape) for shape in shapes)}
    assert expected < downs[0].size_bytes
    assert scores[-1].loss < scores[0].loss < math.log(3)


@pytest.mark.parametrize("aggregation", list(RULES))
def test_a_compressor_that_leaves_nothing_out_changes_nothing(aggregation: Any, settings: SplitFedFTSettings) -> None:
    """The server's idea of where the devices began is right, by every rule, also where weights are rounded."""
    everything = CompressionSettings("top-k", share=1.0)
    nodes = {"ue0": "ue", "ue1": "ue", "edge0": "edge"}
    for weight_encoding in ("fp32", "bf16"):
        own = replace(settings, aggregation=aggregation, weight_encoding=weight_encoding)
        plain, _, _ = run(prepare(own, seed=1), nodes=nodes)
        packed, _, _ = run(prepare(replace(own, compression=everything), seed=1), nodes=nodes)
        assert packed.num_samples == plain.num_samples
        # in bfloat16 the weights themselves are rounded on the way up, their compressed differences are not
        tolerance = 1e-3 if weight_encoding == "fp32" else 2e-2
        assert packed.loss == pytest.approx(plain.loss, abs=tolerance)


def test_a_round_that_did_not_count_is_owed_again(settings: SplitFedFTSettings) -> None:
    setup = prepare(replace(settings, compression=CompressionSettings("top-k", share=0.1)), seed=1)
    sender = Sender(setup)

    def weights(seed: int) -> Any:
        return {"adapter": {"w": torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))}}

    def owed() -> torch.Tensor:
        return sender.state.residuals["adapter/w"]

    sender.begin(weights(0))
    sender.pack(weights(1))
    after_first = owed().clone()
    sender.begin(weights(2))
    sender.pack(weights(3))
    assert not torch.equal(owed(), after_first)
    sender.take_back()
    assert torch.equal(owed(), after_first)
    sender.begin(weights(4))  # dropped before it has packed anything
    sender.take_back()
    assert torch.equal(owed(), after_first)


def test_the_receiver_adds_to_what_came_down_as_it_was_rounded(settings: SplitFedFTSettings) -> None:
    setup = prepare(replace(settings, compression=CompressionSettings("fp16"), weight_encoding="bf16"), seed=1)
    rule, device, receiver = RULES["fedit"], setup.unsplit(), Receiver(setup, setup.unsplit())
    shared = shared_weights(device, rule, True)
    came = cosim.decode(cosim.encode(shared, "bf16"))
    receiver.begin(shared)
    sender = Sender(setup)
    sender.begin(came)
    update = {part: {name: torch.full_like(w, 0.5) for name, w in tensors.items()} for part, tensors in came.items()}
    trained = {p: {name: came[p][name] + update[p][name] for name in came[p]} for p in came}
    arrived = receiver.unpack(sender.pack(trained))
    for part, tensors in trained.items():
        for name, weight in tensors.items():
            torch.testing.assert_close(arrived[part][name], weight, rtol=1e-3, atol=1e-6)
