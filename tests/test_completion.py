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
        (["run", "spl"], {"split-fedft"}),
        (["run", "split-fedft", "--aggregation", "fed"], {"fedit", "fedex-lora"}),
        (["run", "channel-prediction", "--partit"], {"--partition"}),
        (["campaign", "split-fedft", "--gri"], {"--grid"}),
        (["run", "split-fedft", "--lora.r"], {"--lora.rank"}),
        (["run", "channel-prediction", "--lam.lora.r"], {"--lam.lora.rank"}),
        (["run", "split-fedft", "--ran"], set()),
        (["csi", "rec"], {"record"}),
        (["nothing", "like"], set()),
    ],
)
def test_bash_completes(script, words, expected):
    asked = subprocess.run(
        ["bash", "-c", ASK, "bash", script, "edgelam", *words], capture_output=True, text=True, check=True
    )
    assert set(asked.stdout.split()) == expected
    assert asked.stderr == ""
