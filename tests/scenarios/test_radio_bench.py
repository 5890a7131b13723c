# SPDX-License-Identifier: GPL-2.0-only
"""The NR cell's benchmark runs and reports what it promises; how fast is not tested."""

import json
import subprocess

import pytest

from edgelam.bench import radio
from edgelam.paths import installed


def test_json_has_every_case(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    whole = radio.measure
    monkeypatch.setattr(radio, "measure", lambda: whole(seconds=0.1))
    assert radio.run(json=True) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [case["name"] for case in cases] == list(radio.ROWS)
    assert all(case["simulated_per_wall"] > 0 and case["goodput_bps"] > 0 for case in cases)
    assert radio.run() == 0
    assert "Mbit/s" in capsys.readouterr().out


def test_the_program_refuses_what_it_does_not_know() -> None:
    done = subprocess.run([installed("bin/bench/radio"), "abc"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "0.01 to 600" in done.stderr
