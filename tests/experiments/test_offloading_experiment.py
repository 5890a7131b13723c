# SPDX-License-Identifier: GPL-2.0-only
"""offloading: a small run, what is printed and drawn of it, and what its settings refuse."""

import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

offloading = experiments.find("offloading")


def test_a_run_is_printed_and_drawn(tmp_path, capsys):
    chosen = offloading.config(shares=(0.1,), episodes=2, rules=("greedy", "capacity-proportional", "local"))
    with RunFolder.create("offloading", chosen, seed=1, out=tmp_path) as folder:
        offloading.run(chosen, folder, Progress())
    rows = load(folder.path)["delays"]
    assert set(rows[rows["environment"] == "lad-ts"]["rule"]) == {"greedy", "capacity-proportional", "local"}
    assert set(rows[rows["environment"] == "fdedge"]["rule"]) == {"greedy", "capacity-proportional"}
    assert len(rows) == 10
    offloading.report(folder.path, terminal())
    assert "faster" in capsys.readouterr().out
    (figure,) = offloading.plot(folder.path)
    assert figure.exists()
    assert (folder.path / "offloading.csv").read_text().count("lad-ts") == 3


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"shares": (1.5,)}, "shares have 1.5; legal is above 0, up to 1"),
        ({"shares": ()}, "shares are \\(\\); at least one"),
        ({"episodes": 0}, "episodes are 0; there must be at least one"),
        ({"rules": ("greedy", "greedy")}, "each once"),
    ],
)
def test_settings_that_are_not_legal(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        offloading.config(**changes)
