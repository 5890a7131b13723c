# SPDX-License-Identifier: GPL-2.0-only
"""split_inference: a small run in a small cell, what is printed and drawn of it, and what its settings refuse."""

import dataclasses

import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

split_inference = experiments.find("split-inference")
STREET = split_inference.config().network


def test_a_run_is_printed_and_drawn(tmp_path, capsys, monkeypatch):
    from edgelam.experiments.split_inference import workloads

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(workloads, "TRAINING", 40)
    chosen = split_inference.config(
        models=("minilm",), num_seeds=1, network=dataclasses.replace(STREET, options=("bandwidth=20",)),
        users=2, requests=2, quality_samples=2, formats=("fp32", "fp16", "int8"),
    )  # fmt: skip
    with RunFolder.create("split-inference", chosen, seed=1, out=tmp_path) as folder:
        split_inference.run(chosen, folder, Progress())
    run = load(folder.path)
    requests = run["requests"]
    assert len(requests) == 6 * 2 * 2
    assert requests.groupby("method")["agrees"].mean()["edge-only"] == 1
    parts = requests[["near_s", "up_s", "far_s", "down_s"]].sum(axis=1)
    assert (parts - requests["e2e_s"]).abs().max() < 1e-9
    cloud = requests["method"] == "cloud-only"
    assert (requests.loc[cloud, "wan_bytes"] == 64).all()  # 32 ids of two bytes
    assert (requests.loc[~cloud, "wan_bytes"] == 0).all()
    assert (requests.loc[requests["method"] == "device-only", "up_bytes"] == 0).all()
    assert set(run["quality"]["cut"]) == set(range(9))
    assert len(run["sweep"]) == 2 + 3 * 7  # ids, or nothing, cross once; hidden states in three formats
    planned = run["planned"].iloc[0]
    assert planned["e2e_s"] <= 1.05 * planned["least_s"]
    split_inference.report(folder.path, terminal())
    assert "minilm: planner is faster than cloud-only" in " ".join(capsys.readouterr().out.split())
    (figure,) = split_inference.plot(folder.path)
    assert figure.exists()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"formats": ("fp32", "fp16", "int9")}, "bits is 9"),
        ({"formats": ("fp16",)}, "formats lack fp32, which method neurosurgeon uses"),
        ({"least_agreement": 1.5}, r"least_agreement is 1.5 .* legal are 0 to 1"),
        ({"users": 0}, "users is 0; it must be at least 1"),
        ({"models": ()}, "models are .*; at least one"),
        ({"pause_s": 0.0}, "pause_s is 0.0; it must be above 0"),
    ],
)
def test_settings_that_are_refused(settings, error):
    with pytest.raises(ConfigurationError, match=error):
        split_inference.config(**settings)
