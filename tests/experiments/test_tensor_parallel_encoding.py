# SPDX-License-Identifier: GPL-2.0-only
"""Recipe encoding of tensor-parallel: attacks on encoded inputs and the price of remedies, in small."""

import dataclasses
import io
import math

import pytest
from rich.console import Console

from edgelam.output.progress import Progress
from edgelam.runs import RunFolder, experiments, load

tensor_parallel = experiments.find("tensor-parallel")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from edgelam.experiments.tensor_parallel import config, encoding

    model = config.Model(width=16, num_heads=4, feed_forward=32, loops=2, length=8, batch=4, column_groups=8)
    chosen = dataclasses.replace(config.encoding(), model=model, num_devices=(2,), steps=2, curve_steps=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "SAMPLES", 3)
        patch.setattr(encoding, "COLUMNS", (1, 8))
        patch.setattr(encoding, "NOISES", (0.0, 1.0))
        with RunFolder.create("tensor-parallel", chosen, seed=1, out=tmp_path_factory.mktemp("runs")) as folder:
            tensor_parallel.run(chosen, folder, Progress())
    return load(folder.path)


def test_who_recovers_what(run):
    attacks = run["attacks"].set_index(["observer", "columns", "remedy"])[["residual", "identified"]]
    assert attacks.loc[("one device", 96, "none")].tolist() == [pytest.approx(math.sqrt(1 - 96 / 384), abs=0.06), 1.0]
    assert attacks.loc[("two devices", 224, "none")].tolist() == [
        pytest.approx(math.sqrt(1 - 224 / 384), abs=0.06),
        1.0,
    ]
    server = attacks.loc[("merging server", 384, "none")]
    assert server["residual"] < 1e-3
    assert server["identified"] == 1.0
    assert attacks.loc[("one device", 96, "masks"), "identified"] == 0.0
    assert attacks.loc[("two devices", 224, "masks"), "identified"] == 0.0
    assert attacks.loc[("merging server", 384, "masks")].equals(server)
    assert attacks.loc[("columns", 8, "none"), "identified"] == 1.0
    assert attacks.loc[("columns", 8, "noise"), "identified"] < 0.2


def test_what_remedies_cost(run):
    steps = run.metrics.set_index(["method", "step"])
    assert set(run.metrics["method"]) == {"no remedy", "noise 0.2", "noise 1.0", "masks"}
    for step in range(4):
        plain, masked = (steps.loc[(method, step)] for method in ("no remedy", "masks"))
        assert masked["loss_nats"] == pytest.approx(plain["loss_nats"], abs=1e-5)
        assert masked["extrapolated"] == (step >= 2)
    assert steps.loc[("noise 1.0", 3), "loss_nats"] != steps.loc[("no remedy", 3), "loss_nats"]
    up = run["transfers"].groupby(["method", "tag"])["size_bytes"].max()
    assert up["masks", "attention"] - 4 == 2 * (up["no remedy", "attention"] - 4)


def test_its_table_and_figure(run):
    out = io.StringIO()
    tensor_parallel.report(run.path, Console(file=out, width=200))
    assert "merging server" in out.getvalue()
    assert run.path / "encoding.svg" in tensor_parallel.plot(run.path)
