# SPDX-License-Identifier: GPL-2.0-only
import copy
import dataclasses
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from edgelam.errors import ConfigurationError
from edgelam.report import write_report
from edgelam.report.campaign import campaign_page
from edgelam.runs import RunFolder, StorageError, load, replay, statistics
from edgelam.runs.campaigns.folder import CampaignFolder, Request
from edgelam.runs.folders.load import load_run


def write_run(tiny, folder: Path, name: str, *, seed: int, scale: float = 1.0, score: float, **settings) -> Path:
    config = dataclasses.replace(tiny(), seed=seed, scale=scale, **settings)
    with RunFolder.create("tiny", config, seed=seed, out=folder / "new") as run:
        for r in range(2):
            run.table("metrics", {"round": int, "score": float, "method": str}).append(
                {"round": r, "score": score + r - 1, "method": "tiny"}
            )
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(run.path, path)
    return path


@pytest.fixture
def campaign(tiny, tmp_path) -> Path:
    """Two scales, three seeds; the score is 10 seed + scale."""
    folder = CampaignFolder(tmp_path / "c")
    folder.ask("tiny", 1, Request("edgelam campaign tiny", "now", 1, 3, {"scale": ["1", "2"]}))
    for seed in (1, 2, 3):
        for scale in (1.0, 2.0):
            write_run(tiny, folder.path, f"runs/s{seed}-{scale:g}", seed=seed, scale=scale, score=10 * seed + scale)
    shutil.rmtree(folder.path / "new")
    return folder.path


def test_one_tidy_frame(campaign):
    found = load(campaign)
    assert list(found.frame.columns) == ["run", "seed", "scale", "method", "score"]
    assert found.frame["score"].tolist() == [11.0, 12.0, 21.0, 22.0, 31.0, 32.0]
    assert (found.varying(), found.labels, found.metrics) == (["scale"], ["method"], ["score"])
    rows = found.compare()
    assert rows["mean"].tolist() == [21.0, 22.0]
    assert rows["difference"].tolist()[1] == 1.0
    assert found.only(scale=2.0).frame["score"].tolist() == [12.0, 22.0, 32.0]
    assert found.only(scale=2.0)["metrics"].shape == (6, 4)
    assert len(found["metrics"]) == 12
    assert found.runs.loc[0, "low_rank.rank"] == 4
    assert list(found) == ["metrics"]
    with pytest.raises(ConfigurationError, match="did you mean 'scale'"):
        found.only(scal=1)
    with pytest.raises(ConfigurationError, match="no metric is called 'scor'; did you mean 'score'"):
        found.compare("scor")
    with pytest.raises(StorageError, match=r"has a table 'metric'.*did you mean 'metrics'"):
        found["metric"]


def test_get_and_in_are_those_of_a_mapping(campaign):
    for found in (load(campaign), load(campaign / "runs" / "s1-1")):
        assert found.get("metric") is None
        assert found.get("metric", 3) == 3
        assert "metric" not in found
        assert found.get("metrics").equals(found["metrics"])
        with pytest.raises(KeyError, match=r"has a table|has no table"):
            found["metric"]
    (found.path / "metrics.parquet").unlink()  # it is damaged, and has not got fewer tables
    with pytest.raises(StorageError):
        load(found.path).get("metrics")


def test_tables_are_attributes(campaign):
    run = load(campaign / "runs" / "s1-1")
    assert run.metrics.equals(run["metrics"])
    with RunFolder(run.path, run.manifest) as folder:
        folder.table("merges", {"round": int}).append({"round": 3})
    run = load(run.path)
    assert run.merges["round"].tolist() == [3]
    with pytest.raises(AttributeError, match=r"s1-1 has no table 'merge'; did you mean 'merges'\? .*metrics"):
        _ = run.merge
    assert not hasattr(run, "nothing")
    assert copy.copy(run).merges.equals(run.merges)
    found = load(campaign)
    assert found.merges["run"].tolist() == ["s1-1"]
    with pytest.raises(AttributeError, match="has a table 'calls'"):
        _ = found.calls


def test_some_of_the_runs(campaign):
    found = load(campaign)
    assert len(found.only(scale=[1.0, 2.0]).frame) == 6
    assert found.only(scale=[2.0], seed=(3, 1)).frame["score"].tolist() == [12.0, 32.0]
    assert len(found.only(deadline_s=None).frame) == 6
    assert len(found.only(options=[]).frame) == 6  # the value of a setting that takes lists
    assert len(found.only(state="killed").frame) == 0
    for value in (3.0, [1.0, 3.0], None):
        with pytest.raises(ConfigurationError, match=r"no run has scale = (3.0|None); there are: 1.0, 2.0"):
            found.only(scale=value)
    with pytest.raises(ConfigurationError, match=r"baseline: no run has scale = 3.0; there are: 1.0, 2.0"):
        found.compare("score", baseline={"scale": 3.0})


def test_the_index_follows_the_run_folders(tiny, campaign):
    assert len(load(campaign).frame) == 6
    assert {path.name for path in (campaign / "index").iterdir()} == {"runs.parquet", "results.parquet"}
    shutil.rmtree(campaign / "runs" / "s3-1")
    write_run(tiny, campaign, "runs/s4-1", seed=4, score=41.0)
    again = load(campaign)
    assert again.frame["run"].tolist() == ["s1-1", "s1-2", "s2-1", "s2-2", "s3-2", "s4-1"]
    assert again.frame["score"].tolist()[-1] == 41.0
    for file in (campaign / "index").iterdir():
        file.write_bytes(b"half a file")
    assert load(campaign).frame.equals(again.frame)


def test_what_was_read_once_is_not_read_again(campaign):
    frame, table = load(campaign).frame, load(campaign)["metrics"]
    for file in (campaign / "runs").glob("*/metrics.parquet"):
        file.write_bytes(b"damaged after the index was made")
    assert load(campaign).frame.equals(frame)
    assert load(campaign)["metrics"].equals(table)


def test_a_campaigns_runs_stand_in_the_order_of_its_last_grid(tiny, tmp_path):
    """Their names are hashes; the first cell of the grid is what the others are compared with."""
    folder = CampaignFolder(tmp_path / "c")
    folder.ask("tiny", 1, Request("edgelam campaign tiny", "now", 1, 3, {"scale": ["2", "1"]}))
    score = {"seed1-aaaa": 2.0, "seed1-ffff": 1.0, "seed2-bbbb": 1.0, "seed10-cccc": 2.0}
    for name, scale in score.items():
        write_run(tiny, folder.path, f"runs/{name}", seed=int(name[4:].split("-")[0]), scale=scale, score=scale)
    folder.note_order(["seed1-eeee", "seed1-ffff"])
    folder.note_order(["seed1-aaaa", "seed1-eeee", "seed10-cccc"])  # one of them has no finished run
    found = load(folder.path)
    assert found.frame["run"].tolist() == ["seed1-aaaa", "seed10-cccc", "seed1-ffff", "seed2-bbbb"]
    assert found.compare()["scale"].tolist() == [2.0, 1.0]
    assert found.compare()["note"].tolist() == ["baseline", ""]
    folder.note_order(["seed1-ffff"])
    assert load(folder.path).compare()["scale"].tolist() == [1.0, 2.0]


def test_a_campaign_whose_folder_of_runs_is_gone_has_none(tmp_path):
    folder = CampaignFolder(tmp_path / "c")
    folder.ask("tiny", 1, Request("edgelam campaign tiny", "now", 1, 1, {}))
    folder.runs.rmdir()
    assert len(load(folder.path).paths) == 0
    with pytest.raises(StorageError, match=r"c has no finished run"):
        write_report(folder.path)


def test_runs_of_another_code_are_not_averaged_with_those_of_this(tiny, tmp_path):
    for version, score in (("old", 1.0), ("new", 3.0)):
        path = write_run(tiny, tmp_path, f"runs/{version}", seed=1, score=score)
        manifest = json.loads((path / "manifest.json").read_text())
        manifest["campaign"] = {"identity": "f" * 64, "version": version}
        manifest["format"] = 1  # has no digest
        (path / "manifest.json").write_text(json.dumps(manifest))
    found = load(tmp_path / "runs")
    assert found.varying() == ["version"]
    assert found.compare()[["version", "count", "mean"]].to_numpy().tolist() == [["new", 1, 3.0], ["old", 1, 1.0]]


def test_an_experiment_without_scores_is_compared_by_what_it_measures(tiny, tmp_path):
    """Counters say when; of numbers the measured ones come first; text columns stay."""
    columns = {"round": int, "step": int, "client": int, "loss": float, "time_s": float, "name": str}
    with RunFolder.create("no-such-experiment", tiny(), seed=1, out=tmp_path) as folder:
        table = folder.table("metrics", columns)
        table.append({"round": 7, "step": 70, "client": 3, "loss": 0.5, "time_s": 9.0, "name": "a"})
        table.append({"round": 8, "step": 80, "client": 4, "loss": 0.25, "time_s": 9.5, "name": "a"})
    found = load(tmp_path)
    assert found.metrics == ["loss", "client"]
    assert found.compare()["mean"].tolist() == [0.25]
    with RunFolder.create("only-counts", tiny(), seed=1, out=tmp_path / "other") as folder:
        folder.table("metrics", {"round": int, "time_s": float}).append({"round": 8, "time_s": 9.5})
    assert load(tmp_path / "other").metrics == ["time_s", "round"]


def test_whole_numbers_stay_whole_where_a_run_has_none(tiny, tmp_path):
    """A run that was killed before it had any, and a setting that is left open."""
    large = 2**53 + 1  # no float is
    for name, columns in (("whole", {"score": float, "sent_bytes": int}), ("killed", {"score": float})):
        with RunFolder.create(name, tiny(), seed=1, out=tmp_path) as run:
            run.table("metrics", columns).append({"score": 1.0, **{name: large for name in columns if name != "score"}})
    found = load(tmp_path)
    whole = dict(zip(found.frame["run"].str[:5], found.frame["sent_bytes"].tolist(), strict=True))
    assert whole["whole"] == large
    assert whole["kille"] is pd.NA
    assert found.metrics == ["score", "sent_bytes"]
    assert found["metrics"]["sent_bytes"].dtype == "Int64"
    rows = pd.DataFrame({"seed": [1, 1], "staleness": pd.array([4, None], dtype="Int64"), "score": [1.0, 2.0]})
    compared = statistics.compare(rows, ["staleness"], [], "score", None)
    assert [None if value is pd.NA else value for value in compared["staleness"]] == [4, None]
    assert compared["difference"].tolist()[1] == 1.0


def test_a_folder_of_runs_needs_no_campaign(tiny, tmp_path):
    write_run(tiny, tmp_path, "runs/tiny/a", seed=1, score=5.0)
    write_run(tiny, tmp_path, "runs/tiny/b", seed=2, score=6.0)
    found = load(tmp_path / "runs")
    assert found.frame[["run", "score"]].to_numpy().tolist() == [["tiny/a", 5.0], ["tiny/b", 6.0]]
    assert not list((tmp_path / "runs").glob("*.parquet"))


def test_a_folder_of_runs_is_not_a_run(campaign):
    with pytest.raises(StorageError, match=r"holds 6 runs and is not a run itself; give one of them, e\.g\. .*s3-2"):
        load_run(campaign)
    with pytest.raises(StorageError, match="holds 6 runs"):
        replay(campaign)
    assert load_run(campaign / "runs" / "s1-1").state == "completed"


def test_a_run_that_failed_at_once_does_not_hide_the_others(tiny, tmp_path):
    """Its table of results has columns, but no rows and so no types."""
    write_run(tiny, tmp_path, "good", seed=1, score=3.0)
    failed = dataclasses.replace(tiny(), seed=2)

    def fail() -> None:
        with RunFolder.create("tiny", failed, seed=2, out=tmp_path) as folder:
            folder.table("metrics", {"round": int, "score": float, "method": str})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    found = load(tmp_path)
    assert len(found.paths) == 2
    assert found.frame["score"].tolist() == [3.0]


def test_the_report_of_a_campaign_has_means_with_intervals_and_paired_differences(campaign):
    (campaign / "failed" / "seed4-dddd").mkdir()
    page = campaign_page(load(campaign))
    assert page["state"] == f"6 completed, 1 failed (what they left is in {campaign / 'failed'})"
    space = "\N{NO-BREAK SPACE}"
    # scores 11, 21, 31: the t quantile 4.303 times 10 / sqrt(3) is 24.8
    assert page["means"]["heads"] == ["scale", "method", "runs", "score", "score: difference to the baseline"]
    assert page["means"]["rows"] == [
        ["1", "tiny", "3", f"21{space}\N{PLUS-MINUS SIGN}{space}25", "baseline"],
        ["2", "tiny", "3", f"22{space}\N{PLUS-MINUS SIGN}{space}25", f"1{space}\N{PLUS-MINUS SIGN}{space}0"],
    ]
    drawn = page["tables"]["score, means over seeds"]["columns"]
    assert list(drawn) == ["scale", "method", "mean", "interval"]
    assert page["runs"]["rows"][0][1:] == ["1", "1", "tiny", "11"]


def test_settings_that_are_words_are_drawn_side_by_side(tiny, tmp_path):
    for mode in ("work", "wait"):
        write_run(tiny, tmp_path, f"runs/{mode}", seed=1, score=1.0, mode=mode)
    drawn = campaign_page(load(tmp_path / "runs"))["tables"]["score, means over seeds"]["columns"]
    assert drawn["cell"] == [1, 2]
    assert drawn["mode"] == ["wait", "work"]


def test_a_campaign_without_a_finished_run_has_no_report(tmp_path):
    folder = CampaignFolder(tmp_path / "c")
    folder.ask("tiny", 1, Request("edgelam campaign tiny", "now", 1, 1, {}))
    with pytest.raises(StorageError, match="no finished run yet"):
        write_report(folder.path)
