# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam report``, ``compare`` and ``trace``: what they write, and what they say to mistakes."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
from recorded_run import small_run

from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError
from edgelam.report.compare import Comparison
from edgelam.runs import RunFolder, StorageError
from edgelam.runs.configuration import from_toml
from edgelam.runs.folders.load import reading


def edgelam(capsys, *arguments) -> tuple[int, str, str]:
    try:
        status = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_report_is_one_file_that_names_no_address(capsys, finished, tmp_path):
    out = tmp_path / "my report.html"
    status, printed, _ = edgelam(capsys, "report", finished, "--out", out)
    assert (status, printed.startswith(f"report: {out}")) == (0, True)
    text = out.read_text()
    assert "</script><img" not in text
    for name in ("http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"):  # names, where nothing is loaded
        text = text.replace(name, "")
    for address in ("http://", "https://", "//cdn"):
        assert address not in text
    assert "default-src &#x27;none&#x27;" in text


def test_the_default_places_are_in_the_run_folder(capsys, tmp_path):
    path = small_run(tmp_path)
    assert edgelam(capsys, "report", path)[0] == 0
    assert edgelam(capsys, "trace", path)[0] == 0
    assert (path / "report.html").exists()
    assert json.loads((path / "trace.json").read_text())["traceEvents"]


def never_had(path, table):
    """Make a run of an earlier edgelam, which kept no digests, that has never written this table."""
    (path / f"{table}.parquet").unlink()
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["tables"][table]
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 1}))


def test_a_run_that_goes_on_or_has_nothing_is_shown_as_far_as_it_is(capsys, finished, tmp_path):
    for table in ("transfers", "compute", "positions", "wall", "nodes"):
        path = small_run(tmp_path / table)
        never_had(path, table)
        assert edgelam(capsys, "report", path)[0] == 0, table
        assert edgelam(capsys, "trace", path)[0] == 0, table
    never_had(path, "simulations")
    assert edgelam(capsys, "report", path)[0] == 0


def test_compare_prints_what_differs_and_what_came_of_it(capsys, finished, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    other = small_run(tmp_path, rate=0.25)
    status, printed, _ = edgelam(capsys, "compare", finished, other, "--out", tmp_path / "both.html")
    assert status == 0
    rows = [line.split() for line in printed.splitlines()]
    assert ["run", "rate"] in rows
    assert [finished.name, "0.5"] in [[row[0].rpartition("/")[2], row[1]] for row in rows if len(row) == 2]
    first = [row for row in rows if "first" in row]
    assert [row[-1] for row in first[:2]] == ["0.8", "0.55"]  # the last accuracy
    assert all("1.5 MB" in " ".join(row) for row in first[2:])
    assert len(first) == 4
    assert (tmp_path / "both.html").exists()


@dataclasses.dataclass(frozen=True)
class Settings:
    seed: int = 1
    a: int = 0
    b: int = 0
    c: int = 0
    deadline_s: float | None = None


def told(out, **settings) -> Path:
    with RunFolder.create("nowhere", Settings(**settings), seed=1, out=out) as folder:
        return folder.path


def test_settings_that_differ_are_a_row_a_run_or_a_row_a_setting(tmp_path):
    paths = [told(tmp_path, a=number) for number in range(5)]
    heads, rows = Comparison(paths).differences
    assert (heads, rows) == (["run", "a"], [[path.name, str(number)] for number, path in enumerate(paths)])
    two = [told(tmp_path, a=1, b=1, c=1, deadline_s=2.0), told(tmp_path)]
    heads, rows = Comparison(two).differences
    assert heads == ["setting", *(path.name for path in two)]
    assert rows == [["a", "1", "0"], ["b", "1", "0"], ["c", "1", "0"], ["deadline_s", "2.0", "-"]]


def test_a_setting_that_is_null_and_one_that_is_not_there_are_the_same(tmp_path):
    one, other = told(tmp_path), told(tmp_path)
    manifest = json.loads((other / "manifest.json").read_text())
    del manifest["configuration"]["deadline_s"]  # as in the folder of a replay
    manifest["format"] = 1  # has no digest
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert Comparison([one, other]).differences[1] == []


def test_names_of_runs_are_not_broken(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for settings in ({"a": 1}, {"a": 1, "b": 1, "c": 1, "deadline_s": 1.0}):
        paths = [told(tmp_path, **{name: value * number for name, value in settings.items()}) for number in range(1, 7)]
        paths = paths if len(settings) == 1 else paths[:3]
        status, printed, _ = edgelam(capsys, "compare", *paths, "--out", tmp_path / "page.html")
        assert status == 0
        below = printed[printed.index("Settings that differ") :]
        for path in paths:
            assert path.name in printed.partition("Settings")[0].split()
            assert path.name in below.split()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["report", "nowhere"], 1, "nowhere is not a run folder: there is no such folder"),
        (["trace", "nowhere"], 1, "nowhere is not a run folder: there is no such folder"),
        (["report", "RUN", "--out", "no/such/place.html"], 2, "--out no/such/place.html: there is no folder no/such"),
        (["report", "RUN", "--out", "."], 2, "--out . is a folder"),
        (["compare", "RUN"], 2, "compare takes 2 to 200 run folders, got 1"),
        (["compare", "RUN", "RUN"], 2, "is given twice"),
        (["trace", "."], 1, ". is not a run folder: it has no manifest.json"),
    ],
)
def test_mistakes(capsys, finished, elsewhere, arguments, status, message):  # noqa: PLR0917
    got, _, printed = edgelam(capsys, *(finished if argument == "RUN" else argument for argument in arguments))
    assert got == status
    assert message in printed
    assert not list(elsewhere.iterdir())


def test_a_folder_of_runs_has_a_report_of_what_came_out(capsys, tmp_path):
    for rate in (0.5, 0.25):
        small_run(tmp_path, rate=rate)
    assert edgelam(capsys, "report", tmp_path)[0] == 0
    text = (tmp_path / "report.html").read_text()
    assert "nowhere, 2 runs" in text
    assert '"2 completed"' in text


def foreign(path: Path, table: str, change) -> None:
    """A run folder without digests, one of whose tables something else has written."""
    frame = pd.read_parquet(path / f"{table}.parquet")
    change(frame).to_parquet(path / f"{table}.parquet")
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))


def test_times_that_are_not_known_are_left_out_of_a_trace(capsys, tmp_path):
    path = small_run(tmp_path)
    assert edgelam(capsys, "trace", path)[0] == 0
    all_of_them = json.loads((path / "trace.json").read_text())["traceEvents"]
    for table, column in (("transfers", "queued_s"), ("compute", "end_s"), ("wall", "simulated_s")):
        foreign(path, table, lambda rows, column=column: rows.assign(**{column: float("nan")}))
        status, _, err = edgelam(capsys, "trace", path)
        assert (status, "Traceback" in err) == (0, False)
        fewer = json.loads((path / "trace.json").read_text())["traceEvents"]
        assert len(fewer) < len(all_of_them)
        all_of_them = fewer


@pytest.mark.parametrize("column", ["source", "size_bytes", "queued_s"])
def test_tables_of_something_else_are_told_in_one_line(capsys, tmp_path, column):
    path = small_run(tmp_path)
    foreign(path, "transfers", lambda rows: rows.drop(columns=column))
    for command in ("report", "trace", "compare"):
        arguments = [path, small_run(tmp_path), "--out", tmp_path / "c.html"] if command == "compare" else [path]
        status, _, err = edgelam(capsys, command, *arguments)  # a traceback would be raised here
        lines = [line for line in err.splitlines() if "unverified" not in line]
        assert status == 0 or (len(lines) == 1 and f"{path} cannot be shown: it is of something else" in lines[0])


def test_a_fault_of_ours_at_a_whole_run_is_not_put_on_the_run(tmp_path):
    path = small_run(tmp_path)
    with pytest.raises(KeyError), reading(path):
        raise KeyError("x")
    foreign(path, "transfers", lambda rows: rows)
    with pytest.raises(StorageError, match=r"cannot be shown: it is of something else.*KeyError: 'x'"), reading(path):
        raise KeyError("x")


def test_a_configuration_that_is_no_toml_is_one_line(tmp_path):
    for text in ("a = " + "[" * 30_000, "a = " + "1" * 5_000, "\x00"):
        (tmp_path / "x.toml").write_text(text)
        with pytest.raises(ConfigurationError, match=r"x\.toml is not TOML"):
            from_toml(tmp_path / "x.toml", Settings)
