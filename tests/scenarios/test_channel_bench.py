# SPDX-License-Identifier: GPL-2.0-only
"""The channel's benchmark runs and reports what it promises; how fast is not tested."""

import json
import subprocess

import pytest

from edgelam.bench import channel
from edgelam.paths import installed


def test_json_has_every_figure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    whole = channel.measure
    monkeypatch.setattr(channel, "measure", lambda: whole(seconds=0.05))
    assert channel.run(json=True) == 0
    result = json.loads(capsys.readouterr().out)
    assert all(result[key] > 0 for key, *_ in channel.ROWS)
    assert channel.run() == 0
    assert "wideband" in capsys.readouterr().out


def test_the_program_refuses_what_it_does_not_know() -> None:
    done = subprocess.run([installed("bin/bench/channel"), "abc"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "0.01 to 600" in done.stderr
