# SPDX-License-Identifier: GPL-2.0-only
"""Traces against the Trace Event Format, and the numbers in them by hand."""

import json
from collections import defaultdict

import pytest
from recorded_run import EVIL, Config, record, transfer

from edgelam.report.trace_events import WALL, write_trace
from edgelam.runs import RunFolder, StorageError


@pytest.fixture(scope="module")
def trace(finished, tmp_path_factory):
    out = tmp_path_factory.mktemp("trace") / "trace.json"
    count = write_trace(finished, out)
    content = json.loads(out.read_text())
    assert len(content["traceEvents"]) == count
    return content


def named(events, name, pid, tid=0):
    return [e["args"] for e in events if e["ph"] == "M" and e["name"] == name and (e["pid"], e["tid"]) == (pid, tid)]


def check_format(content):
    """The JSON object form of the format: what each phase must have, and slices of a track that nest."""
    assert content["displayTimeUnit"] in ("ms", "ns")
    tracks = defaultdict(list)
    for event in content["traceEvents"]:
        assert {"ph", "pid", "tid", "name", "ts"} <= set(event)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ts"] >= 0
        match event["ph"]:
            case "X":
                assert event["dur"] >= 0
                tracks[event["pid"], event["tid"]].append((event["ts"], -event["dur"]))
            case "M":
                assert event["name"] in ("process_name", "process_sort_index", "thread_name", "thread_sort_index")
                assert list(event["args"]) == (["name"] if event["name"].endswith("name") else ["sort_index"])
            case "C":
                assert all(isinstance(value, int | float) for value in event["args"].values())
            case other:
                pytest.fail(f"phase {other}")
    for (pid, tid), slices in tracks.items():
        assert named(content["traceEvents"], "process_name", pid)
        assert named(content["traceEvents"], "thread_name", pid, tid)
        ends = []
        for start, negative in sorted(slices):
            while ends and ends[-1] <= start + 1e-6:
                ends.pop()
            assert not ends or start - negative <= ends[-1] + 1e-3, "slices of one track overlap without nesting"
            ends.append(start - negative)


def test_the_format_holds(trace):
    check_format(trace)


def test_simulated_and_wall_time_are_processes_of_their_own(trace):
    events = trace["traceEvents"]
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert processes == {
        WALL: "the run (wall clock)", 2: "first (simulated time)", 3: "second (simulated time)"
    }  # fmt: skip
    assert {e["cat"] for e in events if e["ph"] in "XC" and e["pid"] == WALL} == {"wall"}
    assert {e["cat"] for e in events if e["ph"] == "X" and e["pid"] != WALL} == {"computing", "sending", "receiving"}
    whole = [e for e in events if e["ph"] == "X" and e["pid"] == WALL]
    assert [e["name"] for e in whole] == ["first", "second"]
    assert whole[1]["ts"] >= whole[0]["ts"] + whole[0]["dur"]  # one after the other


def test_slices_are_what_was_recorded(trace):
    events = trace["traceEvents"]
    (tid,) = {
        e["tid"] for e in events if e["name"] == "thread_name" and e["args"]["name"] == "ue0 sending" and e["pid"] == 2
    }
    (sent,) = [e for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) == (2, tid)]
    assert (sent["name"], sent["ts"], sent["dur"]) == ("data", 1_000_000, 1_000_000)
    assert sent["args"]["delivered_bytes"] == 1_500_000
    (computed,) = [e for e in events if e.get("cat") == "computing"]
    assert (computed["name"], computed["ts"], computed["dur"]) == ("encode", 2_000_000, 1_000_000)
    assert any(e["name"] == EVIL for e in events)


def test_what_overlaps_gets_further_tracks(tmp_path):
    many = [transfer(i, "ue0", "edge0", 0.1 * i, 0.1 * i + 0.25) for i in range(30)]
    with RunFolder.create("nowhere", Config(), seed=1, out=tmp_path) as folder:
        record(folder, "crowded", {"ue0": "ue", "edge0": "edge"}, many)
    write_trace(folder.path, tmp_path / "trace.json")
    content = json.loads((tmp_path / "trace.json").read_text())
    check_format(content)
    tracks = {e["tid"] for e in content["traceEvents"] if e.get("cat") == "sending"}
    assert len(tracks) == 3  # 0.25 s long, every 0.1 s


def test_a_run_without_simulations_is_refused(tmp_path):
    folder = RunFolder.create("nowhere", Config(), seed=1, out=tmp_path)
    folder.close()
    with pytest.raises(StorageError, match="has recorded no simulation"):
        write_trace(folder.path, tmp_path / "trace.json")
    assert not (tmp_path / "trace.json").exists()
