# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench collectives``."""

import json

import pytest

from edgelam.commands.main import main


def test_it_measures_prints_and_draws(tmp_path, capsys):
    options = ["--sizes", "8000", "400", "--algorithms", "ring", "star", "--scenarios", "wired-star", "--ranks", "2"]
    assert main(["bench", "collectives", "--json", "--figure", str(tmp_path / "times"), *options]) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [(case["algorithm"], case["size_bytes"]) for case in cases] == [
        ("ring", 400), ("ring", 8000), ("star", 400), ("star", 8000)
    ]  # fmt: skip
    assert all(0.01 < case["simulated_s"] < 0.1 and case["wall_s"] > 0 for case in cases)
    assert (tmp_path / "times.svg").stat().st_size > 1000
    assert (tmp_path / "times.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--sizes", "2"], "legal are sizes from 4 bytes on"),
        (["--ranks", "1"], "2 ranks or more"),
        (["--algorithms", "rings"], "unknown algorithm 'rings'"),
    ],
)
def test_mistakes_are_explained(options, text, capsys):
    assert main(["bench", "collectives", *options]) != 0
    assert text in capsys.readouterr().err


def test_auto_is_beside_the_others_with_what_it_takes(capsys):
    options = ["--sizes", "400", "200000", "--algorithms", "ring", "star", "auto", "--scenarios", "wired-star"]
    assert main(["bench", "collectives", "--json", *options]) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    took = {(case["algorithm"], case["size_bytes"]): case["simulated_s"] for case in cases}
    for case in cases:
        assert (case["chosen"] == case["algorithm"]) == (case["algorithm"] != "auto")
    for size in (400, 200_000):
        assert took["auto", size] <= 1.05 * min(took["ring", size], took["star", size])
    assert main(["bench", "collectives", "--sizes", "400", "--algorithms", "auto", "--scenarios", "wired-star"]) == 0
    assert "which is" in capsys.readouterr().out
