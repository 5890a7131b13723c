# SPDX-License-Identifier: GPL-2.0-only
"""A model cut anywhere, for each device elsewhere, learns as the un-split one; choices are best; bytes are known."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import STEPS, assert_same, float64_setup, history, unsplit

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import CutRecord, RoundRecord, SplitFedFTSettings, decomposed, prepare
from edgelam.federated.decomposition.choice import Option, Predicted, choose, score
from edgelam.federated.decomposition.costs import Costs, Measured
from edgelam.federated.decomposition.links import LinkFit
from edgelam.federated.decomposition.parts import ServerBlocks, kept_tokens
from edgelam.federated.decomposition.settings import DecompositionSettings
from edgelam.federated.decomposition.together import (
    MOST_TRIED,
    Candidate,
    Cell,
    Contended,
    choose_together,
    seconds,
    sending,
    shared,
)
from edgelam.federated.decomposition.together import score as score_together
from edgelam.models import LoraSettings
from edgelam.models.blocks import Blocks

NAMES = ["ue0", "ue1", "ue2"]
NODES = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}


def made(task, backbone, **changes):
    settings = {
        "task": str(task), "num_devices": 3, "partition": "iid", "backbone": str(backbone),
        "lora": LoraSettings(rank=2), "optimiser": "sgd", "learning_rate": 0.1, "encoding": "fp64",
        "weight_encoding": "fp64", "rounds": STEPS, "evaluations": 1, "test_samples": 20,
    }  # fmt: skip
    return SplitFedFTSettings(**settings | changes)


def simulated(setup, **network):
    """Run over a network; return records, transfers and the parts."""
    parts = decomposed.build(setup, NAMES)
    records, transfers = [], []

    async def main(sim):
        return await decomposed.run(sim, setup, records.append, parts)

    cosim.simulate(main, seed=1, on_transfer=transfers.append, **({"nodes": NODES} | network))
    return records, transfers, parts


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
@pytest.mark.parametrize("blocks", [(0, 1, 2), (1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_gpt2"])
def test_cut_anywhere_it_learns_as_the_unsplit_model(model, blocks, cut, token_file, request):
    own = DecompositionSettings(blocks=blocks, activations=("fp64",))
    setup = float64_setup(made(token_file, request.getfixturevalue(model), cut=cut, accumulation=2, decomposition=own))
    records, _, parts = simulated(setup)
    found = history(records, parts.server.encoder, parts.devices.values())
    assert_same(found, unsplit(setup))
    cuts = [record for record in records if isinstance(record, CutRecord)]
    assert {(each.device, each.blocks) for each in cuts} == set(zip(NAMES, blocks, strict=True))


def test_every_cut_of_blocks_computes_the_whole_model(tiny_gpt2, token_file):
    setup = float64_setup(made(token_file, tiny_gpt2))
    encoder = setup.encoder()
    blocks = Blocks(encoder, setup.backbone.width)
    x = torch.randn(2, 5, setup.backbone.width, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    whole = encoder(x, mask)
    for cut in range(blocks.count + 1):
        torch.testing.assert_close(blocks.upper(blocks.lower(x, mask, cut), mask, cut), whole, rtol=0, atol=1e-12)
    for cut in (-1, blocks.count + 1):
        with pytest.raises(ConfigurationError, match="legal are 0 to 2"):
            blocks.lower(x, mask, cut)


def test_gradients_of_mixed_ranks_are_padded_with_zeros(tiny_bert, token_file):
    """By hand: ranks 2 and 1, 3 and 1 samples; what the second device does not have gets nothing from it."""
    setup = float64_setup(made(token_file, tiny_bert, learning_rate=1.0))
    server = ServerBlocks(Blocks(setup.encoder(), setup.backbone.width), setup.settings)
    before = {name: each.detach().clone() for name, each in server.encoder.lora.items()}
    full, small = server.adapters(1, 2), server.adapters(1, 1)
    a = next(name for name in full if "lora_A" in name)
    b = a.replace("lora_A", "lora_B")
    assert (len(full[a]), len(small[a]), full[b].shape[1], small[b].shape[1]) == (2, 1, 2, 1)
    server.add({name: torch.ones_like(each) for name, each in full.items()}, 3, counts=True)
    server.add({name: 5 * torch.ones_like(each) for name, each in small.items()}, 1, counts=True)
    server.update()
    moved = before[a] - server.encoder.lora[a]
    torch.testing.assert_close(moved[0], torch.full_like(moved[0], (3 * 1 + 1 * 5) / 4))
    torch.testing.assert_close(moved[1], torch.full_like(moved[1], 3 / 4))
    moved = before[b] - server.encoder.lora[b]
    torch.testing.assert_close(moved[:, 0], torch.full_like(moved[:, 0], 2.0))
    torch.testing.assert_close(moved[:, 1], torch.full_like(moved[:, 1], 0.75))


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("activation", ["fp16", "int8", "int4"])
def test_the_bytes_of_every_option_are_known_before_it_is_used(activation, accumulation, tiny_bert, token_file):
    own = DecompositionSettings(blocks=(0, 1, 2), activations=(activation,), ranks=(2, 1))
    setup = prepare(
        made(token_file, tiny_bert, rounds=2, accumulation=accumulation, encoding="fp16", weight_encoding="fp16",
             decomposition=own, batch_size=6), 3,
    )  # fmt: skip
    records, transfers, _ = simulated(setup)
    cuts = {each.device: each for each in records if isinstance(each, CutRecord) and each.round == 1}
    sent = {"invitation", "blocks"}
    for name in NAMES:
        took = sum(
            each.size_bytes for each in transfers if name in (each.source, each.receiver) and each.tag not in sent
        )
        assert cuts[name].predicted_bytes == pytest.approx(took / 2, abs=80 * accumulation)
    assert [cuts[name].rank for name in NAMES] == [2, 1, 2]


@pytest.mark.parametrize("activation", ["int8", "int4"])
def test_fewer_bits_and_the_largest_jacobians_send_less_and_learn(activation, tiny_bert, token_file):
    own = DecompositionSettings(blocks=(1,), activations=("fp16",))
    base = made(token_file, tiny_bert, rounds=30, encoding="fp16", weight_encoding="fp32", optimiser="adamw",
                learning_rate=3e-3, decomposition=own)  # fmt: skip
    sizes, losses = [], []
    for each in (own, replace(own, activations=(activation,), jacobian_share=0.25)):
        records, transfers, _ = simulated(prepare(replace(base, decomposition=each), 3))
        sizes.append(sum(t.size_bytes for t in transfers if t.tag in ("activation", "jacobian")))
        losses.append([record.loss for record in records if isinstance(record, RoundRecord)])
    assert sizes[1] < sizes[0]
    assert np.mean(losses[1][-5:]) < np.mean(losses[1][:5])


def test_kept_tokens_are_the_first_and_the_farthest_by_hand():
    hidden = torch.tensor([[[0.0], [1.0], [9.0], [2.0]], [[5.0], [5.5], [7.0], [99.0]]])
    mask = torch.tensor([[True] * 4, [True, True, True, False]])  # means 3 and 5.83
    assert kept_tokens(hidden, mask, 0.5).tolist() == [[True, False, True, False], [True, False, True, False]]
    assert kept_tokens(hidden, mask, 0.6).tolist() == [[True, True, True, False], [True, False, True, False]]
    assert kept_tokens(hidden, mask, 0.01).sum(dim=1).tolist() == [1, 1]
    assert kept_tokens(hidden, mask, 1.0).tolist() == mask.tolist()


def test_half_of_the_tokens_sends_half_and_learns(tiny_bert, token_file):
    own = DecompositionSettings(blocks=(1, 0, 2))
    base = made(token_file, tiny_bert, rounds=30, encoding="fp16", weight_encoding="fp32", optimiser="adamw",
                learning_rate=3e-3, decomposition=own)  # fmt: skip
    runs = [simulated(prepare(replace(base, decomposition=replace(own, token_share=share)), 3)) for share in (1.0, 0.5)]
    sizes = [[sum(t.size_bytes for t in sent if t.source == name and t.tag == "activation") for name in NAMES]
             for _, sent, _ in runs]  # fmt: skip
    assert sizes[1][0] == pytest.approx(0.6 * sizes[0][0], rel=0.05), "3 of 5 tokens"
    assert sizes[1][1:] == sizes[0][1:], "the first block's and the last one's devices send what they did"
    losses = [r.loss for r in runs[1][0] if isinstance(r, RoundRecord)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def predicted(blocks, seconds, **changes):
    numbers = {"energy_j": seconds, "num_bytes": 1e3, "flops": 1e6 * blocks, "memory_bytes": 1e3 * (1 + blocks)}
    return Predicted(Option(blocks, 8, "fp16"), seconds, **numbers | changes)


@given(st.integers(0, 10**6), st.sampled_from(["time", "energy", "bytes", "arithmetic", "accuracy", "privacy"]))
@settings(max_examples=60, deadline=None)
def test_no_option_is_better_than_the_chosen_one(seed, objective):
    rng = np.random.default_rng(seed)
    options = [
        Predicted(Option(int(b), int(r), a), *rng.uniform(0.1, 2.0, 5), *rng.uniform(0, 1, 3))
        for b in range(4) for r in (2, 8) for a in ("int8", "fp16")
    ]  # fmt: skip
    memory = float(np.median([each.memory_bytes for each in options]))
    found = choose(options, None, objective=objective, rounds_left=7, memory_bytes=memory, deadline_s=1.0)
    assert found.memory_bytes <= memory
    for each in options:
        if each.memory_bytes <= memory:
            assert score(found, objective, 7, 1.0) <= score(each, objective, 7, 1.0)
    meets = [each for each in options if each.memory_bytes <= memory and each.seconds <= 1.0]
    if objective == "privacy" and meets:
        assert found.option.blocks == max(each.option.blocks for each in meets)
    if objective == "accuracy" and meets:
        assert found.option.rank == max(each.option.rank for each in meets)


def test_devices_that_share_a_rate_finish_by_processor_sharing():
    """Three devices with 3, 1 and 2 units at a rate of 1: an event-by-event simulation, and the closed form."""
    left, now, ends = {0: 3.0, 1: 1.0, 2: 2.0}, 0.0, {}
    while left:
        step = min(left.values()) * len(left)
        now += step
        left = {k: size - step / len(left) for k, size in left.items()}
        for k in [k for k, size in left.items() if size < 1e-12]:
            ends[k] = now
            del left[k]
    assert [shared([3.0, 1.0, 2.0], k) for k in range(3)] == [ends[k] for k in range(3)]
    assert sending([0.0] * 3, [3.0, 1.0, 2.0], 1.0) == pytest.approx([ends[k] for k in range(3)])
    # by hand: alone until 2, then half each until the second one's unit is through at 4, then alone
    assert sending([0.0, 2.0, 9.0], [4.0, 1.0, 0.0], 1.0) == pytest.approx([5.0, 2.0, 0.0])


def test_what_was_measured_is_what_is_predicted_for_the_same_plan():
    measured = [
        Contended(3e5, 0.2, 1e4, 0.02, 0.0),
        Contended(2e5, 0.25, 1e4, 0.01, 0.1),
        Contended(1e4, 0.05, 5e3, 0, 0),
    ]
    plan = [Candidate(0.01, each.up_bytes, each.down_bytes, 0.0, each.starts_s) for each in measured]
    assert seconds(plan, Cell(measured)) == pytest.approx(
        [0.01 + each.up_s + each.down_s for each in measured], rel=1e-6
    )
    # who begins when the others are through is faster
    later = [*plan[:1], replace(plan[1], starts_s=0.3), *plan[2:]]
    assert seconds(later, Cell(measured))[1] < seconds(plan, Cell(measured))[1]
    free = [replace(each, up_s=0.0, down_s=0.0) for each in measured]
    assert seconds(plan, Cell(free)) == [0.01] * 3


def random_problem(rng, devices, options):
    candidates = [[Candidate(*rng.uniform(0.0, 1.0, 5)) for _ in range(options)] for _ in range(devices)]
    return candidates, Cell([Contended(*rng.uniform(0.1, 1.0, 5)) for _ in range(devices)])


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_no_plan_is_better_than_the_one_that_is_chosen_together(seed):
    rng = np.random.default_rng(seed)
    candidates, measured = random_problem(rng, 3, 4)
    chosen = choose_together(candidates, measured, None, rounds_left=5, hysteresis=0.1)

    def slow(plan):
        own = [candidates[k][each] for k, each in enumerate(plan)]
        return 5 * max(seconds(own, measured)) + max(each.before_s for each in own)

    best = min(slow(plan) for plan in itertools.product(range(4), repeat=3))
    assert slow(chosen) == pytest.approx(best)


def test_with_many_devices_no_single_change_makes_a_plan_faster():
    candidates, measured = random_problem(np.random.default_rng(1), 8, 5)
    assert MOST_TRIED < 5**8
    chosen = choose_together(candidates, measured, None, rounds_left=5, hysteresis=0.0)

    def of(plan):
        return score_together([own[k] for own, k in zip(candidates, plan, strict=True)], measured, 5)

    for k in range(8):
        for each in range(5):
            assert of([*chosen[:k], each, *chosen[k + 1 :]]) >= of(chosen)


def test_a_plan_changes_only_for_what_is_faster_by_the_hysteresis():
    slow, fast = Candidate(1.0, 0.0, 0.0), Candidate(0.95, 0.0, 0.0)
    measured = Cell([Contended(0.0, 0.0, 0.0, 0.0)] * 2)
    both = [[slow, fast]] * 2
    assert choose_together(both, measured, [0, 0], rounds_left=3, hysteresis=0.1) == [0, 0]
    assert choose_together(both, measured, [0, 0], rounds_left=3, hysteresis=0.01) == [1, 1]
    assert choose_together(both, measured, None, rounds_left=3, hysteresis=0.1) == [1, 1]


def test_a_choice_changes_only_for_what_is_better_by_the_hysteresis():
    rest = {"objective": "time", "rounds_left": 10, "memory_bytes": 1e9, "hysteresis": 0.1}
    near, far = [predicted(0, 1.0), predicted(2, 0.95)], [predicted(0, 1.0), predicted(2, 0.85)]
    present = Option(0, 8, "fp16")
    assert choose(near, present, **rest).option.blocks == 0
    assert choose(near, None, **rest).option.blocks == 2
    assert choose(far, present, **rest).option.blocks == 2
    # a download that the rounds that are left do not pay back
    late = [predicted(0, 1.0), predicted(2, 0.5, before_s=4.0)]
    assert choose(late, present, **rest).option.blocks == 2
    assert choose(late, present, **rest | {"rounds_left": 5}).option.blocks == 0
    with pytest.raises(ConfigurationError, match="smallest takes 1000 with 0 blocks"):
        choose(near, present, **rest | {"memory_bytes": 10.0})


def test_a_link_is_fitted_by_latency_and_rate():
    fit = LinkFit()
    assert fit.fit() == (0.0, 0.0)
    for size in (100, 5000, 800, 20_000):
        fit.add(size, 0.004 + size * 2e-6)
    assert fit.fit() == pytest.approx((0.004, 2e-6))
    same = LinkFit()
    for _ in range(3):
        same.add(1000, 0.01)
    assert same.fit() == (0.0, pytest.approx(1e-5))
    falling = LinkFit()
    for size, took in ((10, 0.02), (1000, 0.01)):
        falling.add(size, took)
    latency, slope = falling.fit()
    assert slope == 0.0
    assert 0.01 < latency < 0.02


def test_deeper_cuts_take_more_of_the_device_and_less_of_the_server(tiny_bert, token_file):
    setup = prepare(made(token_file, tiny_bert, decomposition=DecompositionSettings("adaptive", all_blocks=True)), 3)
    costs = Costs(setup)
    flops = [each.device.flops for each in costs.cuts]
    assert flops == sorted(set(flops))
    assert [each.server.flops for each in costs.cuts] == sorted(
        (each.server.flops for each in costs.cuts), reverse=True
    )
    assert costs.cuts[-1].server.flops == 0
    phone, gpu = cosim.DEVICES["phone"], cosim.DEVICES["datacentre-gpu"]
    slow = Measured(up_latency_s=0.01, up_s_a_byte=1e-6, down_latency_s=0.01, down_s_a_byte=1e-6)
    best = min((costs.predict(each, slow, phone, gpu, 2) for each in costs.options()), key=lambda p: p.seconds)
    assert best.option.blocks == 2, "over a slow link, a small model is best on the device"
    assert costs.predict(Option(2, 2, "fp16"), slow, phone, gpu, 0).before_bytes > 0


def test_adaptive_cuts_follow_what_is_measured(tiny_bert, token_file):
    own = DecompositionSettings("adaptive", all_blocks=True, objective="time", probe_bytes=0)
    setup = prepare(made(token_file, tiny_bert, rounds=4, encoding="fp16", weight_encoding="fp16", batch_size=24,
                         decomposition=own), 3)  # fmt: skip
    records, transfers, _ = simulated(setup, nodes=None, scenario="wired-star", options={"numUe": 3, "rate": "1Mbps"})
    cuts = [each for each in records if isinstance(each, CutRecord)]
    assert {each.blocks for each in cuts if each.round == 0} != {each.blocks for each in cuts if each.round == 3}
    assert sum(each.tag == "blocks" for each in transfers) > 0
    # with a probe the first choice is what the others are without one
    setup = replace(setup, settings=replace(setup.settings, decomposition=replace(own, probe_bytes=4096)))
    probed, transfers, _ = simulated(setup, nodes=None, scenario="wired-star", options={"numUe": 3, "rate": "1Mbps"})
    first = {each.blocks for each in probed if isinstance(each, CutRecord) and each.round == 0}
    assert first == {each.blocks for each in cuts if each.round == 3}
    assert [t.size_bytes for t in transfers if t.tag == "probe" and t.source == "ue0"] == [4 + 512, 4 + 4096]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rule": "best"}, "legal are fixed, adaptive"),
        ({"objective": "beauty"}, "legal are time, energy"),
        ({"blocks": ()}, "at least one number"),
        ({"blocks": (-1,)}, "each from 0"),
        ({"ranks": (0,)}, "at least 1"),
        ({"activations": ("fp8",)}, "legal is at least one of fp64"),
        ({"jacobian_share": 0.0}, "above 0 and at most 1"),
        ({"jacobian_share": math.nan}, "above 0 and at most 1"),
        ({"deadline_s": 0.0}, "above 0"),
        ({"token_share": 0.0}, "above 0 and at most 1"),
        ({"token_share": 0.5, "activations": ("int8",)}, "legal are fp64, fp32, fp16"),
        ({"probe_bytes": -1}, "0 \\(none\\) or more"),
        ({"hysteresis": -0.1}, "0 or more"),
        ({"installed_blocks": -1}, "0 or more"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        DecompositionSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"decomposition": DecompositionSettings(blocks=(3,))}, "a cut outside the model, which has 2 blocks"),
        ({"decomposition": DecompositionSettings(ranks=(4,))}, "legal are 1 to 2"),
        ({"stragglers": "drop", "round_deadline_s": 1.0}, "legal is stragglers 'wait'"),
        ({"freeze_a": True}, "freeze_a"),
        (
            {"cut": "tokens", "decomposition": DecompositionSettings(blocks=(1,), token_share=0.5)},
            "legal is cut pooled",
        ),
    ],
)
def test_what_the_method_cannot_do_is_refused(changes, text, tiny_bert, token_file):
    with pytest.raises(ConfigurationError, match=text):
        simulated(prepare(made(token_file, tiny_bert, **changes), 3))
