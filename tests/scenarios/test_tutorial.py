# SPDX-License-Identifier: GPL-2.0-only
"""docs/tutorial.md, step by step as it is written: commands are run, and the edits it tells of are made."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"(?P<before>.*?)^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
# How the sentence ends that stands before a piece of C++: where it goes, as (a line of the file, the new piece) -> text
PLACES = {"find": "replace", "in place of": "replace", "after": "after", "before": "before"}
PIECES = ("put in its place", "by", "add")


def edit(text, place, anchor, piece):
    anchor = anchor.strip()
    assert text.count(anchor) == 1, anchor
    pieces = {"replace": piece, "after": f"{anchor}\n{piece}", "before": f"{piece}\n{anchor}"}
    return text.replace(anchor, pieces[place])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_as_it_is_written(tmp_path):
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    outputs, anchor, place = [], "", ""
    for block in BLOCK.finditer(TUTORIAL.read_text()):
        code = block["code"]
        if block["language"] == "bash":
            done = subprocess.run(
                ["bash", "-ec", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            outputs.append(done)
        elif block["language"] == "python":
            (tmp_path / "walk.py").write_text(code)
        else:
            told = block["before"].rsplit("\n\n", 2)[-2].strip()
            ending = next((words for words in PLACES if told.endswith(words)), None)
            if ending:
                anchor, place = code, PLACES[ending]
            else:
                assert anchor, told
                file = tmp_path / "cell.cc"
                file.write_text(edit(file.read_text(), place, anchor, code))
                anchor = ""
    _, first, options, refused, walk, last = outputs
    assert "Result on the global test set" in first.stdout
    assert "--cameraRate=5Mbps" in options.stdout
    assert "option --far=900 is not legal" in refused.stderr
    assert "refused, as it should be" in refused.stdout
    lines = re.findall(r"^(\d+) m: 1 MB in ([\d.]+) s$", walk.stdout, re.MULTILINE)
    assert [int(metres) for metres, _ in lines] == [22, 61, 200]  # the gNB's antennas are 8.5 m above the phone
    assert all(0 < float(seconds) < 5 for _, seconds in lines)
    assert "Result on the global test set" in last.stdout
    assert "simulated" in last.stdout
