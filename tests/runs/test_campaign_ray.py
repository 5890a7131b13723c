# SPDX-License-Identifier: GPL-2.0-only
"""A campaign on a real Ray cluster of two nodes on this machine, each with room for one run."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from edgelam.files.storage import StorageError
from edgelam.runs import load
from edgelam.runs.campaigns.on_ray import pack, unpack

pytest.importorskip("ray", reason="the extra 'ray' is not installed: pip install '.[ray]'")

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "plasma_directory": sys.argv[1]}  # not /dev/shm, which other tests look at
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
cluster.add_node(**node)
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture
def cluster(tiny, tmp_path_factory) -> Iterator[str]:
    """The address; the cluster lives in a process of its own and ends when its stdin is closed."""
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(tmp_path_factory.mktemp("plasma"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
    )  # fmt: skip
    try:
        lines = iter(process.stdout.readline, "")
        yield next(line.split()[1] for line in lines if line.startswith("address"))
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.communicate(timeout=60)
        psutil.wait_procs(children, timeout=20)
        for child in children:
            if child.is_running():
                child.kill()


def campaign(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgelam", "campaign", "tiny", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.slow
def test_runs_on_two_nodes_come_back_to_the_campaigns_folder(cluster, tmp_path):
    (tmp_path / "go").touch()
    (tmp_path / "added.txt").write_text("100")
    done = campaign(
        tmp_path, "--ray", cluster, "--grid", "mode=work,fail", "--file", "added.txt", "--seeds", "2", "--out", "here"
    )
    assert done.returncode == 1, done.stderr
    assert "2 of 4 runs finished, 2 failed" in done.stdout
    assert "FAILED mode=fail seed 2: seed 2 fails as it was told" in done.stdout
    found = load(tmp_path / "here")
    assert found.frame["score"].min() > 100  # the file named by a relative path travelled
    assert found.frame["seed"].tolist() == [1, 2]
    assert sorted(path.name for path in (tmp_path / "here/failed").glob("*/stderr.txt")) == ["stderr.txt"] * 2
    again = campaign(
        tmp_path, "--grid", "mode=work", "--file", "added.txt", "--seeds", "2", "--out", "here"
    )  # without Ray: the same runs
    assert (again.returncode, "2 of 2 runs finished" in again.stdout) == (0, True), again.stderr
    assert "done in" not in again.stderr


def test_no_cluster_is_one_clear_error(tiny, tmp_path):
    done = campaign(tmp_path, "--seeds", "2", "--ray", "127.0.0.1:1")
    assert done.returncode == 1
    assert "edgelam: --ray 127.0.0.1:1: no Ray cluster answers there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "link"])
def test_what_is_packed_comes_out_and_nothing_lands_outside(tmp_path, name):
    inside = tmp_path / "a" / "inner"
    inside.mkdir(parents=True)
    (inside / "program").write_text("1")
    (inside / "program").chmod(0o755)
    unpack(pack([tmp_path / "a"], tmp_path), tmp_path / "out")
    assert (tmp_path / "out/a/inner/program").read_text() == "1"
    assert os.access(tmp_path / "out/a/inner/program", os.X_OK)
    (tmp_path / "link").symlink_to("/etc/passwd")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = archive.gettarinfo(tmp_path / "link" if name == "link" else inside / "program")
        member.name = name
        archive.addfile(member, io.BytesIO(b"1"))
    with pytest.raises(StorageError, match="nothing was unpacked"):
        unpack(stream.getvalue(), tmp_path / "out")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["a"]


def archive_of(member: tarfile.TarInfo, content: bytes = b"1") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def test_an_archive_holds_no_more_than_was_sent(tmp_path):
    member = tarfile.TarInfo("bomb")
    member.size = 1
    whole = archive_of(member)
    with pytest.raises(StorageError, match="damaged"):
        unpack(gzip.compress(whole), tmp_path / "out")
    with pytest.raises(StorageError, match="damaged"):
        unpack(b"no archive at all" * 100, tmp_path / "out")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40),
                          "GNU.sparse.name": "bomb"}  # fmt: skip
    member.size = 512
    with pytest.raises(StorageError, match="'bomb' is larger than what was sent; nothing was unpacked"):
        unpack(archive_of(member, b"0\n".ljust(512, b"\0")), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_what_a_scenario_may_leave_is_packed_without_links(tmp_path):
    left = tmp_path / "scenario"
    (left / "deep").mkdir(parents=True)
    (left / "deep" / "flows.xml").write_text("<flows/>")
    os.link(left / "deep" / "flows.xml", left / "again.xml")
    (left / "latest").symlink_to("deep")
    (left / "loop").symlink_to(".")
    os.mkfifo(left / "pipe")
    unpack(pack([left], tmp_path), tmp_path / "out")
    came = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert came == ["scenario/again.xml", "scenario/deep/flows.xml"]
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
