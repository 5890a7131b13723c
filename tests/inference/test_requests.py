# SPDX-License-Identifier: GPL-2.0-only
"""Arrivals have the rates that they say, streams are apart, and traces are read or refused with the line."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_services import GRAPHS, inputs

from edgelam.errors import ConfigurationError
from edgelam.inference import Burst, Diurnal, Poisson, Request, Task, drawn, from_trace

LONG_S = 4000.0


@pytest.mark.parametrize("process", [Poisson(2.0), Diurnal(2.0, 0.9, 100.0), Burst(8.0, 2.0, 6.0)])
def test_mean_rates(process):
    times = process.times(LONG_S, np.random.default_rng(5))
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] < LONG_S
    assert len(times) / LONG_S == pytest.approx(process.mean_rate, rel=0.1)
    assert process.mean_rate == 2.0


def test_diurnal_arrivals_follow_the_sine():
    times = np.array(Diurnal(2.0, 1.0, 100.0).times(LONG_S, np.random.default_rng(1)))
    counts = np.histogram(times % 100.0, bins=4, range=(0, 100))[0] / (LONG_S / 4)
    # the mean of 1 + sin over each quarter of a period
    assert counts == pytest.approx([2 * (1 + 2 / np.pi)] * 2 + [2 * (1 - 2 / np.pi)] * 2, rel=0.1)


def test_bursts_are_burstier_than_poisson():
    def dispersion(process):  # variance over mean of counts in a second: 1 for Poisson
        counts = np.histogram(process.times(LONG_S, np.random.default_rng(2)), bins=int(LONG_S), range=(0, LONG_S))[0]
        return counts.var() / counts.mean()

    assert dispersion(Poisson(2.0)) == pytest.approx(1.0, abs=0.15)
    assert dispersion(Burst(8.0, 2.0, 6.0)) > 3


@pytest.mark.parametrize("make", [lambda: Poisson(0), lambda: Poisson(float("nan")), lambda: Diurnal(1, 2),
                                  lambda: Diurnal(1, phase=float("nan")), lambda: Burst(1, 0, 1)])  # fmt: skip
def test_illegal_processes_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize(
    ("given_as", "says"),
    [
        ({"arrive_s": -1.0}, "request 3: arrive_s is -1.0"),
        ({"arrive_s": float("nan")}, "request 3: arrive_s is nan"),
        ({"deadline_s": 0}, "request 3: deadline_s is 0"),
        ({"priority": 9}, "request 3: priority is 9"),
    ],
)
def test_a_request_that_cannot_be_is_refused(given_as, says):
    with pytest.raises(ConfigurationError, match=says):
        Request(**{"id": 3, "user": "ue0", "graph": "look", "arrive_s": 0.0, "inputs": {}} | given_as)


def tasks(users):
    return {
        user: [Task("look", "look", Poisson(3.0), 0.1, lambda rng: inputs("look", rng), priority=2)] for user in users
    }


def plain(requests, user):
    return [(r.arrive_s, r.inputs["image"].tolist()) for r in requests if r.user == user]


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 2**31 - 1))
def test_a_further_user_changes_nothing_of_the_others(seed):
    two, three = drawn(tasks(["a", "b"]), 5.0, seed), drawn(tasks(["a", "c", "b"]), 5.0, seed)
    for user in "ab":
        assert plain(two, user) == plain(three, user)
    assert [request.id for request in three] == list(range(len(three)))
    assert all(x.arrive_s <= y.arrive_s for x, y in itertools.pairwise(three))
    assert [r.arrive_s for r in drawn(tasks(["a", "b"]), 5.0, seed, limit=3)] == [r.arrive_s for r in two[:3]]


def read(tmp_path, text):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    return from_trace(path, GRAPHS, {g: lambda rng, g=g: inputs(g, rng) for g in GRAPHS}, ["ue0", "ue1"], 1)


def test_a_trace_is_read_in_order_of_time(tmp_path):
    found = read(tmp_path, "time_s,user,graph,deadline_s,priority\n2.5,ue0,look,0.1,3\n0.5,ue1,both,,\n")
    assert [(r.id, r.arrive_s, r.user, r.graph, r.deadline_s, r.priority) for r in found] == [
        (0, 0.5, "ue1", "both", float("inf"), 0),
        (1, 2.5, "ue0", "look", 0.1, 3),
    ]
    assert set(found[0].inputs) == {"image", "sound"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time_s,user,graph\n1,ue0,look\n", "no column 'deadline_s'"),
        ("time_s,user,graph,deadline_s\n", "has no requests"),
        ("time_s,user,graph,deadline_s\n1,ue0,look,1\n-1,ue0,look,1\n", "line 3: time_s is -1"),
        ("time_s,user,graph,deadline_s\nsoon,ue0,look,1\n", "line 2: time_s is 'soon', which is not a number"),
        ("time_s,user,graph,deadline_s\n1,ue7,look,1\n", "line 2: user 'ue7' is not known; did you mean 'ue1'"),
        ("time_s,user,graph,deadline_s\n1,ue0,lock,1\n", "line 2: graph 'lock' is not known; did you mean 'look'"),
        ("time_s,user,graph,deadline_s\n1,ue0,look,0\n", "line 2: deadline_s is 0.0"),
        ("time_s,user,graph,deadline_s\n1,ue0,look,nan\n", "deadline_s is 'nan'"),
        ("time_s,user,graph,deadline_s,priority\n1,ue0,look,1,8\n", "priority is 8"),
        ("time_s,user,graph,deadline_s,priority\n1,ue0,look,1,inf\n", "priority is inf"),
        ("time_s,user,graph,deadline_s\n1,ue0\n", "line 2 has no graph"),
        ("time_s,user,graph,deadline_s\n1,ue0,look,1,3\n", "line 2: '3' is beyond the last column"),
        ("time_s,user,graph,deadline_s,prio\n1,ue0,look,1,3\n", "column 'prio' is not known; a trace has time_s,"),
        ("time_s,user,graph,deadline_s,user\n1,ue0,look,1,ue1\n", "has the column 'user' twice"),
        ('time_s,user,graph,deadline_s\n1,"ue0,look,1\n', "cannot be read"),
    ],
)
def test_a_wrong_trace_is_refused(tmp_path, text, says):
    with pytest.raises(ConfigurationError, match=says.replace("(", r"\(")):
        read(tmp_path, text)


def test_a_trace_of_a_spreadsheet_is_read(tmp_path):
    """With a byte order mark, other ends of lines, columns in another order, and an empty line."""
    found = read(tmp_path, "\ufeffgraph,user,deadline_s,time_s\r\nlook,ue0,0.5,1\r\n\r\n")
    assert [(r.user, r.graph, r.arrive_s, r.deadline_s) for r in found] == [("ue0", "look", 1.0, 0.5)]


def test_a_missing_trace_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        from_trace(tmp_path / "none.csv", GRAPHS, {}, [], 1)
