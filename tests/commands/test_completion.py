# SPDX-License-Identifier: GPL-2.0-only
"""Shell completion, asked as bash asks for it."""

import subprocess
import sys

import pytest

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
eval "$(complete -p edgelam | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
echo "${COMPREPLY[*]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    written = subprocess.run([sys.executable, "-m", "edgelam", "completion"], capture_output=True, check=True)
    path = tmp_path_factory.mktemp("completion") / "edgelam"
    path.write_bytes(written.stdout)
    return path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ru"], {"run"}),
        (["run", "spl"], {"split-fedft", "split-inference"}),
        (["run", "split-fedft", "--aggregation", "fed"], {"fedit", "fedex-lora", "fedsa-lora"}),
        (["run", "channel-prediction", "--partit"], {"--partition"}),
        (["campaign", "split-fedft", "--gri"], {"--grid"}),
        (["run", "split-fedft", "--lora.r"], {"--lora.rank"}),
        (["run", "channel-prediction", "--lam.lora.r"], {"--lam.lora.rank"}),
        (["run", "split-fedft", "--ran"], {"--ranks"}),
        (["csi", "rec"], {"record"}),
        (["nothing", "like"], set()),
        (
            ["run", "split-fedft", "--scenario", "nr-"],
            {
                "nr-highway",
                "nr-indoor",
                "nr-link-budget",
                "nr-office",
                "nr-subthz-hotspot",
                "nr-urban-grid",
                "nr-urban-micro",
            },
        ),
        (["run", "channel-prediction", "--config", "s"], {"small", "speeds"}),
        (["bench", "r"], {"radio"}),
        (["bench", "radio", "--g"], {"--growth"}),
        (["ns3-ai", "py"], {"python-path"}),
    ],
)
def test_bash_completes(script, words, expected):
    asked = subprocess.run(
        ["bash", "-c", ASK, "bash", script, "edgelam", *words], capture_output=True, text=True, check=True
    )
    assert set(asked.stdout.split()) == expected
    assert asked.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ["report", "a"],
        ["run", "split-fedft", "--scenario", "./m"],
        ["run", "split-fedft", "--config", "mine"],
        ["run", "split-fedft", "--out", "ru"],
    ],
)
def test_files_are_left_to_bash(script, words):
    """Which completes them where the list is empty, not where it holds an empty word, and `-o default` is said."""
    asked = subprocess.run(
        ["bash", "-c", ASK + 'echo ${#COMPREPLY[@]}; complete -p edgelam', "bash", script, "edgelam", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert asked.stdout.split()[0] == "0"
    assert " -o default " in asked.stdout
