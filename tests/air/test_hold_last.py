# SPDX-License-Identifier: GPL-2.0-only
"""Hold-last prediction: by hand, and recorded CSI against the closed form of its own rays."""

import json

import numpy as np
import pytest

from edgelam.air import csi
from edgelam.air.csi import HoldLastSettings, closed_form, prediction_error
from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError


def rotating(turns_per_snapshot, snapshots=20):
    """One path: exp(j 2 pi nu t), [time, 1, 1, 1]."""
    return np.exp(2j * np.pi * turns_per_snapshot * np.arange(snapshots)).astype(np.complex64)[:, None, None, None]


def test_one_path_by_hand():
    # an eighth of a turn a snapshot: 2 - 2 cos 45, 90, 135, 180 degrees = 0.586, 2, 3.414, 4; their mean is 2.5
    assert prediction_error(rotating(1 / 8), tones=1) == pytest.approx(2.5, rel=1e-6)
    assert closed_form([3.0], [250.0], 0.5e-3) == pytest.approx(2.5)
    # noise 10 dB below: (2.5 + 0.2) / 1.1
    assert closed_form([3.0], [250.0], 0.5e-3, snr_db=10) == pytest.approx(2.7 / 1.1)


def test_two_paths_by_hand():
    # a still path of power 3 and one of power 1 that turns half round each snapshot: Re rho is 0.5, 1, 0.5, 1
    assert closed_form([3.0, 1.0], [0.0, 1000.0], 0.5e-3) == pytest.approx(0.5)


def test_a_still_channel_leaves_the_noise():
    assert prediction_error(np.ones((20, 2, 2, 48), np.complex64)) == 0
    assert closed_form([1.0], [0.0], 1e-3, snr_db=0) == pytest.approx(1.0)  # two noises over signal and noise


def test_which_snapshots_and_tones_count():
    h = np.zeros((20, 1, 1, 96), np.complex64)
    h[:, :, :, :48] = 1
    h[:15] = 99  # before the last of the history
    h[:, :, :, 48:] = 77
    assert prediction_error(h) == 0
    h[16] = 2  # |2 - 1|^2 of 4 + 1 + 1 + 1
    assert prediction_error(h) == pytest.approx(1 / 7)


def test_per_antenna_each_counts_by_itself():
    h = np.ones((20, 2, 1, 1), np.complex64)
    h[:, 1] *= 0.01
    h[16:, 1] = 0.02
    assert prediction_error(h, tones=1) == pytest.approx(4e-4 / (4 + 16e-4))
    assert prediction_error(h, tones=1, axis="antenna") == pytest.approx(np.array([[0.0], [0.25]]))


@pytest.mark.parametrize("arguments", [{"history": 17}, {"horizon": 0}, {"tones": 2}, {"axis": "user"}])
def test_refused(arguments):
    with pytest.raises(ConfigurationError):
        prediction_error(rotating(0.1), **{"tones": 1, **arguments})


def test_samples_are_kept_apart():
    both = np.stack([rotating(1 / 8), rotating(0)])
    assert prediction_error(both, tones=1) == pytest.approx(np.array([2.5, 0.0]))


@pytest.mark.slow
@pytest.mark.parametrize("speed_kmh", [10, 30, 50, 70, 100])
def test_recorded_csi_has_the_error_of_its_rays(speed_kmh):
    row = csi.hold_last_at(HoldLastSettings(samples=1000, seed=2), speed_kmh)
    assert row["measured"] == pytest.approx(row["closed_form"], rel=0.05)
    assert row["standard_error"] < 0.025 * row["measured"]


def test_from_a_file_as_from_the_scenario(tmp_path):
    options = ("minSpeed=60", "maxSpeed=60")
    path = tmp_path / "a.npz"
    csi.record(csi.RecordSettings(out=path, samples=20, set=options, snr_db=18, seed=3))
    row = csi.hold_last_at(HoldLastSettings(samples=20, seed=3), 60.0)
    assert np.mean(prediction_error(csi.load(path).csi)) == pytest.approx(row["measured"], rel=1e-6)


def test_command(capsys):
    arguments = ["csi", "hold-last", "--samples", "5", "--speeds-kmh", "10", "45"]
    assert cli.main(arguments) == 0
    text = capsys.readouterr().out
    assert "published" in text
    assert "0.066" in text
    assert cli.main([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["speeds"]
    assert [row["speed_kmh"] for row in rows] == [10, 45]
    assert rows[0]["published"] == 0.066
    assert rows[1]["published"] is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--speeds-kmh", "-3"], "--speeds-kmh (-3.0,): legal are speeds from 0"),
        (["--speeds-kmh", "2000"], "option --minSpeed=2000.0 is not legal"),
        (["--set", "minSpeed=3"], "--set minSpeed: hold-last sets this itself"),
        (["--set", "snapshots=10"], "the CSI has 10 snapshots"),
        (["--set", "tones=10"], "snapshots of 10 tones"),
        (["--samples", "0"], "--samples 0"),
        (["--snr-db", "nan"], "--snr-db nan"),
        (["--scenario", "wired-star"], "option --minSpeed is unknown"),
    ],
)
def test_wrong_usage(capsys, arguments, text):
    assert cli.main(["csi", "hold-last", *arguments]) == 2
    assert text in capsys.readouterr().err
