# SPDX-License-Identifier: GPL-2.0-only
"""tensor-parallel, recipe faults: a device that leaves, is lost or slow; the others go on, and what is lost is said."""

import dataclasses
import io

import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

tensor_parallel = experiments.find("tensor-parallel")
FAULTS = ("none", "leaves", "stops", "silenced", "coverage", "straggler", "straggler-left")
STEPS, HIT, EVERY = 5, 2, 2


def small(**changes):
    from edgelam.experiments.tensor_parallel import config

    model = config.Model(width=16, num_heads=4, feed_forward=32, loops=2, length=8, batch=4, column_groups=8)
    given = {"model": model, "num_devices": (4,), "steps": STEPS, "fault_step": HIT, "checkpoint_every": EVERY,
             "probe_bytes": 5000, "free_memory": (0.6, 0.7), "patience": 0.3, "faults": FAULTS}  # fmt: skip
    return dataclasses.replace(config.faults(), **given | changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    chosen = small(faults=("none", "leaves", "stops", "silenced", "straggler", "straggler-left"))
    with RunFolder.create("tensor-parallel", chosen, seed=1, out=tmp_path_factory.mktemp("runs")) as folder:
        tensor_parallel.run(chosen, folder, Progress())
    return load(folder.path)


def test_who_is_left_trains_as_one_device_does(run):
    assert run["faults"]["fault"].tolist() == [fault for fault in FAULTS if fault != "coverage"]
    assert (run["faults"]["loss_error"] < 1e-5).all()
    for _, steps in run["fault_steps"].groupby("fault"):
        assert steps["step"].iloc[-1] == STEPS - 1
        assert set(steps["step"]) == set(range(STEPS))


def test_what_is_lost_is_said(run):
    found = run["faults"].set_index("fault")
    assert found.loc["none", "moved_bytes"] == 0
    assert found["noticed_s"].isna().tolist() == [True, False, False, False, True, False]
    assert found.loc["leaves", "steps_lost"] == 0
    for fault, reason in (("stops", "its program ended"), ("silenced", "0.3 s"), ("straggler-left", "0.3 s")):
        row = found.loc[fault]
        assert row["steps_lost"] == (HIT + 1) % EVERY
        assert reason in row["reason"]
        assert row["heads"] + row["columns"] > 0
        assert row["moved_bytes"] > 0
        assert row["next_step_s"] > row["noticed_s"] > row["hit_s"]
    assert found.loc["straggler", "step_after_s"] > 2 * found.loc["straggler", "step_before_s"]
    assert found.loc["straggler-left", "step_after_s"] < found.loc["straggler", "step_after_s"]


def test_report_and_figure_are_made_of_the_folder_alone(run):
    console = terminal()
    console.file = io.StringIO()
    tensor_parallel.report(run.path, console)
    said = console.file.getvalue()
    assert "What a fault of a device costs" in said
    assert "straggler-left" in said
    assert [path.name for path in tensor_parallel.plot(run.path)] == ["faults.svg"]
    assert (run.path / "faults.csv").read_text().count("\n") == len(FAULTS)


def test_a_device_drives_out_of_coverage_where_there_is_room():
    from edgelam.experiments.tensor_parallel.config import check

    small(faults=("none", "leaves"), network=dataclasses.replace(small().network, scenario="nr-indoor"))
    elsewhere = small(network=dataclasses.replace(small().network, scenario="nr-indoor"))
    with pytest.raises(ConfigurationError, match="fault coverage over nr-indoor"):
        check(elsewhere)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fault_step": STEPS}, f"fault_step is {STEPS}; a step before the last of {STEPS} is legal"),
        ({"patience": 0.0}, "patience is 0.0"),
        ({"faults": ("none", "none")}, "each once"),
        ({"checkpoint_every": -1}, "checkpoint_every is -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigurationError, match=said):
        small(**changes)
