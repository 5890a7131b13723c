# SPDX-License-Identifier: GPL-2.0-only
"""A bit that has changed on the disk is never read as another number: flipped anywhere, in every kind of folder.

EDGELAM_FLIPS=1000 says how many flips, in all, instead of 120.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from edgelam.air import csi, prediction
from edgelam.air.csi.arrow import ArrowWriter
from edgelam.air.csi.new_file import NewFile
from edgelam.air.csi.npz import NpzWriter
from edgelam.commands import main as cli
from edgelam.errors import EdgelamError
from edgelam.files import digests
from edgelam.runs import RunFolder, StorageError, load
from edgelam.runs.campaigns.folder import CampaignFolder
from edgelam.runs.configuration import from_toml
from edgelam.runs.folders.checking import check
from edgelam.runs.folders.tables import read_arrow

FLIPS = int(os.environ.get("EDGELAM_FLIPS", "120"))


def fill(folder: RunFolder) -> None:
    rows = random.Random(1)
    for number in range(400):
        folder.table("metrics", {"round": int, "loss": float}).append({"round": number, "loss": rows.random()})
    for number in range(100):
        folder.table("devices", {"name": str, "energy_j": float}).append({"name": f"ue{number}", "energy_j": 1 / 3})
    (folder.path / "scenario.log").write_text("built 5 nodes\n")


def make_run(path: Path, config: type) -> None:
    with RunFolder.create("tiny", config(), seed=1, out=path, learning=False) as folder:
        fill(folder)


KILLED = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from edgelam.runs import RunFolder, experiments
    from edgelam.runs.folders import tables
    sys.path.insert(0, sys.argv[2])
    from test_digests import fill
    folder = RunFolder.create("tiny", experiments.find("tiny").config(), seed=1, out=Path(sys.argv[1]), learning=False)
    schemas = {"metrics": {"round": int, "loss": float}, "devices": {"name": str, "energy_j": float}}
    for name, columns in schemas.items():
        folder._tables[name] = tables.TableWriter(folder.path, name, tables.schema_from(columns), rows_per_part=64)
    fill(folder)
    os.kill(os.getpid(), 9)
    """
)


def make_killed_run(path: Path, config: type) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, path, Path(__file__).parent], check=False)
    assert done.returncode == -9


def make_campaign(path: Path, config: type) -> None:
    assert cli.main(["campaign", "tiny", "--seeds", "2", "--rounds", "50", "--out", str(path / "c")]) == 0
    _ = load(path / "c")["metrics"]  # into the index


def make_recordings(path: Path, config: type) -> None:
    generator = np.random.default_rng(1)
    shape = (2, 2, 1, 4)
    samples = (generator.standard_normal((9, *shape, 2)).astype(np.float32)).view(np.complex64)[..., 0]
    columns = {"link": np.array([f"ue{k % 3}" for k in range(9)]), "time_s": np.arange(9.0)}
    facts = {"scenario": "csi", "options": {}, "seed": 1, "pilot_snr_db": None, "block_s": 0.1,
             "links": {f"ue{k}": {} for k in range(3)}}  # fmt: skip
    path.mkdir()
    with NewFile(path / "a.npz") as new:
        writer = NpzWriter(new, 9, shape)
        for sample in samples:
            writer.write(sample)
        writer.finish(np.arange(4.0), columns, facts)
        new.commit()
    for kind in (".parquet", ".arrow"):
        with NewFile(path / f"a{kind}") as new:
            empty = {name: values[:0] for name, values in columns.items()}
            other = ArrowWriter(new, shape, empty, {**facts, "tones_hz": [0.0, 1.0, 2.0, 3.0]})
            for sample in samples:
                other.write(sample)
            other.flush(columns)
            other.finish()
            new.commit()


def predictor() -> tuple[prediction.Predictor, torch.optim.Adam]:
    torch.manual_seed(3)
    window = prediction.WindowSettings(history=8, horizon=2, tones=4)
    made = prediction.make("gru", window, seed=2, width=8, layers=1)
    return made, torch.optim.Adam(made.parameters())


def make_checkpoints(path: Path, config: type) -> None:
    made, optimiser = predictor()
    sum(parameter.square().sum() for parameter in made.parameters()).backward()
    optimiser.step()
    path.mkdir()
    prediction.save_checkpoint(path / "job.safetensors", made, [optimiser], {"state": json.dumps({"epochs": 7})})


def numbers_of_run(path: Path, config: type) -> object:
    (folder,) = (path / "tiny").iterdir()
    run = load(folder)
    return run.manifest, from_toml(folder / "config.toml", config), {n: read_arrow(folder, n).to_pydict() for n in run}


def numbers_of_campaign(path: Path, config: type) -> object:
    found = load(path / "c")
    each = [load(folder) for folder in found.paths]
    return (
        CampaignFolder(path / "c").asked(), found.runs.to_csv(), found.results.to_csv(), found["metrics"].to_csv(),
        [(run.manifest, run.metrics.to_csv(), from_toml(run.path / "config.toml", config)) for run in each],
    )  # fmt: skip


def numbers_of_recordings(path: Path, config: type) -> object:
    found = [csi.load(path / name) for name in ("a.npz", "a.parquet", "a.arrow")]
    return [
        (data.csi.tobytes(), data.tones_hz.tolist(), data.metadata, {n: v.tolist() for n, v in data.columns.items()})
        for data in found
    ]


def numbers_of_checkpoints(path: Path, config: type) -> object:
    made, optimiser = predictor()
    facts = prediction.load_checkpoint(path / "job.safetensors", made, [optimiser], {})
    state = {key: {k: v.tolist() for k, v in each.items()} for key, each in optimiser.state_dict()["state"].items()}
    return facts, [parameter.tolist() for parameter in made.parameters()], state


KINDS = {
    "run": (make_run, numbers_of_run),
    "killed run": (make_killed_run, numbers_of_run),
    "campaign": (make_campaign, numbers_of_campaign),
    "recordings": (make_recordings, numbers_of_recordings),
    "checkpoints": (make_checkpoints, numbers_of_checkpoints),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_changes_a_number_unseen(tiny, tmp_path, monkeypatch, capsys, kind):
    make, numbers = KINDS[kind]
    monkeypatch.chdir(tmp_path)
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    make(whole, tiny)
    shutil.copytree(whole, copy)  # of a place of its own: what it says must not depend on where it is
    right = numbers(copy, tiny)
    assert capsys.readouterr().err.count("unverified") == 0
    findings = list(check(copy))
    assert {finding.verdict for finding in findings} <= {"whole", "not covered"}, findings
    files = [file for file in sorted(whole.rglob("*")) if file.is_file() and file.name != ".reserve"]
    places = [(file, sum(f.stat().st_size for f in files[:index])) for index, file in enumerate(files)]
    total = sum(file.stat().st_size for file in files)
    dice, refused, labelled = random.Random(FLIPS), 0, 0
    for _ in range(-(-FLIPS // len(KINDS))):
        at = dice.randrange(total)
        file, begin = next((file, begin) for file, begin in reversed(places) if begin <= at)
        shutil.rmtree(copy)
        shutil.copytree(whole, copy)
        damaged = bytearray(file.read_bytes())
        damaged[at - begin] ^= 1 << dice.randrange(8)
        (copy / file.relative_to(whole)).write_bytes(damaged)
        where = f"{file.relative_to(whole)} at {at - begin}"
        seen = {finding.verdict for finding in check(copy)} & {"damaged", "unverified"}
        uncovered = file.name in ("stderr.txt", "report.html")
        assert seen or uncovered, f"edgelam check finds nothing: {where}"
        digests._said.clear()
        try:
            found, error = numbers(copy, tiny), ""
        except EdgelamError as refusal:
            found, error = right, str(refusal)
            refused += 1
        assert found == right, where
        assert not error or file.name in error, where
        labelled += bool(digests._said)
    if kind != "campaign":  # whose index is made again
        assert refused + labelled == -(-FLIPS // len(KINDS))


def test_a_digest_is_that_of_the_file_with_zeros_in_its_place():
    content = b"before " + digests.BLANK.encode() + b" between " + digests.BLANK.encode() + b"\nafter"
    sealed = digests.sealed(content)
    digest = hashlib.sha256(content).hexdigest().encode()
    assert sealed == content.replace(b"0" * 64, digest)
    assert digests.check_seal(sealed, Path("x"))
    assert not digests.check_seal(b"nothing", Path("x"))
    for at in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[at] ^= 1
        with pytest.raises(StorageError, match="x: its SHA-256"):
            digests.check_seal(bytes(damaged), Path("x"))


def test_a_text_that_looks_like_a_mark_is_left_alone():
    said = digests.MARK + b"0123456789abcdef" * 4
    sealed = digests.sealed(said + b" " + digests.MARK + b"short " + digests.BLANK.encode())
    assert sealed.startswith(said)
    assert digests.check_seal(sealed, Path("x"))


def test_a_file_larger_than_what_is_searched(tmp_path):
    file = tmp_path / "large"
    file.write_bytes(b"x" * (9 << 20) + digests.BLANK.encode())
    with open(file, "r+b") as stream:
        digests.seal(stream)
    assert digests.check_file(file)
    with open(file, "r+b") as stream:
        stream.seek(4 << 20)
        stream.write(b"y")
    with pytest.raises(StorageError, match="large: its SHA-256"):
        digests.check_file(file)


def test_a_folder_without_digests_is_read_and_said_to_be_unverified_once(tiny, tmp_path, capsys):
    make_run(tmp_path, tiny)
    (folder,) = (tmp_path / "tiny").iterdir()
    old = load(folder).manifest  # what edgelam wrote before it kept digests
    del old["files"], old["wall_s"]
    (folder / "manifest.json").write_text(json.dumps(old | {"format": 1}))
    digests._said.clear()
    for _ in range(2):
        run = load(folder)
        assert len(run.metrics) == 400
        assert not run.verified
    assert capsys.readouterr().err.count("unverified") == 1
    assert {finding.verdict for finding in check(folder)} == {"unverified"}
    assert cli.main(["check", str(folder)]) == 0
    assert f"unverified: {folder}/manifest.json, {folder}/config.toml" in capsys.readouterr().out


def test_check_names_what_is_damaged_or_missing_and_what_it_does_not_cover(tiny, tmp_path, capsys):
    make_run(tmp_path, tiny)
    (folder,) = (tmp_path / "tiny").iterdir()
    (folder / "loss.svg").write_text("<svg/>")
    assert cli.main(["check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"not covered: {folder}/loss.svg\n" in out
    assert "5 files are as they were written, 0 damaged" in out
    (folder / "config.toml").write_text("seed = 2\n")
    (folder / "metrics.parquet").unlink()
    assert cli.main(["check", str(folder)]) == 1
    err = capsys.readouterr().err
    assert f"damaged: {folder}/config.toml: its SHA-256 is not" in err
    assert f"damaged: {folder}/metrics.parquet is missing" in err
    with pytest.raises(StorageError, match=r"metrics\.parquet is missing"):
        _ = load(folder).metrics
    assert cli.main(["run", "tiny", "--config", str(folder / "config.toml")]) == 1
    assert "to use it as it is, copy it to another folder" in capsys.readouterr().err
    shutil.copy(folder / "config.toml", tmp_path / "mine.toml")
    assert cli.main(["run", "tiny", "--config", str(tmp_path / "mine.toml"), "--print-config"]) == 0
    assert cli.main(["check", str(tmp_path / "nowhere")]) == 1


def test_a_lost_part_is_no_run_with_fewer_rows(tiny, tmp_path):
    make_killed_run(tmp_path, tiny)
    (folder,) = (tmp_path / "tiny").iterdir()
    assert load(folder).metrics["round"].tolist() == list(range(384))
    (folder / "metrics.parts" / "000001.parquet").unlink()
    with pytest.raises(StorageError, match=r"lacks part 000001\.parquet"):
        _ = load(folder).metrics


def test_a_part_of_another_run_table_or_place_is_not_read(tiny, tmp_path):
    for name in ("one", "two"):
        make_killed_run(tmp_path / name, tiny)
    one, two = (next((tmp_path / name / "tiny").iterdir()) for name in ("one", "two"))
    parts = one / "metrics.parts"
    moved = tmp_path / "moved"
    shutil.copytree(one, moved)  # a whole folder may be copied and renamed
    assert len(load(moved).metrics) == 384
    for stranger in (two / "metrics.parts" / "000001.parquet", one / "devices.parts" / "000000.parquet",
                     parts / "000002.parquet"):  # fmt: skip
        shutil.rmtree(moved)
        shutil.copytree(one, moved)
        shutil.copy(stranger, moved / "metrics.parts" / "000001.parquet")
        with pytest.raises(StorageError, match=r"000001\.parquet is a part of another run or table"):
            _ = load(moved).metrics
        assert any(finding.verdict == "damaged" for finding in check(moved))


def test_a_removed_table_is_no_run_without_it(tiny, tmp_path):
    make_run(tmp_path, tiny)
    make_campaign(tmp_path, tiny)
    run = load(next((tmp_path / "tiny").iterdir()))
    (run.path / "metrics.parquet").unlink()
    assert "metrics" in run
    assert list(run) == ["devices", "metrics"]
    with pytest.raises(StorageError, match=r"metrics\.parquet is missing"):
        _ = run.metrics
    shutil.rmtree(tmp_path / "c" / "index")
    campaign = load(tmp_path / "c")
    (campaign.paths[0] / "metrics.parquet").unlink()
    with pytest.raises(StorageError, match=r"metrics\.parquet is missing"):
        _ = campaign["metrics"]


def test_a_run_of_a_campaign_under_another_name_counts_for_nothing(tiny, tmp_path):
    make_campaign(tmp_path, tiny)
    shutil.rmtree(tmp_path / "c" / "index")
    first, second = load(tmp_path / "c").paths
    shutil.rmtree(second)
    shutil.copytree(first, second)
    with pytest.raises(StorageError, match=f"{second.name} holds the run {first.name.rsplit('-', 1)[0]}"):
        _ = load(tmp_path / "c").frame
    assert list(load(tmp_path / "c").damaged()) == [second.name]


def test_a_run_that_ends_while_it_is_read_is_read_whole(tiny, tmp_path, monkeypatch):
    """Between the manifest and the parts: what was a part is then in the compacted file."""
    folder = RunFolder.create("tiny", tiny(), seed=1, out=tmp_path, learning=False)
    fill(folder)
    folder.table("metrics").flush()
    recorded = digests.recorded

    def and_it_ends(path):
        monkeypatch.setattr(digests, "recorded", recorded)
        files = recorded(path)
        folder.close()
        return files

    monkeypatch.setattr(digests, "recorded", and_it_ends)
    assert read_arrow(folder.path, "metrics").num_rows == 400


def test_killed_between_compacting_and_the_manifest_the_parts_count(tiny, tmp_path):
    folder = RunFolder.create("tiny", tiny(), seed=1, out=tmp_path, learning=False)
    fill(folder)
    folder._compact_tables()
    whole = folder.path / "metrics.parquet"
    whole.write_bytes(whole.read_bytes()[:-1])  # nothing says its digest yet
    assert read_arrow(folder.path, "metrics").num_rows == 400
