# SPDX-License-Identifier: GPL-2.0-only
"""Serving metrics of a few records, worked out by hand."""

import math

import pytest

from edgelam.inference.metrics import summary
from edgelam.inference.records import InstanceRecord, MoveRecord, RequestRecord
from edgelam.inference.serving import Outcome

NAN = math.nan


def request(id, arrive_s, e2e_s, *, ttft_s=None, tpot_s=NAN, deadline_s=1.0, failed=False):
    return RequestRecord(
        request=id, user="ue0", task="t", graph="g", declared=False, arrive_s=arrive_s,
        end_s=arrive_s + (0.5 if failed else e2e_s), deadline_s=deadline_s, status="failed" if failed else "complete",
        reason="lost" if failed else "", on_time=not failed and e2e_s <= deadline_s, attempts=1, e2e_s=e2e_s,
        ttft_s=e2e_s if ttft_s is None else ttft_s, tpot_s=tpot_s, tokens=1, decision_s=0.0, uplink_s=0.0,
        backhaul_s=0.0, downlink_s=0.0, load_s=0.0, queue_s=0.0, compute_s=e2e_s, retry_s=0.0, bytes=0, answer="",
    )  # fmt: skip


def test_metrics_are_those_one_works_out():
    requests = [
        request(0, 1.0, 0.5, ttft_s=0.2, tpot_s=0.01), request(1, 2.0, 2.0), request(2, 3.0, 1.0),
        request(3, 4.0, NAN, failed=True),
    ]  # fmt: skip
    instances = [
        InstanceRecord("a", "edge0", False, 100, 0.0, 0.0, 0, 4, 4, NAN),
        InstanceRecord("b", "edge0", False, 50, 0.0, 2.0, 50, 4, 4, 5.0),
        InstanceRecord("c", "edge1", False, 70, NAN, NAN, 0, 0, 0, NAN),  # cold, and never called
    ]
    moves = [
        MoveRecord(0, "x", "ue0", "cloud0", "uplink", 1000, 0.0, 0.1),
        MoveRecord(0, "y", "edge0", "cloud0", "backhaul", 200, 0.0, 0.1),
        MoveRecord(0, "z", "cloud0", "ue0", "downlink", 30, 0.0, 0.1),
        MoveRecord(0, "x", "ue0", "edge0", "uplink", 5000, 0.0, 0.1),
    ]
    found = summary(Outcome(requests, [], moves, instances, {}, 10.0, 20.0), cloud=["cloud0"])
    assert found["requests"] == 4
    assert found["completed"] == 3
    assert found["on_time_ratio"] == 0.5
    assert found["goodput_rps"] == pytest.approx(2 / 3.5)  # from 1.0 to 4.5
    assert found["e2e_p50_s"] == 1.0
    assert found["e2e_p95_s"] == pytest.approx(1.9)
    assert found["ttft_p50_s"] == 1.0
    assert found["tpot_p50_s"] == 0.01
    assert found["memory_bytes"] == 150
    assert found["instances"] == 2
    assert found["wan_bytes"] == 1230
    assert found["raw_wan_bytes"] == 1000
    assert found["cost"] == 2 * 20 + 4 * (10.0 + 3.0)


def test_nothing_has_no_percentiles():
    found = summary(Outcome([], [], [], [], {}, 0.0, 0.0))
    assert math.isnan(found["on_time_ratio"])
    assert math.isnan(found["e2e_p99_s"])
