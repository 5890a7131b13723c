# SPDX-License-Identifier: GPL-2.0-only
"""offloading: a small run, what is printed and drawn of it, and what its settings refuse."""

import pytest
import torch

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


def test_learners_are_trained_measured_and_resumed(tmp_path, capsys, monkeypatch):
    from edgelam.experiments.offloading import learning

    monkeypatch.setattr(learning, "JUDGED", 50)
    monkeypatch.setattr(learning, "POINTS", 2)
    chosen = offloading.config(
        shares=(0.03,), episodes=1, rules=("capacity-proportional",), environments=("fdedge",), updates=20,
        learners=("diffusion-rl",), agents=str(tmp_path / "agents"),
    )  # fmt: skip
    found = []
    for _ in range(2):  # the second time, there is nothing left to learn
        with RunFolder.create("offloading", chosen, seed=1, out=tmp_path) as folder:
            offloading.run(chosen, folder, Progress())
        found.append(load(folder.path))
    first, again = (run["delays"].drop(columns="episode") for run in found)
    assert first.equals(again)
    rules = {f"{learner}, {state}" for learner in chosen.learners for state in ("slot", "now")}
    assert set(first["rule"]) == {"capacity-proportional", *rules}
    assert found[0]["learners"]["updates"].eq(20).all()
    assert len(found[0]["curves"]) == 4
    offloading.report(folder.path, terminal())
    assert "diffusion-rl, now" in capsys.readouterr().out
    assert [path.name for path in offloading.plot(folder.path)] == ["offloading.svg", "curves.svg"]


@pytest.mark.parametrize(("state", "rule"), [("now", "greedy"), ("slot", "greedy-by-slot")])
def test_an_agent_is_measured_like_a_rule(state, rule):
    from edgelam.experiments.offloading import learning

    from edgelam.gym import OffloadingEnv
    from edgelam.inference.offloading import fdedge
    from edgelam.inference.offloading.rules import mean_delay

    class Greedy:
        """Is sure of the server with the least sum of its row."""

        def probabilities(self, state, rng):
            return torch.nn.functional.one_hot(state.rows.sum(-1).argmin(-1), 10).float()

    setting = fdedge.setting(10)
    env = OffloadingEnv(setting, state=state, seed=3)
    for episode in range(2):
        assert learning.mean_delay(Greedy(), env, 1) == pytest.approx(mean_delay(setting, rule, 3, episode), rel=1e-3)


def test_a_learner_whose_curve_still_falls_is_not_called_slower():
    import pandas as pd
    from edgelam.experiments.offloading import results

    rows = [
        {"environment": "fdedge", "share": 1.0, "load": 0.8, "rule": rule, "episode": i, "delay_s": delay + 0.01 * i}
        for rule, delay in (("capacity-proportional", 1.0), ("sac, slot", 2.0), ("dqn, slot", 2.0))
        for i in range(3)
    ]
    rows[-1]["delay_s"] += 0.01
    learners = [{"environment": "fdedge", "share": 1.0, "rule": rule, "flat": flat}
                for rule, flat in (("sac, slot", False), ("dqn, slot", True))]  # fmt: skip
    found = results.delays({"delays": pd.DataFrame(rows), "learners": pd.DataFrame(learners)})
    assert found.set_index("rule")["verdict"].to_dict() == {
        "capacity-proportional": "the same", "sac, slot": "undecided: its curve still falls", "dqn, slot": "slower",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"shares": (1.5,)}, "shares have 1.5; legal is above 0, up to 1"),
        ({"shares": ()}, "shares are \\(\\); at least 1"),
        ({"episodes": 0}, "episodes are 0; there must be at least one"),
        ({"rules": ("greedy", "greedy")}, "each once"),
        ({"learners": ("sac", "sac")}, "learners are \\('sac', 'sac'\\); at least 0, each once"),
        ({"updates": 0}, "updates is 0; it must be at least 1"),
        ({"discount": 1.0}, "discount is 1.0; legal is 0 to less than 1"),
    ],
)
def test_settings_that_are_not_legal(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        offloading.config(**changes)
