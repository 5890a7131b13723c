# SPDX-License-Identifier: GPL-2.0-only
"""The experiment beamforming: a small run has all tables, shares and claims; what is refused."""

import dataclasses
import math

import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertModel

from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.settings import PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError
from edgelam.models import LoraSettings
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import Network, RunFolder, experiments, load
from experiments.beamforming import other_results, street
from experiments.beamforming.config import (
    CoordinatedSettings,
    EnergySettings,
    FederatedSettings,
    HybridSettings,
    LoopSettings,
    SensingSettings,
    SeveralSettings,
    StreamSettings,
    SurfaceSettings,
)
from experiments.beamforming.results import claims, rates

beamforming = experiments.find("beamforming")
TINY = beamforming.config(
    num_seeds=2, learned=("no-backbone", "unrolled-wmmse"), tests=("3x3@10", "2x4@0"), test_samples=20,
    policy=PolicySettings(width=8, iterations=2), training=TrainingSettings(steps=45, batch_size=8), threads=1,
)  # fmt: skip


def test_a_run(tmp_path, capsys):
    with RunFolder.create("beamforming", TINY, seed=1, out=tmp_path) as folder:
        beamforming.run(TINY, folder, Progress())
    run = load(folder.path)
    assert len(run["rates"]) == 7 * 2 * 2
    assert run["curves"].groupby(["method", "seed"]).size().eq(40).all()
    assert set(run["policies"]["method"]) == {"no-backbone", "unrolled-wmmse"}
    found = rates(run).set_index(["test", "method"])
    assert (found["of_wmmse"] <= 1.0001).all()
    assert found.loc[("3x3@10", "wmmse"), "gap_closed"] == pytest.approx(1.0)
    assert found.loc[("3x3@10", "rzf"), "gap_closed"] == pytest.approx(0.0)
    assert found.loc[("3x3@10", "unrolled-wmmse"), "gap_closed"] > 0.3
    assert {"no-backbone is above rzf", "unrolled-wmmse is above rzf"} == set(claims(run)["claim"])
    beamforming.report(folder.path, terminal())
    assert "Claims, paired by seed" in capsys.readouterr().out
    assert len(beamforming.plot(folder.path)) == 2
    assert len(list((folder.path / "policies").iterdir())) == 4


def test_surfaces_pilots_and_hybrid_precoders(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    config = beamforming.config(
        learned=("unrolled-wmmse",), rules=(), tests=(), training=TrainingSettings(steps=2, batch_size=4), threads=1,
        policy=PolicySettings(iterations=2),
        surface=SurfaceSettings(samples=4, pilots=(9,), rounds=2, policy_steps=2, policy_batch_size=2, draws=60,
                                codes=100, steps=2, batch_size=4),
        hybrid=HybridSettings(samples=20, users=3, antennas=6, policy_steps=2),
    )  # fmt: skip
    with RunFolder.create("beamforming", config, seed=1, out=tmp_path) as folder:
        beamforming.run(config, folder, Progress())
    found = rates(load(folder.path)).set_index(["test", "method"])
    assert found.loc[("surface", "bcd"), "rate"] > found.loc[("surface", "random-phases"), "rate"]
    assert found.loc[("surface", "bcd"), "of_wmmse"] == 1
    assert found.loc[("surface, 9 pilots", "pilot-encoder"), "of_network"] > 0.4
    assert found.loc[("hybrid, 6 chains, fully connected", "mo-altmin"), "of_wmmse"] > 0.99
    assert 0.5 < found.loc[("hybrid, 3 chains, partly connected", "hybrid-unrolled-wmmse"), "of_wmmse"] < 1.001
    assert len(list((folder.path / "policies").iterdir())) == 1 + 1 + 1 + 3
    beamforming.report(folder.path, terminal())
    printed = capsys.readouterr().out
    assert "of the published network" in printed
    assert "pilot-encoder is above lmmse" in printed
    assert len(beamforming.plot(folder.path)) == 2


def tiny_bert(tmp_path):
    torch.manual_seed(1)
    small = BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                       max_position_embeddings=40)  # fmt: skip
    BertModel(small, add_pooling_layer=False).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def execute(config, tmp_path):
    with RunFolder.create("beamforming", config, seed=1, out=tmp_path) as folder:
        beamforming.run(config, folder, Progress())
    return load(folder.path)


def test_cells_streams_energy_and_sensing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    config = beamforming.config(
        learned=("no-backbone",), rules=(), tests=(), training=TrainingSettings(steps=2, batch_size=4), threads=1,
        policy=PolicySettings(width=8),
        coordinated=CoordinatedSettings(samples=10, cells=(2, 3), policy_steps=2, policy_batch_size=4),
        energy=EnergySettings(samples=6, users=2, antennas=3), streams=StreamSettings(samples=6, policy_steps=2),
        sensing=SensingSettings(samples=4, antennas=6, users=2, probing=2, shares=(0.0, 0.6), policy_steps=2, rounds=3),
    )  # fmt: skip
    run = execute(config, tmp_path)
    found = rates(run).set_index(["test", "method"])
    three = "3 cells of 2x4@10"
    assert found.loc[(three, "coordinated-wmmse"), "rate"] > found.loc[(three, "selfish-wmmse"), "rate"]
    assert found.loc[(three, "coordinated-no-backbone"), "of_wmmse"] > 0.5
    assert ("2 cells of 2x4@10", "matched") in found.index
    streams = "4 users of 2x8, 2 streams each@10"
    assert found.loc[(streams, "stream-wmmse"), "rate"] > found.loc[(streams, "block-diagonal"), "rate"]
    assert found.loc[(streams, "streams-no-backbone"), "rate"] > found.loc[(streams, "eigenbeams"), "rate"]
    joules = other_results.energy(run).set_index("method")
    assert joules.loc["wmmse", "efficiency"] > joules.loc["wmmse, all power", "efficiency"]
    assert (
        joules.loc["wmmse", "radiated_w"] < joules.loc["wmmse, all power", "radiated_w"] == pytest.approx(40, rel=1e-3)
    )
    assert joules.loc["no-backbone", "efficiency"] > joules.loc["mrt", "efficiency"]
    trades = other_results.sensing(run).set_index(["method", "share"])
    for method in ("optimiser", "sensing-no-backbone"):
        assert trades.loc[(method, 0.6), "error"] < trades.loc[(method, 0.0), "error"]
        assert trades.loc[(method, 0.6), "error"] >= trades.loc[(method, 0.6), "least_error"]
        assert trades.loc[(method, 0.6), "rate"] < trades.loc[(method, 0.0), "rate"]
    beamforming.report(run.path, terminal())
    printed = capsys.readouterr().out
    assert "Sensing beside sending" in printed
    assert "coordinated-wmmse is above selfish-wmmse" in printed
    assert "wmmse carries more bits per joule than wmmse, all power" in printed
    assert run.path / "sensing.svg" in beamforming.plot(run.path)
    assert len(list((run.path / "policies").iterdir())) == 4


def test_one_model_for_several_problems(tmp_path):
    config = beamforming.config(
        learned=("no-backbone",), rules=(), tests=(), training=TrainingSettings(steps=2, batch_size=4), threads=1,
        policy=PolicySettings(width=8), several=SeveralSettings(samples=30, policy_steps=12, policy_batch_size=16),
    )  # fmt: skip
    run = execute(config, tmp_path)
    sizes = run["policies"].set_index("method")["trained"]
    assert sizes["one-no-backbone"] == sizes["own-no-backbone-cells"] == sizes["no-backbone"]
    assert run["curves"].groupby("method")["step"].max()["one-no-backbone"] == 4 * 12
    found = rates(run).set_index(["test", "method"])
    assert found.loc[("digital, 4x4", "rzf"), "gap_closed"] == 0
    for test in ("digital, 4x4", "hybrid, 4x12", "streams, 3 users", "3 cells"):
        share = found.loc[(test, "one-no-backbone"), "of_wmmse"]
        assert 0.5 < share < 1.001
        assert share != found.loc[(test, "first-no-backbone"), "of_wmmse"]
    judged = claims(run)
    assert {"one-no-backbone is above first-no-backbone", "one-no-backbone is above own-no-backbone"} <= set(
        judged["claim"]
    )


def test_training_that_is_interrupted_ends_alike(tmp_path):
    """With a limit that has passed at once, each step is a slice of its own; dropout and draws go on."""
    config = beamforming.config(
        learned=("graph-lam",), rules=("rzf",), tests=("3x3@10",), test_samples=10, threads=1,
        training=TrainingSettings(steps=4, batch_size=4), policy=PolicySettings(
            backbone=str(tiny_bert(tmp_path)), width=8, lora=LoraSettings(rank=2, dropout=0.3)
        ),
        surface=SurfaceSettings(samples=2, pilots=(9,), rounds=2, policy_steps=2, policy_batch_size=2, draws=20,
                                codes=20, steps=2, batch_size=4),
    )  # fmt: skip
    whole = execute(config, tmp_path)
    assert whole.manifest["unfinished"] == []
    sliced = dataclasses.replace(config, checkpoints=str(tmp_path / "kept"), time_limit_s=1e-9)
    slices = 1
    while (run := execute(sliced, tmp_path)).manifest["unfinished"]:
        assert run.manifest["unfinished"] == ["1"]
        slices += 1
    assert slices == 6  # 4 + 2 + 2 steps, the last of each training ends no slice
    for table in ("curves", "rates"):
        columns = [column for column in whole[table] if column not in ("decision_ms",)]
        pd.testing.assert_frame_equal(run[table][columns], whole[table][columns], rtol=0, atol=0)
    for path in (whole.path / "policies").iterdir():
        assert (run.path / "policies" / path.name).read_bytes() == path.read_bytes()
    other = dataclasses.replace(sliced, training=TrainingSettings(steps=4, batch_size=5))
    with pytest.raises(ConfigurationError, match="is of another run: its settings"):
        execute(other, tmp_path)
    kept = tmp_path / "kept" / "graph-lam-seed1.safetensors"
    content = bytearray(kept.read_bytes())
    content[-3] ^= 1
    kept.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        execute(sliced, tmp_path)


def test_channels_of_a_street(tmp_path):
    """They have geometry: neighbours are more alike than independent users, and zero forcing loses more."""
    config = beamforming.config(
        learned=(), rules=("zf", "wmmse"), tests=("6x8@10", "6x8@10/street"), test_samples=30, threads=1
    )  # fmt: skip
    found = rates(execute(config, tmp_path)).set_index(["test", "method"])["of_wmmse"]
    assert found["6x8@10/street", "zf"] < found["6x8@10", "zf"] - 0.1
    channel = street.channels(9, 3, 4, seed=5)
    assert channel.shape == (9, 3, 4)
    assert channel.abs().square().sum(-1).flatten().tolist() == pytest.approx([4.0] * 27, rel=1e-4)
    torch.testing.assert_close(channel, street.channels(9, 3, 4, seed=5), rtol=0, atol=0)


def test_federated_over_sites(tmp_path):
    """What is trained crosses the cell in each round, and the mean of one site alone is that site's own training."""
    config = beamforming.config(
        learned=("no-backbone",), rules=(), tests=(), test_samples=10, policy=PolicySettings(width=8), threads=1,
        training=TrainingSettings(batch_size=4), federated=FederatedSettings(sites=2, rounds=2, steps=2),
        network=Network(scenario="nr-urban-micro", options=("bandwidth=20",)),
    )  # fmt: skip
    alone = dataclasses.replace(config, federated=FederatedSettings(sites=1, rounds=2, steps=2),
                                network=Network(scenario="none"))  # fmt: skip
    found = []
    for each in (config, alone):
        with RunFolder.create("beamforming", each, seed=1, out=tmp_path) as folder:
            beamforming.run(each, folder, Progress())
        found.append(load(folder.path))
    rounds = found[0]["rounds"]
    assert rounds["time_s"].is_monotonic_increasing
    assert rounds["time_s"].iloc[0] > 0.01
    trained = training.make("no-backbone", config.policy).trained()
    assert rounds["bytes"].iloc[1] - rounds["bytes"].iloc[0] >= 2 * 2 * 4 * trained
    assert set(found[0]["rates"]["test"]) == {"site 0: 4x4@5", "site 1: 4x5@7.5"}
    one = rates(found[1]).set_index("method")["rate"]
    assert one["no-backbone-federated"] == one["no-backbone-local"]
    assert one["no-backbone-local"] != one["rzf"]
    assert "no-backbone-federated is above no-backbone-local" in set(claims(found[0])["claim"])


@pytest.mark.parametrize("rule", ["fedit", "ffa-lora", "flora"])
def test_rules_for_adapters_over_sites(tmp_path, rule):
    """With ffa-lora half of the adapters are sent; with flora, stacks come down, of the rank of all together."""
    config = beamforming.config(
        learned=("graph-lam",), rules=(), tests=(), test_samples=4, threads=1,
        policy=PolicySettings(backbone=str(tiny_bert(tmp_path)), width=4, lora=LoraSettings(rank=2)),
        training=TrainingSettings(batch_size=2), network=Network(scenario="none"),
        federated=FederatedSettings(sites=2, rounds=2, steps=2, aggregation=rule),
    )  # fmt: skip
    run = execute(config, tmp_path)
    sliced = dataclasses.replace(config, checkpoints=str(tmp_path / "kept"), time_limit_s=1e-9)
    slices = 1
    while (again := execute(sliced, tmp_path)).manifest["unfinished"]:
        slices += 1
    assert slices == 1 + 4  # over sites, two sites alone, and pooled
    pd.testing.assert_frame_equal(again["rounds"], run["rounds"])
    assert again["rates"]["rate"].tolist() == run["rates"]["rate"].tolist()
    sent = run["rounds"]["bytes"].diff().iloc[1]
    policy = training.make("graph-lam", config.policy)
    adapters = sum(value.numel() for name, value in policy.named_parameters() if "lora_" in name)
    crossing = policy.trained() - adapters
    down = {"fedit": adapters, "ffa-lora": adapters / 2, "flora": 2 * adapters}[rule]
    up = adapters / 2 if rule == "ffa-lora" else adapters
    assert sent >= 2 * 4 * (2 * crossing + down + up)
    assert sent < 1.5 * 2 * 4 * (2 * crossing + down + up) + 20000
    assert rates(run)["rate"].notna().all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"federated": {"rounds": 0}}, "at least 1"),
        ({"surface": {"pilots": (10,)}}, "multiples of 3"),
        ({"surface": {"draws": 3, "codes": 10}}, "legal are 1 to 9"),
        ({"hybrid": {"antennas": 7}}, "at least 8"),
        ({"hybrid": {"snr_db": 99.0}}, "-40 to 40 dB"),
        ({"coordinated": {"cells": ()}}, "each once"),
        ({"coordinated": {"cross_db": (0.0, -3.0)}}, "low first"),
        ({"coordinated": {"cross_db": (math.nan, 0.0)}}, "low first"),
        ({"energy": {"power_w": 0.0}}, "the first above 0"),
        ({"streams": {"streams": 3}}, "at most 2"),
        ({"streams": {"antennas": 7}}, "at most 7"),
        ({"sensing": {"probing": 8}}, "legal are 0 to 7"),
        ({"sensing": {"shares": (1.5,)}}, "0 to 1"),
        ({"several": {"policy_steps": 0}}, "at least 1"),
    ],
)
def test_refused_settings(change, words):
    for name, values in change.items():
        with pytest.raises(ConfigurationError, match=words):
            dataclasses.replace(getattr(TINY, name), **values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tests": ("4x4",)}, "legal are USERSxANTENNAS@SNR"),
        ({"tests": ("4x4@90",)}, "-40 to 40 dB"),
        ({"tests": ("41x64@10/street",)}, "up to 40 users"),
        ({"time_limit_s": 5.0}, "with checkpoints"),
        ({"time_limit_s": math.nan}, "with checkpoints"),
        ({"device": "gpu"}, "legal are PyTorch's"),
        ({"loop": LoopSettings(phases=("policy",))}, "trained with both"),
        ({"tests": ("4x2@10",)}, "zf needs an antenna for each user"),
        ({"tests": ()}, "no network to drive"),
        ({"several": SeveralSettings(samples=5)}, "for one cell only"),
        ({"learned": (), "rules": ()}, "nothing to run"),
        ({"seed": 0}, "seed is 0"),
        ({"num_seeds": 0}, "num_seeds is 0"),
    ],
)
def test_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        dataclasses.replace(TINY, **change)
