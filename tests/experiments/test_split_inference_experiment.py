# SPDX-License-Identifier: GPL-2.0-only
"""split_inference: a small run in a small cell, what is printed and drawn of it, and what its settings refuse."""

import dataclasses

import pytest
import torch

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.random_streams import torch_generator
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


def test_what_crosses_is_attacked(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    from edgelam.experiments.split_inference.config import Leakage

    chosen = split_inference.config(
        models=(), methods=(), sweep=False, num_seeds=2, leakage=Leakage(
            models=("minilm",), protections=("fp32", "noise 30"), cuts=2, texts=20, tests=4, hidden=8, steps=10
        ),
    )  # fmt: skip
    with RunFolder.create("split-inference", chosen, seed=1, out=tmp_path) as folder:
        split_inference.run(chosen, folder, Progress())
    rows = load(folder.path)["leakage"]
    assert len(rows) == 2 * 2 * 2
    assert set(rows["stage"]) == {"embedding", "layer 5"}
    plain, noisy = rows[rows["protection"] == "fp32"], rows[rows["protection"] == "noise 30"]
    assert (plain["agreement"] == 1).all()
    assert plain.loc[plain["cut"] == 1, "linear"].min() > 0.6  # a row of the table behind each, from 640 pairs
    assert noisy["linear"].max() < 0.3
    split_inference.report(folder.path, terminal())
    assert "minilm: less is found behind the deepest cut than behind the first" in " ".join(
        capsys.readouterr().out.split()
    )
    (figure,) = split_inference.plot(folder.path)
    assert figure.exists()
    assert (folder.path / "leakage.csv").exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 2.0])
def test_noise_is_a_share_of_what_crosses_and_integers_are_left(share):
    from edgelam.experiments.split_inference.leakage import protected

    state = {"hidden": 3 * torch.randn(1, 200, 50, generator=torch_generator(1)), "ids": torch.arange(5)}
    there = protected(state, f"noise {share}", torch_generator(2))
    assert torch.equal(there["ids"], state["ids"])
    added = (there["hidden"] - state["hidden"]).square().mean().sqrt() / state["hidden"].square().mean().sqrt()
    assert float(added) == pytest.approx(share, rel=0.02, abs=1e-7)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"protections": ("noise x",)}, "'noise x'; legal is noise SHARE, 0 or more"),
        ({"protections": ("noise -1",)}, "'noise -1'; legal"),
        ({"protections": ("int9",)}, "bits is 9"),
        ({"protections": ()}, "protections are empty"),
        ({"cuts": 0}, "leakage.cuts is 0"),
    ],
)
def test_attacks_that_are_refused(settings, error):
    from edgelam.experiments.split_inference.config import Leakage

    with pytest.raises(ConfigurationError, match=error):
        Leakage(**settings)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"formats": ("fp32", "fp16", "int9")}, "bits is 9"),
        ({"formats": ("fp16",)}, "formats lack fp32, which method neurosurgeon uses"),
        ({"least_agreement": 1.5}, r"least_agreement is 1.5 .* legal are 0 to 1"),
        ({"users": 0}, "users is 0; it must be at least 1"),
        ({"models": ()}, "models are .*; at least 1, each once"),
        ({"pause_s": 0.0}, "pause_s is 0.0; it must be above 0"),
    ],
)
def test_settings_that_are_refused(settings, error):
    with pytest.raises(ConfigurationError, match=error):
        split_inference.config(**settings)
