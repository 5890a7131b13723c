# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam csi record``: same seed same bytes, noise, refusals, and nothing half written whatever happens."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from edgelam.air import csi
from edgelam.air.csi import recorder
from edgelam.air.csi.noise import add_pilot_noise
from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError


def record(path, options, **settings):
    csi.record(csi.RecordSettings(out=path, set=options, **{"samples": 6, **settings}))
    return path


def in_process(capsys, *arguments):
    try:
        status = cli.main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, " ".join(captured.out.split()), " ".join(captured.err.split())


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".arrow"])
def test_same_seed_same_bytes_another_seed_others(tmp_path, small_options, suffix):
    def digest(name, seed):
        path = record(tmp_path / f"{name}{suffix}", small_options, seed=seed, snr_db=10)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert digest("a", 4) == digest("b", 4)
    assert digest("a2", 4) != digest("c", 5)


def test_fewer_samples_and_fewer_links_are_a_part_of_more(tmp_path, small_options):
    many = csi.load(record(tmp_path / "many.npz", small_options))
    few = csi.load(record(tmp_path / "few.npz", small_options, samples=4))
    assert np.array_equal(few.csi, many.csi[:4])
    one = csi.load(record(tmp_path / "one.npz", small_options, samples=2, links=("ue1",)))
    assert np.array_equal(one.csi, many.csi[1::3])
    assert one.link.tolist() == ["ue1", "ue1"]


def test_pilot_noise(tmp_path, small_options):
    clean = csi.load(record(tmp_path / "clean.npz", small_options))
    noisy = csi.load(record(tmp_path / "noisy.npz", small_options, snr_db=-3))
    noise = noisy.csi - clean.csi
    power = np.mean(np.abs(clean.csi) ** 2, axis=(1, 2, 3, 4))
    ratio = np.mean(np.abs(noise) ** 2, axis=(1, 2, 3, 4)) / power
    assert ratio == pytest.approx(10**0.3, rel=0.15)  # 960 values each: a standard deviation of 3.2 %
    assert abs(np.mean(noise**2)) < 0.1 * np.mean(np.abs(noise) ** 2)  # circular
    assert len({complex(x) for x in (noise / np.sqrt(power)[:, None, None, None, None])[:, 0, 0, 0, 0]}) == 6
    assert (noisy.pilot_snr_db == -3).all()
    assert np.array_equal(noisy.snr_db, clean.snr_db)


def test_noise_is_that_of_its_sample_alone():
    h = np.ones((2, 3), np.complex64)
    assert np.array_equal(add_pilot_noise(h, 5, 7, 1), add_pilot_noise(h, 5, 7, 1))
    assert not np.array_equal(add_pilot_noise(h, 5, 7, 1), add_pilot_noise(h, 5, 7, 2))
    assert (h == 1).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--samples", "0"], "--samples 0: legal are whole numbers from 1"),
        (["--samples", "many"], "many"),
        (["--snr-db", "nan"], "--snr-db nan: legal are -200 to 200 dB"),
        (["--snr-db", "inf"], "--snr-db inf: legal"),
        (["--seed", "0"], "seed = 0; legal is a whole number from 1"),
        (["--set", "numUe"], "--set takes NAME=VALUE, got 'numUe'"),
        (["--set", "numUE=3"], "csi: option --numUE is unknown; did you mean --numUe?"),
        (["--set", "minSpeed=-1"], "csi: option --minSpeed=-1 is not legal: it takes a number, 0 to 1000 km/h"),
        (["--set", "minSpeed=nan"], "csi: option --minSpeed=nan is not legal"),
        (["--set", "minSpeed=200"], "it takes at most --maxSpeed, 100"),
        (["--set", "frequency=1e6"], "option --frequency=1e6 is not legal"),
        (["--set", "gnbRows=0"], "option --gnbRows=0 is not legal"),
        (["--set", "snapshots=0"], "option --snapshots=0 is not legal"),
        (["--scenario", "wired-star"], "publishes no CSI (observables csi/NAME); it has: link_state, queue_bytes"),
        (["--scenario", "no-such"], "unknown scenario 'no-such'; there are: none, csi"),
        (["--links", "ue7"], "no link 'ue7' in scenario 'csi'; there are: ue0"),
        (["--samples", "10000000000"], "No space left on device"),
        (["--sample", "3"], "--samples"),
    ],
)
def test_wrong_usage(capsys, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    status, out, err = in_process(capsys, "csi", "record", "--out", "a.npz", *arguments)
    assert status != 0
    assert text in err or text in out
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "text"),
    [
        ("a.csv", "--out a.csv: the name of a recording ends in one of .npz, .parquet, .arrow"),
        ("nowhere/a.npz", "--out nowhere/a.npz: there is no folder nowhere"),
        ("folder.npz", "--out folder.npz is a folder; give a file in it"),
        ("file.npz/a.npz", "there is no folder file.npz"),
        ("file.npz", "--out file.npz is there already; --overwrite replaces it"),
        ("/proc/a.npz", "cannot write /proc/a.npz"),
    ],
)
def test_where_it_cannot_be_written(capsys, tmp_path, monkeypatch, out, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file.npz").write_text("mine")
    status, _, err = in_process(capsys, "csi", "record", "--out", out, "--samples", "2")
    assert status in (1, 2)
    assert text in err
    assert (tmp_path / "file.npz").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_overwrite(tmp_path, small_options):
    path = tmp_path / "a.npz"
    path.write_text("old")
    with pytest.raises(ConfigurationError, match="is there already"):
        record(path, small_options)
    record(path, small_options, overwrite=True)
    assert len(csi.load(path)) == 6
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".arrow"])
def test_a_disk_that_fills_up_is_told_and_leaves_nothing(tmp_path, monkeypatch, suffix):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    begin = recorder._Recorder.begin

    def begin_and_fill_up(self, links):  # once the scenario has made its memory, which the limit would count
        begin(self, links)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))

    monkeypatch.setattr(recorder._Recorder, "begin", begin_and_fill_up)
    try:
        with pytest.raises(StorageError, match=r"cannot write .*File too large"):
            csi.record(csi.RecordSettings(out=tmp_path / f"a{suffix}", samples=300))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def start(tmp_path, *arguments):
    command = [sys.executable, "-m", "edgelam", "csi", "record", "--out", "a.npz", "--samples", "1000000", *arguments]
    command += ["--set", "gnbRows=1", "gnbColumns=1", "tones=4", "snapshots=2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + 60
    children: list[psutil.Process] = []
    while not children and time.monotonic() < deadline:
        time.sleep(0.05)
        children = parent.children(recursive=True)
    time.sleep(1.0)  # in the middle
    assert children
    assert process.poll() is None
    return process, children


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_or_killed_it_leaves_nothing(tmp_path, number):
    process, children = start(tmp_path)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=100)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_the_scenario_killed_is_one_clear_error(tmp_path):
    process, children = start(tmp_path)
    children[0].kill()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "scenario csi died after simulated time" in err
    assert "killed by SIGKILL" in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_scenario_that_ends_too_early(tmp_path, small_options):
    with pytest.raises(Exception, match="the scenario ended at its stopTime"):
        record(tmp_path / "a.npz", (*small_options, "stopTime=3ms"))
    assert not list(tmp_path.iterdir())


def test_show(npz, tmp_path, capsys):
    out = tmp_path / "figure.png"
    status, text, err = in_process(capsys, "csi", "show", str(npz), "--sample", "-2", "--out", str(out))
    assert status == 0, err
    assert "11 samples of 5 snapshots, 8 receiving x 2 transmitting antennas, 12 subcarriers" in text
    assert "sample 9: link ue0" in text
    assert {path.name for path in tmp_path.iterdir()} == {"figure.png", "figure.svg"}
    for arguments, complaint in (
        ([str(npz), "--sample", "11"], "has samples 0 to 10"),
        ([str(npz), "--out", str(tmp_path / "no" / "a.png")], "there is no folder"),
        ([str(Path(__file__))], "the name of a recording ends in"),
    ):
        status, _, err = in_process(capsys, "csi", "show", *arguments)
        assert status == 2
        assert complaint in err


def test_show_without_spectra(tmp_path, capsys):
    path = tmp_path / "a.npz"
    record(path, ("gnbRows=1", "gnbColumns=1", "gnbPolarisations=1", "tones=1", "snapshots=1"), samples=1)
    status, _, err = in_process(capsys, "csi", "show", str(path))
    assert status == 0, err
    assert (tmp_path / "a-sample-0.svg").exists()
