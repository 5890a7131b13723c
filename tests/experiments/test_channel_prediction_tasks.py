# SPDX-License-Identifier: GPL-2.0-only
"""One backbone for prediction and beamforming: what is shared, what is trained, and how much is held and sent."""

import dataclasses
import functools
import io

import pytest
from edgelam.experiments.channel_prediction.recipes import tasks
from edgelam.experiments.channel_prediction.tasks.settings import TasksSettings
from rich.console import Console

from edgelam import models
from edgelam.air.prediction import LamSettings, WindowSettings
from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder, experiments, load

TINY = dataclasses.replace(
    tasks(), tasks=TasksSettings(steps=3, samples=8, batch_size=4, users=2),
    csi=("gnbRows=1", "gnbColumns=1", "tones=16"), window=WindowSettings(tones=8), test_samples=6, repeats=1, threads=1,
    lam=LamSettings(channels=2, blocks=1, layers=1, lora=LoraSettings(rank=2)),
)  # fmt: skip


def test_all_ways_are_trained_and_weighed(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(models, "load_backbone", functools.cache(models.load_backbone))  # each policy loads it
    experiment = experiments.find("channel-prediction")
    experiment.check(TINY, start=False)
    with RunFolder.create("channel-prediction", TINY, seed=1, out=tmp_path) as folder:
        experiment.run(TINY, folder, Progress(Console(file=io.StringIO())))
    rows = load(folder.path)["tasks"].set_index("method")
    assert list(rows.index) == ["adapters", "joint", "full", "small"]
    assert rows["nmse"].between(0, 10).all()
    assert rows["of_wmmse"].between(0.3, 1.001).all()
    held, sent = rows["held_bytes"], rows["sent_bytes"]
    layer = 4 * 1_774_464  # a layer of MiniLM
    adapters = 4 * 4 * 384 * 2  # query and value, A and B of rank 2
    assert sent["adapters"] - sent["joint"] == adapters
    assert held["adapters"] - held["joint"] == adapters
    assert held["full"] - held["adapters"] == pytest.approx(layer, rel=0.2)  # and positions
    assert sent["full"] > 2 * layer
    assert sent["small"] == pytest.approx(sent["adapters"], rel=0.1)
    text = io.StringIO()
    experiment.report(folder.path, Console(file=text, width=200))
    assert "adapters predicts better than full" in text.getvalue()
    assert [path.name for path in experiment.plot(folder.path)] == ["tasks.svg"]


@pytest.mark.parametrize(
    ("change", "words"), [({"steps": -1}, "steps is -1"), ({"learning_rate": 0.0}, "learning_rate")]
)
def test_illegal_settings_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        TasksSettings(**change)
