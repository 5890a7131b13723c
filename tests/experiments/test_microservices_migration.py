# SPDX-License-Identifier: GPL-2.0-only
"""The study migration: a short drive with a small random model, what its tables say, and what is made of them."""

import dataclasses
import io

import numpy as np
import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

microservices = experiments.find("microservices")


def small(**changes):
    from edgelam.experiments.microservices import recipes

    config = recipes.RECIPES["migration"]()
    settings = {
        "model": "random-small", "slots": 8, "policies": ("never", "nearest", "drift-plus-penalty", "full-knowledge"),
        "sweep": (3000.0,),
    }  # fmt: skip
    fast = tuple("speed=120" if each.startswith("speed=") else each for each in config.network.options)
    network = dataclasses.replace(config.network, options=fast)  # past more than one server
    return dataclasses.replace(
        config, network=network, migration=dataclasses.replace(config.migration, **settings | changes)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    chosen = small()
    with RunFolder.create("microservices", chosen, seed=2, out=tmp_path_factory.mktemp("runs")) as folder:
        microservices.check(chosen)
        microservices.run(dataclasses.replace(chosen, seed=2), folder, Progress())
    return load(folder.path)


def test_metrics_are_those_of_turns_and_moves(run):
    turns, moves = run["turns"], run["migrations"]
    assert len(run.metrics) == 5
    for row in run.metrics.to_dict("records"):
        mine = turns[turns["method"] == row["method"]]
        assert row["turns"] == len(mine) >= 8
        assert (mine["status"] == "complete").all()
        assert row["latency_mean_s"] == pytest.approx(mine["latency_s"].mean())
        assert row["loss"] == mine["lost"].sum() / mine["tokens"].sum()
        moved = moves[moves["method"] == row["method"]]
        assert row["migration_bytes"] == (moved["state_bytes"] + moved["weight_bytes"]).sum()
        assert row["interruption_s"] == pytest.approx(moved["interruption_s"].sum())
    assert run.metrics.set_index("method").loc["never", "migration_bytes"] == 0
    assert (moves["method"] == "nearest").any()  # the drive passes from one server to the next


def test_bytes_of_each_move_are_those_of_its_state(run):
    """Six layers, keys and values of 3 heads of 32, 4 bytes each; 192 * 4 bytes of the hidden state."""
    moves = run["migrations"]
    done = moves[moves["status"] == "complete"]
    token = 6 * 2 * 3 * 32 * 4
    whole = token * done["session_tokens"] + 192 * 4
    assert ((done["state_bytes"] >= whole) & (done["state_bytes"] % token == 192 * 4)).all()
    assert (done["state_bytes"] == whole).any()  # more only if a conversation ended while it was copied
    assert (done["interruption_s"] > 0).all()


def test_a_session_goes_on_with_the_same_tokens_whatever_moves(run):
    from edgelam.experiments.microservices.migration import results

    same, turns = results.same_answers(run)
    assert same == turns > 8


def test_queues_follow_from_what_was_measured_and_budgets_are_met_within_them(run):
    config = small()
    budgets = config.migration.budgets().values
    from edgelam.inference.migration import RESOURCES

    for method, rows in run["slots"].groupby("method", sort=False):
        assert rows["slot"].tolist() == list(range(8))
        metrics = run.metrics.set_index("method").loc[method]
        for k, name in enumerate(RESOURCES):
            queue, total, count = 0.0, 0.0, 0
            for used, after in zip(rows[f"used_{name}"], rows[f"queue_{name}"], strict=True):
                if not np.isnan(used):
                    queue, total, count = max(queue + used / budgets[k] - 1, 0), total + used / budgets[k], count + 1
                assert after == pytest.approx(queue)
            assert metrics[f"use_{name}"] == pytest.approx(total / count)
            assert metrics[f"use_{name}"] <= 1 + queue / count + 1e-9


def test_bandwidth_is_what_crossed_the_network(run):
    slots, slot_s = run["slots"], small().migration.slot_s
    for row in run.metrics.to_dict("records"):
        mine = slots[slots["method"] == row["method"]]
        assert mine["used_bandwidth"].sum() * slot_s / 8 == pytest.approx(row["migration_bytes"])


def test_tables_figures_and_claims(run):
    from edgelam.experiments.microservices.migration import results

    drawn = microservices.plot(run.path)
    assert {path.name for path in drawn} == {"migration.svg", "migration-sweep.svg"}
    console = terminal()
    console.file = io.StringIO()
    microservices.report(run.path, console)
    text = console.file.getvalue()
    for method in run.metrics["method"]:
        assert method in text
    verdicts = {claim.text: claim.verdict for claim in results.claims(run)}
    assert verdicts["each budget is met within Q / T"] == "holds"
    assert verdicts["a session that moves goes on with the same tokens"] == "holds"
    assert verdicts["V = 3000 has less penalty than V = 300"] in (
        "undecided",
        "does not hold",
    )  # one seed decides nothing


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"v": 0.0}, "V is 0.0"),
        ({"sweep": (-1.0,)}, "V is -1.0"),
        ({"sweep": (300.0,)}, "each may be given once"),
        ({"bandwidth_bps": -1.0}, "budget bandwidth_bps is -1.0"),
        ({"loss": float("nan")}, "budget loss is nan"),
        ({"slots": 0}, "slots is 0"),
        ({"slot_s": float("inf")}, "slot_s is inf"),
        ({"policies": ("full-knowledge",)}, "needs never"),
        ({"policies": ()}, "at least one, each once"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        small(**changes)


def test_an_unknown_server_that_is_to_decide_is_refused(tmp_path):
    chosen = small(decider="edge9", slots=1, policies=("never",), sweep=())
    with (
        pytest.raises(ConfigurationError, match="no node 'edge9'"),
        RunFolder.create("microservices", chosen, seed=1, out=tmp_path) as folder,
    ):
        microservices.run(chosen, folder, Progress())
