# SPDX-License-Identifier: GPL-2.0-only
"""A scenario outside the tree runs every experiment whose needs it meets; one that lacks something is refused early."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgelam.runs import load

OWN_CSI = Path(__file__).parents[1] / "scenarios" / "own-csi.cc"
# What a user writes: two kinds of nodes on one switch, whatever roles the options say.
SCENARIO = """
import sys

from edgelam.scenarios.python import Scenario, include, ns3

include("ns3/csma-helper.h", "ns3/internet-stack-helper.h", "ns3/ipv4-address-helper.h", "ns3/string.h")
scenario = Scenario("my-bus", "devices and servers on one cable")
options = scenario.options()
devices = options.Integer("phones", 2, "nodes phone0, ...", 0, 100)
edges = options.Integer("edges", 1, "nodes site0, ...", 0, 100)
clouds = options.Integer("clouds", 1, "nodes centre0, ...", 0, 100)


def build():
    kinds = (("phone", "ue", devices), ("site", "edge", edges), ("centre", "cloud", clouds))
    names = [(f"{name}{i}", role) for name, role, count in kinds for i in range(count.value)]
    nodes = ns3.NodeContainer()
    nodes.Create(len(names))
    csma = ns3.CsmaHelper()
    csma.SetChannelAttribute("DataRate", ns3.StringValue("100Mbps"))
    installed = csma.Install(nodes)
    ns3.InternetStackHelper().Install(nodes)
    ns3.Ipv4AddressHelper("10.1.0.0", "255.255.0.0").Assign(installed)
    for i, (name, role) in enumerate(names):
        scenario.Expose(nodes.Get(i), name, role)


sys.exit(scenario.Main(sys.argv, build))
"""
SPLIT = (
    "split-fedft", "--task", "digits", "--num-devices", "2", "--batch-size", "4", "--rounds", "1", "--evaluations", "1",
    "--test-samples", "20", "--controls",
)  # fmt: skip
CHANNEL = (
    "channel-prediction", "--methods", "gru-federated", "--samples-per-server", "4", "--test-samples", "4", "--epochs",
    "1", "--evaluations", "1", "--test-speeds-kmh", "30", "--tones", "8", "--csi", "gnbRows=1",
    "gnbColumns=1", "tones=16",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("own network")
    (place / "bus.py").write_text(SCENARIO)
    written = edgelam(place, "experiment", "new", "averaging")
    assert written.returncode == 0, written.stderr
    return place


def edgelam(place, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "edgelam", *arguments], cwd=place, env=os.environ | {"EDGELAM_EXPERIMENTS": str(place)},
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip


@pytest.mark.parametrize("words", [SPLIT, CHANNEL, ("averaging", "--num-devices", "2")], ids=lambda words: words[0])
def test_every_experiment_runs_over_it(place, words):
    done = edgelam(place, "run", *words, "--scenario", "./bus.py", "--out", "here")
    assert done.returncode == 0, done.stderr
    (path,) = (place / "here" / words[0]).iterdir()
    run = load(path)
    sent = run.transfers
    assert set(sent["status"]) == {"complete"}
    assert (sent["last_byte_s"] > sent["queued_s"]).all()
    assert set(run["simulations"]["scenario"]) == {"my-bus"}
    assert (path / "bus.py").read_text() == SCENARIO


def test_csi_of_a_scenario_outside_the_tree_is_predicted(place):
    """Of a walk past a small cell: 64 tones and 8 antennas, none of which scenario csi has by default."""
    text = OWN_CSI.read_text()
    for before, after in (
        ("double speed", "std::uint32_t snapshots = 1;\n    double speed"),
        (
            "scenario.options()",
            'scenario.options().Integer("snapshots", snapshots, "of a block", 1, 100);\n    scenario.options()',
        ),
        (
            "csi->SetAttribute",
            'csi->SetAttribute("Snapshots", ns3::UintegerValue(snapshots));\n        csi->SetAttribute',
        ),
    ):
        assert before in text
        text = text.replace(before, after, 1)
    (place / "walk.cc").write_text(text)
    words = (*CHANNEL[: CHANNEL.index("--test-speeds-kmh")], "--scenario", "./bus.py", "--csi-scenario", "./walk.cc")
    words = ("run", *words, "--tones", "32", "--csi", "speed=2")
    refused = edgelam(place, *words, "--out", "none")
    assert refused.returncode == 2
    told = "history 16 + horizon 4: a sample of scenario ./walk.cc (link walk) has 1 snapshots"
    assert told in refused.stderr
    assert not (place / "none").exists()
    done = edgelam(place, *words, "snapshots=20", "--out", "csi")
    assert done.returncode == 0, done.stderr
    (path,) = (place / "csi" / "channel-prediction").iterdir()
    run = load(path)
    assert set(run["scores"]["test_set"]) == {"iid"}
    assert run.manifest["configuration"]["csi_scenario"] == "./walk.cc"
    config = str(path / "config.toml")
    unasked = edgelam(place, "run", "channel-prediction", "--config", config, "--out", "none")
    assert unasked.returncode == 2
    assert "If you trust it, use: --trust ./" in unasked.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("./bus.py", "--csi"), "scenario 'my-bus' publishes no CSI (observables csi/NAME); it has: none"),
        (("./bus.py", "--csi", "tones=3"), "--csi: my-bus: option --tones is unknown"),
        (("./no.cc", "--csi"), "no.cc"),
        (("./bus.py", "--csi", "--partition", "place"), "partition is place; with a recording, or with a csi_scenario"),
        (("./bus.py", "--csi", "--recording", "a.npz"), "the samples come from one of them"),
    ],
)
def test_a_scenario_without_csi_is_refused_before_the_start(place, words, told):
    refused = edgelam(place, "run", "channel-prediction", "--csi-scenario", *words, "--out", "none")
    assert refused.returncode == 2, refused.stderr
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (place / "none").exists()


@pytest.mark.parametrize(
    ("words", "options", "lacking"),
    [
        (SPLIT, "phones=1", "has 1 nodes of role ue, and 2 are needed"),
        (SPLIT, "edges=0 clouds=0", "has 0 nodes of role edge or cloud, and 1 are needed"),
        (CHANNEL, "clouds=0", "has 0 nodes of role cloud, and 1 are needed"),
        (("averaging",), "phones=4 edges=0", "has 0 nodes of role edge, and 1 are needed"),
    ],
)
def test_what_lacks_something_is_refused_before_the_start(place, words, options, lacking):
    refused = edgelam(place, "run", *words, "--scenario", "./bus.py", "--options", *options.split(), "--out", "none")
    assert refused.returncode == 2, refused.stderr
    assert f"edgelam: scenario 'my-bus' {lacking}; it has phone0 (ue)" in refused.stderr
    assert "docs/writing-an-experiment.md" in refused.stderr
    assert not (place / "none").exists()


@pytest.mark.parametrize(
    ("declared", "scenario", "told"),
    [
        (
            'observables=("csi/*",)',
            "wired-star",
            "'wired-star' has no observable 'csi/*', which is needed; it has: link_",
        ),
        (
            'controls=("prb_share",)',
            "wired-star",
            "'wired-star' has no control 'prb_share', which is needed; it has: li",
        ),
        (
            'controls=("prb_share",)',
            "none",
            "scenario 'none' has no control 'prb_share', which is needed; it has: none",
        ),
        ('observables=("trace_*", "cell"), controls=("prb_share",)', "nr-urban-micro", None),
    ],
)
def test_observables_and_controls_are_looked_for(place, tmp_path, declared, scenario, told):
    text = (place / "averaging.py").read_text()
    (tmp_path / "needy.py").write_text(text.replace('"edge": 1}', f'"edge": 1}}, {declared}'))
    done = edgelam(tmp_path, "run", "needy", "--scenario", scenario, "--rounds", "1", "--num-devices", "1")
    assert done.returncode == (2 if told else 0), done.stderr
    assert (told or "run folder") in done.stderr
    assert (tmp_path / "runs").exists() is (told is None)
