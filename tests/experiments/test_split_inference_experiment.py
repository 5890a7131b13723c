# SPDX-License-Identifier: GPL-2.0-only
"""split_inference: a small run in a small cell, what is printed and drawn of it, and what its settings refuse."""

import dataclasses

import pytest
import torch
from small_llama import small_llama

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


def test_few_bits_cost_bytes_and_answers(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    from edgelam.experiments.split_inference import rounding, workloads
    from edgelam.experiments.split_inference.config import Rounding

    monkeypatch.setattr(workloads, "TRAINING", 40)
    chosen = split_inference.config(
        models=(), methods=(), sweep=False, num_seeds=2,
        rounding=Rounding(models=("minilm",), formats=("fp32", "fp16", "int8", "int2"), inputs=3),
    )  # fmt: skip
    with RunFolder.create("split-inference", chosen, seed=1, out=tmp_path) as folder:
        split_inference.run(chosen, folder, Progress())
    rows = load(folder.path)["rounding"].set_index(["rounded", "format", "seed"])
    assert (rows["answers"] == 3).all()
    means = rows.groupby(["rounded", "format"])[["bytes", "agreement", "accuracy"]].mean()
    model, table = workloads.load_backbone("minilm").model, 384 * 12 + 12  # with the head of 12 modules
    matrices = [p.shape for p in model.parameters() if p.dim() > 1] + [(12, 384)]
    values = sum(p.numel() for p in model.parameters()) + table
    weights = sum(rows_ * columns for rows_, columns in matrices)
    assert means["bytes"]["weights", "fp32"] == 4 * values
    assert means["bytes"]["weights", "fp16"] == 2 * values
    assert means["bytes"]["weights", "int8"] == weights + weights // 32 * 2 + 2 * (values - weights)
    assert means["bytes"]["weights", "int2"] == weights // 4 + weights // 32 * 2 + 2 * (values - weights)
    assert means["bytes"]["activations", "int8"] == 32 * 384 + 32 * 12 * 2
    assert (means["agreement"][:, "fp32"] == 1).all()
    assert means["agreement"]["weights", "int8"] >= 5 / 6
    assert means["agreement"]["weights", "int2"] < 0.5
    assert (means["accuracy"][:, "fp32"] > 0.3).all()
    split_inference.report(folder.path, terminal())
    assert "minilm: int2 weights have less accuracy than fp32" in " ".join(capsys.readouterr().out.split())
    split_inference.plot(folder.path)
    assert len(rounding.table(load(folder.path))) == 8
    assert (folder.path / "rounding.csv").exists()


def test_exits_are_planned(tmp_path, monkeypatch):
    """With an exit that answers as the whole model, and a device that is slow, inputs leave there."""
    from edgelam.experiments.split_inference import workloads

    from edgelam.modalities.recipes import text_lattice

    nested = text_lattice.empty()
    for weights in nested.parts.values():  # every answer is the first class, and sure
        if "head_bias" in weights:
            weights["head"].data.zero_()
            weights["head_bias"].data = torch.tensor([9.0] + [0.0] * (nested.shape.classes - 1))
    monkeypatch.setattr(workloads, "load_trained", lambda name: nested.eval())
    network = dataclasses.replace(
        STREET, options=("bandwidth=20",), devices=("ue*=phone", "edge0=phone,flops_per_s=1e8", "cloud0=phone")
    )
    chosen = dataclasses.replace(
        split_inference.recipes["exits"](), network=network, num_seeds=1, quality_samples=4, requests=2, users=1,
        formats=("fp32",), confidences=(0.0,), methods=("planner", "exits"),
    )  # fmt: skip
    with RunFolder.create("split-inference", chosen, seed=1, out=tmp_path) as folder:
        split_inference.run(chosen, folder, Progress())
    run = load(folder.path)
    requests = run["requests"].set_index("method")
    assert requests.loc["exits", "left"].all()
    assert (requests.loc["exits", "confidence"] == 0).all()
    assert (requests.loc["exits", "cut"] == 3).all()  # behind two of six layers
    assert requests.loc["exits", "agrees"].all()
    assert not requests.loc["planner", "left"].any()
    assert requests.loc["exits", "e2e_s"].max() < requests.loc["planner", "e2e_s"].min()
    split_inference.report(folder.path, terminal())
    split_inference.plot(folder.path)


def test_rounds_by_hand():
    from edgelam.experiments.split_inference.drafts import rounds

    agrees = torch.tensor([[1, 1, 0, 1, 0, 0, 1, 1, 1]]).bool()
    found = rounds(agrees, 2)  # 1 1, then the third token is the whole model's; 1 0; 0; 1 1
    assert found["tokens_a_round"] == pytest.approx((3 + 2 + 1 + 3) / 4)
    assert found["acceptance"] == pytest.approx(5 / (2 + 2 + 1 + 2))
    assert rounds(torch.ones(3, 20).bool(), 4) == {"acceptance": 1, "tokens_a_round": 5, "independent": 5}
    assert rounds(torch.zeros(3, 20).bool(), 4)["tokens_a_round"] == 1


def test_decoding_over_delays(tmp_path, capsys, monkeypatch):
    """With a small language model; all exact methods write the same, and rounds are those that texts predict."""
    from edgelam.experiments.split_inference import decoding, drafts
    from edgelam.experiments.split_inference.config import Decoding, DecodingMethod

    from edgelam.modalities.draft import Draft

    def invented(examples, count, seed):
        return torch.randint(60, (count, 16), generator=torch_generator(seed % 2**63)).tolist()

    whole = small_llama(vocab_size=60, layers=4, spread=0.1)
    layers = {"distilled": 3, "untrained": 1}
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(drafts, "whole", lambda: whole)
    monkeypatch.setattr(drafts, "draft_of", lambda kind, target: Draft(target.model, layers=layers[kind]))
    for module in (drafts, decoding):
        monkeypatch.setattr(module, "prompts", invented)
    chosen = dataclasses.replace(
        split_inference.recipes["decoding"](), num_seeds=2, decoding=Decoding(
            methods=DecodingMethod.__args__, delays_ms=(1, 30), prompts=1, tokens=10, texts=3, draft_length=2
        ),
    )  # fmt: skip
    with RunFolder.create("split-inference", chosen, seed=1, out=tmp_path) as folder:
        split_inference.run(chosen, folder, Progress())
    run = load(folder.path)
    rows = run["decoding"]
    assert len(rows) == 2 * 2 * 2 * 7
    assert (rows.loc[rows["method"] != "cascade", "same"] == 1).all()
    assert (rows["tokens"] == 10).all()
    far, near = (rows[rows["delay_ms"] == delay].set_index(["method", "server", "seed"]) for delay in (30, 1))
    assert (far["rtt_s"] - near["rtt_s"]).min() > 0.05
    assert (far.loc["speculative", "e2e_s"] > near.loc["speculative", "e2e_s"]).all()
    assert (far.loc["device-only", "e2e_s"] - near.loc["device-only", "e2e_s"]).abs().max() < 1e-9
    assert (rows.groupby("method")["server_s"].sum()["device-only"]) == 0
    assert set(run["drafts"]["draft"]) == {"distilled", "untrained"}
    split_inference.report(folder.path, terminal())
    assert "30 ms one way" in " ".join(capsys.readouterr().out.split())
    (figure,) = split_inference.plot(folder.path)
    assert figure.name == "decoding.svg"


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
        ({"tokens": 1}, "decoding.tokens is 1; it must be at least 2"),
        ({"threshold": 2.0}, "decoding.threshold is 2.0"),
        ({"delays_ms": (-1.0,)}, "legal are 0 to 1, and 0 or more"),
        ({"drafts": ()}, "decoding.drafts are "),
    ],
)
def test_decoding_that_is_refused(settings, error):
    from edgelam.experiments.split_inference.config import Decoding

    with pytest.raises(ConfigurationError, match=error):
        Decoding(**settings)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"formats": ("fp32", "fp16", "int9")}, "bits is 9"),
        ({"formats": ("fp16",)}, "formats lack fp32, which method neurosurgeon uses"),
        ({"least_agreement": 1.5}, r"least_agreement is 1.5 .* legal are 0 to 1"),
        ({"users": 0}, "users is 0; it must be at least 1"),
        ({"models": ()}, "models are .*; at least 1, each once"),
        ({"pause_s": 0.0}, "pause_s is 0.0; it must be above 0"),
        ({"confidences": (1.5,)}, "confidences are .*legal are 0 to 1"),
        ({"methods": ("exits",)}, "models efficientnet-lite0, minilm, smollm2-135m have no trained exits"),
    ],
)
def test_settings_that_are_refused(settings, error):
    with pytest.raises(ConfigurationError, match=error):
        split_inference.config(**settings)
