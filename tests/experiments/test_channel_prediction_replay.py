# SPDX-License-Identifier: GPL-2.0-only
"""channel-prediction replayed over another network, against really running it there."""

import dataclasses

import pandas as pd
from test_channel_prediction import TINY, execute

from edgelam.runs import load, replay

METHODS = ("hold-last", "gru-local", "gru-pooled", "gru-federated")


def test_federated_and_pooled_training_over_another_backhaul(tmp_path):
    network = dataclasses.replace(TINY.network, options=("cloudDelay=1ms",))
    near = dataclasses.replace(TINY, methods=METHODS, network=network)
    there = dataclasses.replace(network, options=("cloudDelay=40ms", "bandwidth=20"))
    far = dataclasses.replace(near, network=there)
    original, real = load(execute(near, tmp_path, "near")), load(execute(far, tmp_path, "far"))
    replayed = replay(original, options={"cloudDelay": "40ms", "bandwidth": "20"}, out=tmp_path / "replayed")
    for name in ("epochs", "scores", "models", "transfers"):
        tables = [run[name].drop(columns="transfer", errors="ignore") for run in (replayed, real)]
        pd.testing.assert_frame_equal(*tables, check_exact=True, obj=name)
    assert replayed["epochs"]["time_s"].max() > original["epochs"]["time_s"].max()
    # measured over the first network, outside the programs: not of this one
    assert "costs" in original
    assert "costs" not in replayed or replayed["costs"].empty
