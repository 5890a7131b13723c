# SPDX-License-Identifier: GPL-2.0-only
"""A scenario that only a file names is a stranger's program: it runs when the user says so, and not before."""

import os
import pty
import subprocess
import sys

import pytest

from edgelam import scenarios
from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError
from edgelam.runs import RunFolder, StorageError
from edgelam.scenarios import trust


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A configuration file that names a Python scenario, which leaves a mark when it runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    (tmp_path / "stranger.toml").write_text('scenario = "run/evil.py"\n')
    return tmp_path


COMMANDS = {
    "run": ["run", "split-fedft", "--config", "stranger.toml"],
    "print": ["run", "split-fedft", "--config=stranger.toml", "--print-config"],
    "options": ["run", "split-fedft", "--config", "stranger.toml", "--options"],
    "campaign": ["campaign", "split-fedft", "--config", "stranger.toml", "--seeds", "2"],
    "dry": ["campaign", "split-fedft", "--config", "stranger.toml", "--seeds", "2", "--dry-run"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_scenario_that_only_a_configuration_names_does_not_run(stranger, command, capsys):
    assert cli.main(command) == 2
    told = capsys.readouterr().err
    assert "stranger.toml names the scenario 'run/evil.py'" in told
    assert "--trust run/evil.py" in told
    assert not (stranger / "ran").exists()
    assert not (stranger / "runs").exists()


@pytest.mark.parametrize(
    "typed",
    [["--trust", "run/evil.py"], ["--scenario", "run/evil.py"], ["--scenario=./run/../run/evil.py"], ["--trust", "{}"]],
)
def test_typing_its_path_makes_it_ones_own(stranger, typed, capsys):
    typed = [word.format(stranger / "run" / "evil.py") for word in typed]
    assert cli.main([*COMMANDS["print"], *typed]) == 0
    assert (stranger / "ran").exists()


def test_the_words_that_name_the_file_itself_are_not_a_yes(stranger, capsys):
    both = stranger / "both.py"  # TOML as well as Python
    both.write_text('scenario = "both.py"\n')
    assert cli.main(["run", "split-fedft", "--config", "both.py"]) == 2
    assert "names the scenario 'both.py'" in capsys.readouterr().err


def test_a_program_and_a_cpp_file_are_asked_for_as_well(stranger, capsys):
    program = stranger / "run" / "evil"
    program.write_text(f"#!/bin/sh\ntouch {stranger}/ran\n")
    program.chmod(0o755)
    (stranger / "run" / "evil.cc").write_text(f'#include "{stranger}/run/missing.h"\n')
    for name in ("run/evil", "run/evil.cc", str(program)):
        (stranger / "stranger.toml").write_text(f'scenario = "{name}"\n')
        assert cli.main(COMMANDS["run"]) == 2
        assert f"--trust {name}" in capsys.readouterr().err
    assert not (stranger / "ran").exists()


@pytest.mark.parametrize(("answer", "ran"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_the_user_is_asked(stranger, answer, ran):
    outside, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edgelam", *COMMANDS["print"]], stdin=inside, stdout=inside, stderr=inside
    )
    os.close(inside)
    shown = b""
    while b"Run it?" not in shown:
        shown += os.read(outside, 4096)
    os.write(outside, f"{answer}\n".encode())
    try:
        while chunk := os.read(outside, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    assert process.wait() == (0 if ran else 2)
    assert (stranger / "ran").exists() is ran
    os.close(outside)


def test_what_a_program_says_itself_is_not_asked_for(stranger):
    with trust.scope():
        trust.named_by("x.toml", ["run/evil.py"], own=[])
        with pytest.raises(ConfigurationError, match=r"x\.toml"):
            scenarios.find("run/evil.py")
        (stranger / "link.py").symlink_to("run/evil.py")
        with pytest.raises(ConfigurationError, match=r"x\.toml"):
            scenarios.find("./link.py")
    assert scenarios.find("run/evil.py")[-1] == str(stranger / "run" / "evil.py")


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "..", ".", "", "a/b", "nul\0"])
def test_the_name_of_an_experiment_cannot_lead_out_of_the_folder_of_runs(tmp_path, tiny, name):
    with pytest.raises(StorageError, match="one part of a path"):
        RunFolder.create(name, tiny(), seed=1, out=tmp_path / "runs")
    assert not list(tmp_path.iterdir())
