# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios run alone: help, refusals, built-in traffic, the same again with the same seed."""

import re

import pytest
from scenario_runs import report, start

from edgelam.paths import scenarios

# Those with an IP network.
ALL = [
    "lte-macro",
    "nr-highway",
    "nr-indoor",
    "nr-office",
    "nr-subthz-hotspot",
    "nr-urban-grid",
    "nr-urban-micro",
    "wifi-campus",
    "wired-star",
]


def test_all_are_installed():
    assert sorted(scenarios()) == sorted([*ALL, "csi", "nr-link-budget"])


@pytest.mark.parametrize("scenario", ALL)
def test_help(scenario):
    done = start(scenario, "--help")
    assert done.returncode == 0
    for option in ("--numUe=", "--seed=", "--bytes=", "--edgelam-address="):
        assert option in done.stdout


@pytest.mark.parametrize("scenario", ALL)
@pytest.mark.parametrize(
    ("argument", "texts"),
    [
        ("--numUE=3", ["--numUE", "unknown", "--numUe"]),
        ("--sed=3", ["--sed", "unknown", "did you mean --seed?", "--help"]),
        ("--numUe=0", ["--numUe=0", "1 to"]),
        ("--edgeDelay=fast", ["--edgeDelay=fast", "ms", "0ns to"]),
        ("--protocol=sctp", ["sctp", "tcp, udp, ideal"]),
        ("--seed=-1", ["--seed=-1", "1 to"]),
        ("--seed=4294944443", ["--seed=4294944443", "1 to 4294944442"]),
        ("--ns3::NoSuch::Attribute=1", ["NoSuch", "no such ns-3 attribute"]),
        ("--edgelam::TransferApplication::Port=99999", ["Port=99999", "uint16_t 1:65535"]),
        ("--edgelam::TransferApplication::CongestionControl=ns3::Node", ["ns3::Node", "ns3::TcpCubic"]),
        ("--edgelam-address=/tmp/x", ["--edgelam-address=/tmp/x", "@"]),
        ("stray", ["stray", "--option=value"]),
    ],
)
def test_mistakes_are_one_clear_line(scenario, argument, texts):
    done = start(scenario, argument)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{scenario}: ")
    for text in texts:
        assert text in done.stderr


def test_an_option_like_no_other_gets_the_list_of_all():
    done = start("nr-urban-micro", "--nonsense=3")
    assert done.returncode == 2
    first, *options = done.stderr.splitlines()
    assert first == "nr-urban-micro: option --nonsense is unknown; there are"
    assert max(map(len, options)) <= 104
    shown = start("nr-urban-micro", "--help").stdout
    assert re.findall(r"--[\w-]+", "".join(options)) == re.findall(r"^  (--[\w-]+)=", shown, re.MULTILINE)


@pytest.mark.parametrize("protocol", ["tcp", "udp", "ideal"])
def test_wired_star_traffic(protocol):
    result = report("wired-star", "--numUe=3", "--numEdge=2", "--bytes=2e5", f"--protocol={protocol}")
    assert result["complete"]
    assert len(result["transfers"]) == 6
    for transfer in result["transfers"]:
        assert transfer["status"] == "complete"
        assert transfer["delivered_bytes"] == 200_000


@pytest.mark.parametrize("scenario", ALL)
def test_settings_in_the_way_of_ns3_are_those_of_the_transfers(scenario):
    usual, *two = (
        report(scenario, "--numUe=1", "--bytes=5e4", *more)
        for more in ([], ["--ns3::TcpSocket::SegmentSize=700"], ["--edgelam::TransferApplication::SegmentSize=700"])
    )
    assert two[0] == two[1] != usual


def test_what_arrives_in_part_has_not_all_arrived():
    done = start("wired-star", "--numUe=1", "--bytes=1e5", "--protocol=udp", "--loss=0.3", "--seed=3")
    assert done.returncode == 1
    assert "NOT all arrived" in done.stdout
    assert "partial" in done.stdout


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_what_does_not_arrive_at_all_ends_by_itself_and_has_not_all_arrived(protocol):
    deaf = ["--numUe=1", "--minDistance=100", "--maxDistance=101", "--gnbPower=-100", "--uePower=-100"]
    done = start("nr-urban-micro", *deaf, "--bytes=1e5", f"--protocol={protocol}")
    assert done.returncode == 1
    assert "NOT all arrived" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()[1:-1]]
    assert [row[3] for row in rows] == ["0", "0"]  # bytes


def test_without_traffic_nothing_is_said_to_have_arrived():
    done = start("wired-star", "--traffic=none", "--protocol=udp")
    assert done.returncode == 0
    assert done.stdout.startswith("no test traffic: 1.000")


def test_bulk_send_is_tcp():
    done = start("wired-star", "--traffic=bulk-send", "--protocol=udp")
    assert done.returncode == 2
    assert "option --protocol=udp is not legal with --traffic=bulk-send: it takes tcp" in done.stderr


def test_lte_macro_traffic():
    result = report("lte-macro", "--numUe=2", "--bytes=1e5")
    assert result["complete"]
    assert {transfer["status"] for transfer in result["transfers"]} == {"complete"}


@pytest.mark.parametrize(
    ("scenario", "arguments"),
    [
        ("wired-star", ["--loss=0.02", "--bytes=1e6"]),
        ("lte-macro", ["--numUe=2", "--bytes=5e4", "--speed=10"]),
        ("nr-indoor", ["--numUe=3", "--bytes=2e5"]),
        ("nr-urban-micro", ["--numUe=3", "--bytes=2e5", "--speed=10"]),
        ("wifi-campus", ["--numUe=3", "--bytes=2e5", "--speed=2"]),
    ],
)
def test_same_seed_same_run(scenario, arguments):
    first = report(scenario, *arguments, "--seed=5")
    assert report(scenario, *arguments, "--seed=5") == first
    assert report(scenario, *arguments, "--seed=6") != first


def test_no_server_to_reach_in_time():
    done = start("wired-star", "--bytes=1e7", "--rate=1Mbps", "--stopTime=1s", "--numUe=1")
    assert done.returncode == 1
    assert "NOT all arrived" in done.stdout


def test_attach_timeout_names_who_is_missing():
    done = start("wired-star", "--edgelam-address=@edgelam-test-nobody", "--edgelam-attach-timeout=0.2")
    assert done.returncode == 3
    assert "participant" in done.stderr
