# SPDX-License-Identifier: GPL-2.0-only
"""The NR cell's benchmark runs and reports what it promises; how fast is not tested."""

import json
import subprocess
from pathlib import Path

import pytest

from edgelam.bench import radio
from edgelam.paths import installed


def test_json_has_every_case_and_growth_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = radio.measure
    monkeypatch.setattr(radio, "measure", lambda growth: whole(seconds=0.2 if not growth else 0.02, growth=growth))
    assert radio.run(json=True) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [case["name"] for case in cases] == list(radio.ROWS)
    assert all(case["simulated_per_wall"] > 0 and case["goodput_bps"] > 0 for case in cases)
    assert radio.run(growth=True, figure=tmp_path / "growth") == 0
    assert "300 UEs, downlink full" in capsys.readouterr().out
    assert (tmp_path / "growth.svg").exists()
    assert (tmp_path / "growth.png").exists()


def test_networks_and_threads(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["1gnb-100ue/2", "3gnb-30ue", "3gnb-30ue/2"]
    monkeypatch.setattr(radio, "CELLS", {name: radio.CELLS[name] for name in chosen})
    whole = radio.measure_cells
    monkeypatch.setattr(radio, "measure", lambda growth: [])
    monkeypatch.setattr(radio, "measure_cells", lambda: whole(seconds=0.03))
    assert radio.run(json=True, cells=True) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [case["name"] for case in cases] == chosen
    assert all(case["simulated_per_wall"] > 0 and case["peak_gib"] > 0 for case in cases)
    assert cases[1]["goodput_bps"] == cases[2]["goodput_bps"] > 0


def test_the_program_refuses_what_it_does_not_know() -> None:
    for arguments in (["abc"], ["0.1", "1gnb-3ue"], ["0.1", "1gnb-2ue/0"], ["0.1", "1gnb-2ue/2x"]):
        command = [installed("bin/bench/radio"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "0.01 to 600" in done.stderr
        assert "1gnb-2ue-ip" in done.stderr
