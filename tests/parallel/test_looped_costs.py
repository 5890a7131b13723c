# SPDX-License-Identifier: GPL-2.0-only
"""The ledger of looped tensor parallelism against what really crosses the network and what is really computed."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from looped_runs import UNEVEN, Run, batches, config, run

from edgelam.parallel.looped_costs import server_flops, step_bytes, step_flops
from edgelam.parallel.looped_records import DeviceStepRecord, StepRecord
from edgelam.parallel.looped_split import Split

VARIANTS: list[dict[str, Any]] = [
    {},
    {"nonlinearity": "server", "inputs": "encoded"},
    {"inputs": "encoded", "owner": "ue1", "head": "pooled"},
    {"nonlinearity": "server", "inputs": "replicated", "owner": "ue2", "downlink": "multicast"},
    {"encoding": "int8", "dtype": "float32", "inputs": "encoded"},
    {"encoding": "fp16", "secure_aggregation": True},
]
SOME = Split(("ue0", "ue1", "ue2"), (0, 4, 2), (150, 42, 0))


@pytest.mark.parametrize("given", VARIANTS, ids=lambda given: "-".join(map(str, given.values())) or "usual")
@pytest.mark.parametrize("split", [UNEVEN, SOME], ids=["all", "some"])
def test_bytes_and_operations_of_a_step(split: Split, given: dict[str, Any]) -> None:
    """Of a run with three steps and one with one, all is equal but two steps."""
    if given.get("secure_aggregation") and split is SOME:
        split = Split(SOME.devices, (0, 4, 2), (0, 42, 150))
    settings = config(checkpoint_every=0, **given)
    pooled = settings.head == "pooled"
    one, three = (
        run(settings, steps, split=split, batches=lambda step: batches(step, pooled=pooled)) for steps in (1, 3)
    )
    shape = batches(0).shape
    expected = step_bytes(settings, split, *shape)
    found = transferred(three)
    found.subtract(transferred(one))
    assert {n: found["up", n] for n in split.devices} == {n: 2 * expected.up[n] for n in split.devices}
    assert {n: found["down", n] for n in split.devices} == {n: 2 * expected.down[n] for n in split.devices}
    between = {n: found["between", n] for n in split.devices if found["between", n]}
    assert between == {n: 2 * expected.between[n] for n in expected.between}
    assert found["sent", "edge0"] == 2 * expected.sent
    flops = computed(three)
    flops.subtract(computed(one))
    assert {n: flops[n] for n in split.devices} == {n: 2 * f for n, f in step_flops(settings, split, *shape).items()}
    assert flops["edge0"] == 2 * server_flops(settings, *shape)


def transferred(done: Run) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    multicasts: dict[int, int] = {}
    for record in done.transfers:
        if record.source == "edge0":
            found["down", record.receiver] += record.size_bytes
            multicasts[record.id] = record.size_bytes
        elif record.receiver == "edge0":
            found["up", record.source] += record.size_bytes
        else:
            found["between", record.receiver] += record.size_bytes
    found["sent", "edge0"] = sum(multicasts.values())
    return found


def computed(done: Run) -> Counter[str]:
    found: Counter[str] = Counter()
    for record in done.computes:
        if not record.label.startswith("mask"):
            found[record.node] += record.flops
    return found


def test_the_parts_of_a_devices_step_add_up() -> None:
    done = run(config(), 3, scenario="wired-star", options={"rate": "20Mbps"})
    for record in done.of(DeviceStepRecord):
        parts = record.compute_s + record.uplink_s + record.downlink_s + record.waiting_s
        assert parts == pytest.approx(record.end_s - record.start_s, abs=1e-12)
        assert min(record.compute_s, record.uplink_s, record.downlink_s) > 0
    steps = done.of(StepRecord)
    assert [record.step for record in steps] == [0, 1, 2]
    assert all(a.end_s <= b.start_s for a, b in pairwise(steps))
    assert all(0 < record.merge_s < record.end_s - record.start_s for record in steps)
