# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark runs and reports what it promises; how fast is not tested."""

import json

import pytest

from edgelam.bench import bridge


def test_json_has_every_figure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {
        "EXCHANGES": 500,
        "IDLE_S": 0.2,
        "ARRAY_BYTES": 800_000,
        "WAKES": 100,
        "VIRTUAL_NODES": 50,
        "WAKES_EACH": 3,
    }.items():
        monkeypatch.setattr(bridge, name, value)
    assert bridge.run(json=True) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["round_trip_us"]["one_core"]["p50"] > 0
    assert result["round_trip_us"]["one_core"]["p99"] > 0
    assert "two_cores" in result["round_trip_us"]
    for key in ("idle_cpu_percent", "array_handover_ms", "array_copy_ms", "asyncio_wake_us"):
        assert result[key] > 0, key
    assert result["virtual_nodes_1000"]["wake_apart_us"] > 0
    assert bridge.run(json=False) == 0
    assert "round trip" in capsys.readouterr().out
