# SPDX-License-Identifier: GPL-2.0-only
import dataclasses
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.files import storage
from edgelam.output import terminal
from edgelam.runs import RunFolder, StorageError, figures, load, many
from edgelam.runs.folders import folder as folder_module
from edgelam.text import printable


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 3
    rate: float = 0.1
    name: str = 'ü "quoted" \\ \n'
    folder: Path = Path("a/b")
    nothing: int | None = None


NOON = datetime.datetime(2030, 1, 2, 12, 0, 0, tzinfo=datetime.UTC)


def make(out: Path) -> RunFolder:
    return RunFolder.create("my-experiment", Config(), seed=3, out=out, now=NOON)


def test_a_completed_run_has_its_manifest_and_compacted_tables(tmp_path):
    with make(tmp_path) as folder:
        table = folder.table("metrics", {"round": int, "loss_nats": float, "method": str | None})
        table.append({"round": 0, "loss_nats": 2.5, "method": "split"})
        folder.table("metrics").append({"round": 1, "loss_nats": 2.0})
        assert load(folder.path).state == "running"
    run = load(folder.path)
    assert folder.path == tmp_path / "my-experiment" / "20300102-120000-3"
    assert run.state == "completed"
    assert run.metrics["loss_nats"].tolist() == [2.5, 2.0]
    assert run.metrics["method"].isna().tolist() == [False, True]
    manifest = run.manifest
    assert manifest["configuration"] == {
        "seed": 3, "rate": 0.1, "name": "ü \"quoted\" \\ \n", "folder": "a/b", "nothing": None
    }  # fmt: skip
    assert manifest["seeds"] == {"root": 3}
    assert manifest["tables"] == {"metrics": {"rows": 2}}
    for package in ("python", "torch", "ns3", "numpy"):
        assert manifest["versions"][package]
    for fact in ("cpu", "cores", "torch_threads", "memory_bytes"):
        assert manifest["host"][fact]
    names = {path.name for path in folder.path.iterdir()}
    assert names == {"manifest.json", "config.toml", "metrics.parquet"}


def test_runs_of_one_second_never_share_a_folder(tmp_path):
    paths = [make(tmp_path).path.name for _ in range(3)]
    assert paths == ["20300102-120000-3", "20300102-120000-3-2", "20300102-120000-3-3"]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (EdgelamError("no such node 'x'"), "failed", "no such node 'x'"),
        (ZeroDivisionError("division by zero"), "failed", "ZeroDivisionError: division by zero"),
        (KeyboardInterrupt(), "interrupted", "Ctrl-C"),
        (KeyboardInterrupt("SIGTERM"), "interrupted", "SIGTERM"),
    ],
)
def test_an_exception_is_recorded_and_goes_on(tmp_path, error, state, reason):
    folder = make(tmp_path)
    with pytest.raises(type(error)), folder:  # noqa: PT012
        folder.table("metrics", {"round": int}).append({"round": 7})
        raise error
    run = load(folder.path)
    assert (run.state, run.manifest["reason"]) == (state, reason)
    assert run.metrics["round"].tolist() == [7]


def test_asking_for_what_is_not_there_names_what_is(tmp_path):
    with make(tmp_path) as folder:
        folder.table("metrics", {"round": int}).append({"round": 7})
        with pytest.raises(EdgelamError, match="no column loss; it has round"):
            folder.table("metrics").append({"loss": 1.0})
        with pytest.raises(EdgelamError, match="no schema yet"):
            folder.table("other")
    with pytest.raises(StorageError, match="did you mean 'metrics'"):
        load(folder.path)["metric"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match="no manifest"):
        load(tmp_path / "empty")
    with pytest.raises(StorageError, match="no such folder"):
        load(tmp_path / "nowhere")


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from edgelam.runs import RunFolder
    from edgelam.runs.folders import tables
    from tests_config import Config

    tables.SECONDS_PER_PART = float(sys.argv[2])
    folder = RunFolder.create("kill", Config(), seed=1, out=Path(sys.argv[1]))
    table = tables.TableWriter(folder.path, "metrics", tables.schema_from({"row": int, "text": str}), rows_per_part=7)
    print(folder.path, flush=True)
    row = 0
    while True:
        table.append({"row": row, "text": "x" * 100})
        row += 1
        if row % 7 == 0:
            print(row, flush=True)
    """
)


@pytest.mark.parametrize("delay_s", [0.0, 0.003, 0.02, 0.05, 0.11, 0.17])
def test_sigkill_at_any_point_leaves_whole_rows_and_says_killed(tmp_path, delay_s):
    (tmp_path / "tests_config.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Config:\n    seed: int = 1\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), "1000"],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    path = Path(writer.stdout.readline().strip())
    time.sleep(delay_s)
    assert load(path).state == "running"
    writer.send_signal(signal.SIGKILL)
    acknowledged = [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    run = load(path)
    assert run.state == "killed"
    rows = run.metrics["row"].tolist() if len(run.metrics.columns) else []
    assert rows == list(range(len(rows)))
    assert len(rows) >= (acknowledged[-1] if acknowledged else 0)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.decode().strip()}")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def fill(table, rows=10_000):
    for row in range(rows):
        table.append({"row": row, "text": os.urandom(500).hex()})


def test_a_full_disk_is_one_clear_error_and_leaves_whole_files(small_disk):
    folder = make(small_disk)
    with pytest.raises(StorageError, match="the disk is full") as caught, folder:  # noqa: PT012
        from edgelam.runs.folders.tables import TableWriter, schema_from

        table = TableWriter(folder.path, "metrics", schema_from({"row": int, "text": str}), rows_per_part=100)
        folder._tables["metrics"] = table
        fill(table)
    assert "No space left on device" in str(caught.value)
    run = load(folder.path)
    assert run.state == "failed"
    assert "the disk is full" in run.manifest["reason"]
    rows = run.metrics["row"].tolist()
    assert len(rows) >= 100
    assert rows == list(range(len(rows)))
    assert not list(folder.path.rglob("*.tmp"))


LIMITED = textwrap.dedent(
    """
    import resource, sys, os
    from pathlib import Path
    from edgelam.runs import RunFolder, StorageError, load
    from tests_config import Config
    folder = RunFolder.create("limit", Config(), seed=1, out=Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        with folder:
            table = folder.table("metrics", {"row": int, "text": str})
            for row in range(1000):
                table.append({"row": row, "text": os.urandom(300).hex()})
                if row % 100 == 99:
                    table.flush()
    except StorageError as error:
        print(error)
    """
)


def test_a_file_size_limit_is_one_clear_error_and_keeps_the_parts(tmp_path):
    (tmp_path / "tests_config.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Config:\n    seed: int = 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ulimit -f" in done.stdout
    (path,) = (tmp_path / "limit").iterdir()
    run = load(path)
    assert run.state == "failed"
    assert run.metrics["row"].tolist() == list(range(1000))  # every part is small enough; the compacted file is not
    assert not list(path.rglob("*.tmp"))


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--out"):
        make(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot make the folder /proc/"):
        make(Path("/proc/nothing"))


def test_a_read_only_disk_is_one_clear_error_even_in_mid_run(small_disk):
    folder = make(small_disk)
    with pytest.raises(StorageError, match="read-only"), folder:  # noqa: PT012
        table = folder.table("metrics", {"row": int})
        table.append({"row": 1})
        table.flush()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        table.append({"row": 2})
        table.flush()
    assert load(folder.path).metrics["row"].tolist() == [1]
    with pytest.raises(StorageError, match="read-only"):
        make(small_disk)


def test_a_manifest_of_another_format_is_refused(tmp_path):
    folder = make(tmp_path)
    folder.close()
    manifest = folder.path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    with pytest.raises(StorageError, match="format 99"):
        load(folder.path)


CREATOR = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from edgelam.runs import RunFolder
    from tests_config import Config
    print("ready", flush=True)
    while True:
        RunFolder.create("kill", Config(), seed=1, out=Path(sys.argv[1]), learning=False)
    """
)


def test_sigkill_at_any_point_of_making_a_folder_leaves_none_without_its_manifest(tmp_path):
    (tmp_path / "tests_config.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Config:\n    seed: int = 1\n"
    )
    parent = tmp_path / "out" / "kill"
    for _ in range(12):
        creator = subprocess.Popen(
            [sys.executable, "-c", CREATOR, str(tmp_path / "out")],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        assert creator.stdout.readline() == "ready\n"
        time.sleep(random.uniform(0.05, 0.2))
        creator.kill()
        creator.communicate()
    RunFolder.create("kill", Config(), seed=1, out=tmp_path / "out", learning=False)
    folders = list(parent.iterdir())
    assert len(folders) > 1
    assert not [path for path in folders if path.name.startswith(".")]  # what was left half made is gone
    assert {load(path).state for path in folders} == {"killed", "running"}
    assert all((path / "config.toml").read_text() for path in folders)


def test_a_folder_that_is_being_made_is_neither_seen_nor_swept(tmp_path):
    with folder_module._new_folder(make(tmp_path).path.parent) as new:
        (new / "manifest.json").write_text("{}")
        with folder_module._new_folder(new.parent) as other:
            assert new.is_dir()
            assert new != other
        assert [path.name for path in many.find_runs(tmp_path)] == ["20300102-120000-3"]


def test_the_duration_does_not_come_from_a_clock_that_is_set_back(tmp_path):
    with make(tmp_path) as folder:  # it begins in 2030 and ends now
        pass
    run = load(folder.path)
    assert run.manifest["ended"] < run.manifest["started"]
    assert 0 <= run.wall_s < 86400
    assert RunFolder.create("my-experiment", Config(), seed=3, out=tmp_path, now=NOON).manifest["wall_s"] is None


SAME_PID = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    os.getpid = lambda: 7  # as in two containers, each with process numbers of its own
    from edgelam.files.storage import write_atomically
    whole = (b"a" * 200_000, b"b" * 300_000)
    path = Path(sys.argv[1])
    for _ in range(100):
        write_atomically(path, whole[int(sys.argv[2])])
        assert path.read_bytes() in whole
    """
)


def test_writers_with_the_same_process_number_do_not_meet(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", SAME_PID, tmp_path / "x", number], stderr=subprocess.PIPE, text=True)
        for number in "01"
    ]
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_temporary_file_follows_no_link_and_nobody_knows_its_name(tmp_path, monkeypatch):
    assert len({storage.hidden_name(tmp_path) for _ in range(100)}) == 100
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "planted").symlink_to(precious)
    monkeypatch.setattr(storage, "hidden_name", lambda folder: folder / "planted")
    with pytest.raises(StorageError, match="exists"):
        storage.write_atomically(tmp_path / "x", b"other")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "x").exists()


def test_a_written_file_has_the_mode_of_the_one_it_replaces(tmp_path):
    old = os.umask(0o027)
    try:
        storage.write_atomically(tmp_path / "x", b"1")
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
        (tmp_path / "x").chmod(0o600)
        storage.write_atomically(tmp_path / "x", b"2")
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": None}, "state is None"),
        ({"state": "asleep"}, "state is 'asleep'"),
        ({"experiment": "../../x"}, "experiment is '../../x'"),
        ({"experiment": 7}, "experiment is 7"),
        ({"started": "yesterday"}, "started is 'yesterday', which is no date"),
        ({"ended": 3}, "ended is 3"),
        ({"process": "x", "state": "running"}, "process is 'x'"),
        ({"process": {"node": "here", "pid": "x"}}, "process is {'node'"),
        ({"seeds": {}}, "seeds is {}"),
        ({"simulations": [1]}, "simulations is [1]"),
        ({"configuration": []}, "configuration is []"),
    ],
)
def test_a_manifest_with_odd_or_missing_facts_is_one_line(tmp_path, change, words):
    folder = make(tmp_path)
    folder.close()
    manifest = folder.path / "manifest.json"
    old = {**json.loads(manifest.read_text()), "format": 1}
    manifest.write_text(json.dumps({**old, **change}))
    with pytest.raises(StorageError) as caught:
        load(folder.path)
    assert str(caught.value).startswith(f"{manifest} is not a manifest that edgelam wrote: {words}")
    for name in change:
        manifest.write_text(json.dumps({key: value for key, value in old.items() if key != name}))
        if name in ("state", "experiment", "started", "process", "seeds", "configuration"):
            with pytest.raises(StorageError, match=f"{name} is missing"):
                load(folder.path)
        else:
            assert load(folder.path).state == "completed"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '{"format": 2}', "[" * 100_000, "\xff"])
def test_what_is_no_manifest_is_one_line(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StorageError, match=r"manifest\.json"):
        load(tmp_path)


def test_text_for_terminals_and_figures_does_nothing_to_them(tmp_path, capsys):
    assert printable("a\x1b[31m\x00\x9b\ud7ff\udc80é\n") == "a\\x1b[31m\\x00\\x9b\ud7ff\\udc80é\n"
    console = terminal.results()
    for text in ("[/x]", "[red]name", ":smile:", "\x1b]0;title\x07"):
        console.print(text)
        table = terminal.TextTable(text, text)
        table.add_row(text)
        table.print(console)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    for text in ("[/x]", "[red]name", ":smile:", "\\x1b]0;title\\x07"):
        assert printed.count(text) == 4
    for name in ("a$\\frac{b$_^{", "$", "a$b$c$", "x\x1b[31m\x00", "\udc80", r"$\mu$"):
        with figures.figure(tmp_path / "f") as (_, (axes,)):
            axes.plot([1, 2], [1, 10], label=name)
            axes.set(title=name, yscale="log", xticks=[1, 2], xticklabels=[name if "$" in name else "a", "b"])
            axes.legend()
        assert (tmp_path / "f.png").read_bytes()


def test_a_folder_whose_name_is_not_utf8(tiny, tmp_path):
    """As on disks of the time before it; all that is written about the run stays readable."""
    out = tmp_path / os.fsdecode(b"Stra\xdfe")
    command = [sys.executable, "-m", "edgelam", "run", "tiny", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    (folder,) = (out / "tiny").iterdir()
    manifest = folder_module.read_manifest(folder)
    assert manifest["state"] == "completed"
    assert manifest["command"].endswith(r"Stra\xdfe'")
    assert len(load(folder).metrics) == 2


def test_a_configuration_that_no_text_can_hold_leaves_no_folder(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Config:
        scenario: str = os.fsdecode(b"./Stra\xdfe/x.cc")

    with pytest.raises(ConfigurationError, match="TOML takes UTF-8 only"):
        RunFolder.create("invented", Config(), seed=1, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
