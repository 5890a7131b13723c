# SPDX-License-Identifier: GPL-2.0-only
"""The memory ledger of looped tensor parallelism: against the peak of real steps; BERT-base on Jetson Nanos."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from looped_runs import run
from torch.profiler import ProfilerActivity, profile

from edgelam.cosim.devices import DEVICES
from edgelam.errors import OutOfDeviceMemory
from edgelam.parallel.looped_costs import (
    MemoryNeed,
    device_memory,
    server_memory,
    shard_values,
    single_device_memory,
    split_memory,
)
from edgelam.parallel.looped_model import Batch, LoopedConfig, LoopedModel, loss_of, train_alone
from edgelam.parallel.looped_parts import DevicePart, ServerPart
from edgelam.parallel.looped_split import Split, equal_split, server_state, shard_state

MINILM = LoopedConfig(
    width=384, num_heads=12, feed_forward=1536, loops=6, vocabulary=2000, max_length=512, num_outputs=12,
    head="pooled", causal=False,
)  # fmt: skip
BERT = LoopedConfig(
    width=768, num_heads=12, feed_forward=3072, loops=12, vocabulary=30522, max_length=512, num_outputs=2,
    head="pooled", causal=False,
)  # fmt: skip
"""BERT-base (arXiv 1810.04805) with one block for all 12 depths."""
SQUAD = (32, 384)
"""Batch and sequence of its fine-tuning on SQuAD."""
NANO = DEVICES["jetson-nano"]


def measured_peak(work: Callable[[], Any]) -> int:
    """The most bytes that PyTorch's allocator had given out at once during `work`, by the profiler's list of all
    allocations and releases."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        kept = work()
    assert kept is not None
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def device_steps(config: LoopedConfig, heads: int, columns: int, batch: int, length: int) -> Callable[[], DevicePart]:
    """Two whole steps of one device, with what the server would send."""
    rest = Split(("own", "rest"), (heads, config.num_heads - heads), (columns, config.feed_forward - columns))
    shard = shard_state(LoopedModel(config).state_dict(), config, rest, "own")
    x = torch.randn(batch, length, config.width)
    ids = torch.randint(config.vocabulary, (batch, length))

    def work() -> DevicePart:
        part = DevicePart(config, shard, None, 0)
        for _ in range(2):
            if config.inputs == "encoded" and heads:
                part.encode(ids)
            for _ in range(config.loops):
                if heads:
                    part.attend(x.clone())
                if columns and config.nonlinearity == "device":
                    part.feed(x.clone())
                elif columns:
                    part.project(part.pre_activate(x.clone()).sigmoid())
            for _ in range(config.loops):
                if columns and config.nonlinearity == "device":
                    part.back("feed", x.clone())
                elif columns:
                    part.back("pre_activate", part.back("project", x.clone())[0])
                if heads:
                    part.back("attend", x.clone())
            if config.inputs == "encoded" and heads:
                part.back("encode", torch.randn(batch, length, heads * config.head_width))
            part.update()
        return part

    return work


@pytest.mark.parametrize(
    ("given", "heads", "columns", "batch", "length"),
    [
        ({}, 5, 600, 8, 64),
        ({"nonlinearity": "server"}, 1, 900, 8, 64),
        ({"inputs": "encoded", "causal": True, "vocabulary": 500}, 4, 0, 2, 256),
    ],
)
def test_a_device_of_minilms_size(given: dict[str, Any], heads: int, columns: int, batch: int, length: int) -> None:
    config = replace(MINILM, **given)
    need = device_memory(config, heads, columns, batch, length)
    assert need.total == pytest.approx(measured_peak(device_steps(config, heads, columns, batch, length)), rel=0.1)


def test_a_single_device_of_minilms_size() -> None:
    ids = torch.randint(MINILM.vocabulary, (8, 64))
    batch = Batch(ids, ids[:, 0] % MINILM.num_outputs)
    peak = measured_peak(lambda: train_alone(MINILM, lambda step: batch, 2))
    assert single_device_memory(MINILM, *batch.shape).total == pytest.approx(peak, rel=0.1)


@pytest.mark.parametrize("nonlinearity", ["device", "server"])
def test_the_server(nonlinearity: str) -> None:
    config = replace(MINILM, nonlinearity=nonlinearity, vocabulary=500)
    state = server_state(LoopedModel(config).state_dict(), config)
    ids = torch.randint(config.vocabulary, (8, 64))
    batch = Batch(ids, ids[:, 0] % config.num_outputs)

    def received(width: int = config.width) -> list[torch.Tensor]:
        return [torch.randn(8, 64, width) for _ in range(3)]

    def work() -> ServerPart:
        part = ServerPart(config, state, None, 0)
        for _ in range(2):
            x = part.embed(ids)
            for _ in range(config.loops):
                x = part.merge("attention", x, received())
                if nonlinearity == "server":
                    part.activate(received(512))
                x = part.merge("feed_forward", x, received())
            _, gradient = part.loss(x, batch)
            for _ in range(config.loops):
                [gradient] = part.back("feed_forward", gradient)
                if nonlinearity == "server":
                    part.activate_back(received(512))
                gradient = part.add(gradient, received())
                [gradient] = part.back("attention", gradient)
                gradient = part.add(gradient, received())
            part.back("embed", gradient)
            part.update()
        return part

    assert server_memory(config, 8, 64, 3).total == pytest.approx(measured_peak(work), rel=0.1)


def saved_bytes(model: LoopedModel, batch: Batch) -> int:
    """Bytes that autograd saves for a backward pass, without the weights; also on the meta device, where nothing is."""
    known = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept, total = [], 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if storage._cdata not in known:
            known.add(storage._cdata)
            kept.append(storage)
            total += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = loss_of(model(batch.inputs), batch.labels)
    assert loss.requires_grad
    return total


def test_bert_base_needs_more_than_ten_gigabytes_and_a_nano_has_three() -> None:
    with torch.device("meta"):
        model = LoopedModel(BERT)
        ids = torch.zeros(SQUAD, dtype=torch.int64)
        saved = saved_bytes(model, Batch(ids, ids[:, 0]))
    alone, unshared = (single_device_memory(BERT, *SQUAD, shared=shared) for shared in (True, False))
    assert alone.weights == 4 * sum(parameter.numel() for parameter in model.parameters())
    # BERT-base without its pooler and its segment embeddings, with 12 blocks of 7,087,872 parameters
    assert unshared.weights == 4 * (109_482_240 - 590_592 - 2 * 768 + 2 * 769)
    worst = single_device_memory(replace(BERT, loops=12), *SQUAD)
    assert worst.activations == pytest.approx(saved, rel=0.02)
    assert (unshared.total, alone.total) == (11_621_646_624, 10_686_047_520)
    with pytest.raises(OutOfDeviceMemory, match=r"n0 \(jetson-nano\): .* needs 10,686,047,520 bytes .* 3,221,225,472"):
        alone.check("n0", NANO, "training")


def test_bert_base_over_nanos() -> None:
    """Four of them hold it, three do not; with GELU at the server three do."""
    largest = {}
    for count in (1, 2, 3, 4, 6, 12):
        for nonlinearity in ("device", "server"):
            config = replace(BERT, nonlinearity=nonlinearity)
            needs = split_memory(config, equal_split(config, [f"n{k}" for k in range(count)]), *SQUAD)
            largest[count, nonlinearity] = max(need.total for need in needs.values())
    admitted = {key for key, total in largest.items() if total <= NANO.memory_bytes}
    assert admitted == {(3, "server"), *((n, kind) for n in (4, 6, 12) for kind in ("device", "server"))}
    assert largest[4, "device"] == pytest.approx(3.04e9, rel=0.01)
    assert largest[12, "server"] == pytest.approx(1.52e9, rel=0.01)
    assert server_memory(BERT, *SQUAD, 4).total < DEVICES["cpu-server"].memory_bytes


def test_one_nano_is_refused_by_the_run_itself() -> None:
    weights = {name: torch.zeros(tensor.shape) for name, tensor in _bert_on_meta().state_dict().items()}
    ids = torch.zeros(SQUAD, dtype=torch.int64)
    with pytest.raises(OutOfDeviceMemory, match=r"ue0 \(jetson-nano\): .* needs 9,342,\d+,\d+ bytes .* 3,221,225,472"):
        run(
            BERT, 1, split=Split(("ue0",), (12,), (3072,)), batches=lambda step: Batch(ids, ids[:, 0]),
            devices={"ue*": "jetson-nano"}, weights=weights, num_ue=1,
        )  # fmt: skip


def _bert_on_meta() -> LoopedModel:
    with torch.device("meta"):
        return LoopedModel(BERT)


def test_sixteen_bytes_a_parameter_and_what_grows_with_the_share() -> None:
    assert shard_values(BERT, 12, 3072) == 4 * 768 * 768 + 3 * 768 + 2 * 768 * 3072 + 3072
    nothing = device_memory(BERT, 0, 0, *SQUAD)
    assert nothing == MemoryNeed(0, 0, 0, 0, 0)
    totals = [device_memory(BERT, heads, 256 * heads, *SQUAD).total for heads in range(13)]
    assert totals == sorted(totals)
    tiny = device_memory(BERT, 12, 3072, 1, 1)  # hardly any activations: the update is the worst moment
    assert tiny.weights + tiny.optimiser + tiny.gradients == 16 * shard_values(BERT, 12, 3072)
