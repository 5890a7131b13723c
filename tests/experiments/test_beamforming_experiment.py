# SPDX-License-Identifier: GPL-2.0-only
"""The experiment beamforming: a small run has all tables, shares and claims; what is refused."""

import dataclasses

import pytest

from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.settings import PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import Network, RunFolder, experiments, load
from experiments.beamforming.config import FederatedSettings, HybridSettings, SurfaceSettings
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"federated": {"rounds": 0}}, "at least 1"),
        ({"surface": {"pilots": (10,)}}, "multiples of 3"),
        ({"surface": {"draws": 3, "codes": 10}}, "legal are 1 to 9"),
        ({"hybrid": {"antennas": 7}}, "at least 8"),
        ({"hybrid": {"snr_db": 99.0}}, "-40 to 40 dB"),
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
        ({"tests": ("4x2@10",)}, "zf needs an antenna for each user"),
        ({"tests": ()}, "no network to drive"),
        ({"learned": (), "rules": ()}, "nothing to run"),
        ({"seed": 0}, "seed is 0"),
        ({"num_seeds": 0}, "num_seeds is 0"),
    ],
)
def test_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        dataclasses.replace(TINY, **change)
