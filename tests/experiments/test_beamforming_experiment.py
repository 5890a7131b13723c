# SPDX-License-Identifier: GPL-2.0-only
"""The experiment beamforming: a small run has all tables, shares and claims; what is refused."""

import dataclasses

import pytest

from edgelam.air.beamforming.learned.settings import PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load
from experiments.beamforming.config import HybridSettings, SurfaceSettings
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


def test_surfaces_pilots_and_hybrid_precoders(tmp_path, capsys):
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
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
