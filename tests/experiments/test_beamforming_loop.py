# SPDX-License-Identifier: GPL-2.0-only
"""Methods of beamforming drive a cell: goodput as predicted, what computing costs, networks, what is refused."""

import dataclasses
import math

import numpy as np
import pytest

from edgelam.air.beamforming.learned.settings import PolicySettings, TrainingSettings
from edgelam.air.link_rate import Link, effective
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import Network, RunFolder, experiments, load
from experiments.beamforming import loop_results
from experiments.beamforming.config import (
    WITHOUT_DELAY,
    CoordinatedSettings,
    LearningSettings,
    LoopSettings,
    SurfaceSettings,
    closed_loop,
)

beamforming = experiments.find("beamforming")
SHORT = LoopSettings(ues=4, ages_ms=(0.0,), period_ms=1.0, filling_ms=15.0, measured_ms=50.0, watch_ms=1.0, tensors=1)


def cell(**changes):
    """Rayleigh fading as in tests/scenarios/test_antennas.py, 20 dB, no delay of the gNB."""
    options = ("deployment=Rayleigh", "gnbRows=1", "gnbColumns=4", "gnbPolarisations=1", "gnbElement=isotropic",
               "downtilt=0", "minDistance=100", "maxDistance=101", "bandwidth=20", "joined=5", "gnbPower=15",
               "speed=0.83", "edgelam::nr::Cell::GnbDelay=0", "edgelam::nr::Cell::CsiDelay=0",
               "edgelam::nr::Cell::CsiPeriod=1", "edgelam::RadioChannel::CoherenceDistance=0")  # fmt: skip
    config = dataclasses.replace(
        closed_loop(), num_seeds=1, learned=(), rules=("mrt", "rzf"), loop=SHORT, threads=1,
        network=Network(scenario="nr-urban-micro", options=options, devices=("gnb*=cpu-server",)),
    )  # fmt: skip
    return dataclasses.replace(config, **changes)


def run(config, tmp_path):
    experiments.find("beamforming").check(config, start=False)
    with RunFolder.create("beamforming", config, seed=1, out=tmp_path) as folder:
        beamforming.run(config, folder, Progress())
    return load(folder.path)


def test_goodput_ratio_is_that_of_predicted_rates(tmp_path, capsys):
    done = run(cell(), tmp_path)
    assert len(done["loop"]) == 2
    assert len(done["loop_users"]) == 2 * SHORT.ues
    judged = loop_results.claims(done).set_index("claim").loc["rzf carries more than mrt"]
    assert judged["ratio"] > 1.5
    assert judged["ratio"] == pytest.approx(judged["predicted_ratio"], rel=0.08)
    for _, row in done["loop"].iterrows():
        assert row["goodput_mbps"] == pytest.approx(row["predicted_mbps"], rel=0.05)
        assert 0 < row["decision_ms"] < row["delay_ms"] + 1e-9
    latencies = done["loop_latencies"]
    assert latencies["arrived"].all()
    assert (latencies["latency_ms"] > 1).all()
    beamforming.report(done.path, terminal())
    assert "Closed loop, CSI 0 ms old" in capsys.readouterr().out
    assert done.path / "loop.svg" in beamforming.plot(done.path)


def test_old_csi_and_slow_processors_cost(tmp_path):
    """At 30 km/h CSI of 20 ms is worth little, and a sensor has not computed a precoder when the next turn comes."""
    options = (*(each for each in cell().network.options if not each.startswith("speed")), "speed=8.3")
    loop = dataclasses.replace(SHORT, measured_ms=40.0, tensors=0)
    found = {}
    for device, ages_ms in (("cpu-server", (0.0, 20.0)), ("sensor", (0.0,))):
        network = Network(scenario="nr-urban-micro", options=options, devices=(f"gnb*={device}",))
        config = cell(loop=dataclasses.replace(loop, ages_ms=ages_ms), network=network, rules=("rzf",))
        found[device] = run(config, tmp_path)["loop"].set_index("age")
    server, sensor = found["cpu-server"], found["sensor"].loc["0 ms"]
    assert server.loc["20 ms", "goodput_mbps"] < 0.7 * server.loc["0 ms", "goodput_mbps"]
    assert server.loc["20 ms", "delay_ms"] == pytest.approx(20 + server.loc["20 ms", "decision_ms"], abs=0.01)
    assert sensor["decision_ms"] > 1.0
    assert sensor["left_out"] > 0
    assert sensor["goodput_mbps"] < 0.7 * server.loc["0 ms", "goodput_mbps"]


@pytest.mark.parametrize("period", [1, 20])
def test_late_decisions_cost_what_is_predicted(tmp_path, period):
    """Precoders that are 4 to 8 ms late at 0.83 m/s; UEs report in each slot, or with new precoders only."""
    options = (*(each for each in cell().network.options if "CsiPeriod" not in each),
               f"edgelam::nr::Cell::CsiPeriod={period}")  # fmt: skip
    slow = Network(scenario="nr-urban-micro", options=options, devices=("gnb*=cpu-server",))
    loop = dataclasses.replace(SHORT, ages_ms=(4.0,), period_ms=4.0, measured_ms=80.0, tensors=0)
    done = run(cell(loop=loop, network=slow, rules=("mrt", "rzf", "wmmse-1-start")), tmp_path)
    judged = loop_results.claims(done).set_index("claim").loc["rzf carries more than mrt"]
    assert judged["ratio"] == pytest.approx(judged["predicted_ratio"], rel=0.08)
    for row in done["loop"].to_dict("records"):
        assert row["goodput_mbps"] == pytest.approx(row["predicted_mbps"], rel=0.08), row


def test_cells_that_coordinate_disturb_each_other_less(tmp_path):
    options = ("sites=3", "sectors=1", "siteDistance=150", "carFraction=0", "bandwidth=20", "gnbRows=1", "gnbColumns=4",
               "gnbPolarisations=1", "gnbPower=30", "speed=0.4", "edgelam::nr::Cell::GnbDelay=0",
               "edgelam::nr::Cell::CsiDelay=0", "edgelam::nr::Cell::CsiPeriod=1")  # fmt: skip
    config = cell(
        rules=("rzf",), learned=("no-backbone",), policy=PolicySettings(width=8),
        training=TrainingSettings(steps=2, batch_size=4),
        coordinated=CoordinatedSettings(samples=4, policy_steps=2, policy_batch_size=4),
        network=Network(scenario="nr-urban-grid", options=options, devices=("gnb*=cpu-server",)),
        loop=dataclasses.replace(SHORT, ues=6, measured_ms=30.0, period_ms=5.0, tensors=0, coordinated=True),
    )  # fmt: skip
    found = run(config, tmp_path)["loop"].set_index("method")
    assert set(found.index) == {"rzf", "no-backbone", "coordinated-wmmse", "coordinated-no-backbone"}
    assert found.loc["coordinated-wmmse", "predicted_mbps"] > found.loc["rzf", "predicted_mbps"]
    assert found.loc["coordinated-wmmse", "goodput_mbps"] > found.loc["rzf", "goodput_mbps"]
    assert (found["goodput_mbps"] < 1.15 * found["predicted_mbps"]).all()
    network = dataclasses.replace(config.network, options=(*options, "csiPairs=serving"))
    with pytest.raises(ConfigurationError, match="need csiPairs=all"):
        beamforming.module.check(dataclasses.replace(config, network=network))


def test_phases_of_a_surface_are_decided_in_the_loop(tmp_path):
    """A surface of 64 elements beside a gNB without line of sight: phases that are chosen carry more."""
    options = ("bandwidth=20", "joined=5", "gnbRows=1", "gnbColumns=4", "gnbPolarisations=1", "speed=0", "los=Never",
               "surfaces=1", "surfacePlaces=0/2/6/-90", "surfaceRows=16", "surfaceColumns=16", "gnbPower=-10",
               *WITHOUT_DELAY)  # fmt: skip
    config = cell(
        rules=("rzf",), learned=("unrolled-wmmse",), policy=PolicySettings(iterations=2),
        training=TrainingSettings(steps=2, batch_size=4),
        surface=SurfaceSettings(samples=2, rounds=4, policy_steps=2, policy_batch_size=2),
        network=Network(scenario="nr-indoor", options=options, devices=("gnb*=cpu-server",)),
        loop=dataclasses.replace(SHORT, ues=2, period_ms=20.0, filling_ms=10.0, measured_ms=20.0, watch_ms=5.0,
                                 tensors=0, phases=("still", "random", "bcd", "policy")),
    )  # fmt: skip
    found = run(config, tmp_path)["loop"].set_index("method")
    wanted = {f"{method}, {rule} phases" for method in ("rzf", "unrolled-wmmse") for rule in ("still", "random", "bcd")}
    assert set(found.index) == {*wanted, "unrolled-wmmse, policy phases"}
    assert (found["decisions"] >= 1).all()


def test_a_model_is_fine_tuned_over_the_cell(tmp_path, capsys):
    """One round of split-fedft under each precoder while another UE has full buffers; what is learned is the same."""
    learning = LearningSettings(method="split-fedft", devices=2, rounds=1, batch_size=2, test_samples=4)
    loop = dataclasses.replace(SHORT, ues=3, filling_ms=5.0, measured_ms=5.0, tensors=0, learning=learning)
    done = run(cell(loop=loop), tmp_path)
    rounds = done["loop_learning"]
    assert rounds["method"].tolist() == ["mrt", "rzf"]
    assert rounds["round"].eq(1).all()
    assert rounds["time_s"].gt(0.005).all()
    assert rounds["accuracy"].nunique() == 1  # precoders decide when, not what
    assert "rounds are done sooner with rzf than with mrt" in set(loop_results.learning_claims(done)["claim"])
    beamforming.report(done.path, terminal())
    assert "split-fedft under each precoder" in capsys.readouterr().out
    half = dataclasses.replace(learning, rounds=2, longest_s=1.5 * rounds["time_s"].max())
    last = run(cell(loop=dataclasses.replace(loop, learning=half), rules=("rzf",)), tmp_path / "half")["loop_learning"]
    assert last["round"].tolist() == [1, 2]
    assert last["ended"].tolist() == [True, False]
    assert last["time_s"].iloc[-1] == pytest.approx(half.longest_s)
    assert last["accuracy"].isna().all()


def test_policies_of_an_earlier_run_drive_a_network_of_cells(tmp_path):
    first = cell(
        network=Network(scenario="none"), learned=("unrolled-wmmse",), rules=("rzf",), tests=("3x3@10",),
        test_samples=8, policy=PolicySettings(iterations=2), training=TrainingSettings(steps=2, batch_size=4),
    )  # fmt: skip
    policies = str(run(first, tmp_path).path / "policies")
    options = ("sites=2", "sectors=1", "bandwidth=20", "gnbPower=30")
    loop = dataclasses.replace(SHORT, measured_ms=20.0, tensors=0, pilot_snr_db=20.0, period_ms=2.0)
    config = cell(
        network=Network(scenario="nr-urban-grid", options=options), learned=("unrolled-wmmse",), rules=(), loop=loop,
        policy=PolicySettings(iterations=2), policies=policies,
    )  # fmt: skip
    done = run(config, tmp_path)
    assert done["loop"]["goodput_mbps"].item() > 5
    assert "curves" not in done
    with pytest.raises(ConfigurationError, match=r"no file gnn-1\.safetensors; there are: unrolled-wmmse-1"):
        beamforming.module.check(dataclasses.replace(config, learned=("gnn",)))


def test_prediction_by_hand():
    """Groups of one SINR: the size of a block of the MCS that fits; EESM lies between the least and the mean."""
    link = Link(2, [4] * 12 + [3], 12)
    assert link.bits_per_slot(np.zeros(13)) == 0.0
    assert link.bits_per_slot(np.full(13, 1e-3)) == 0.0
    most = link.bits_per_slot(np.full(13, 1e4))
    symbol = 51 * 8 * 948 / 1024  # bits of a symbol on all but one of whose elements there is data
    assert most == pytest.approx((3 * 144 + 96) * symbol / 5, rel=0.03)
    half = np.where(np.arange(13) < 6, 1e4, 0.0)
    assert link.bits_per_slot(half) == pytest.approx(most * 24 / 51, rel=0.03)
    sinr = np.array([1.0, 10.0])
    found = effective(sinr, np.ones(2), np.array([1.6, 1e6]))
    assert 1.0 < found[0] < 5.5
    assert found[0] == pytest.approx(-1.6 * math.log((math.exp(-1 / 1.6) + math.exp(-10 / 1.6)) / 2))
    assert found[1] == pytest.approx(5.5, rel=1e-3)


def test_prediction_where_the_cell_believes_too_much():
    """Belief that is always 3 dB too high costs what 3 dB cost; where it is right, nothing."""
    link = Link(2, [4] * 12 + [3], 12)
    sinr = [np.full(13, 10 ** (db / 10)) for db in (8.0, 12.0, 16.0)]
    right = np.mean([link.bits_per_slot(each) for each in sinr])
    assert link.adapted(sinr, sinr) == pytest.approx(right)
    assert 0.93 * right < link.adapted([2 * each for each in sinr], sinr) <= right
    fading = [np.full(13, 10 ** (db / 10)) for db in (20.0, 10.0)]
    assert link.adapted([fading[0]] * 2, fading) < 0.75 * np.mean([link.bits_per_slot(each) for each in fading])
    assert link.adapted([np.zeros(13)], [np.zeros(13)]) == 0.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ues": 13}, "legal are 1 to 12"),
        ({"ages_ms": ()}, "at least one"),
        ({"ages_ms": (-1.0,)}, "legal are 0 to 1000 ms"),
        ({"measured_ms": math.nan}, "measured_ms is nan"),
        ({"pilot_snr_db": math.nan}, "pilot_snr_db is nan"),
        ({"tensors": -1}, "0 or more"),
        ({"phases": ("bcd", "bcd")}, "given once"),
        ({"phases": ("bcd",), "coordinated": True}, "surfaces are of one cell"),
        ({"phases": ("bcd",), "pilot_snr_db": 10.0}, "legal is inf"),
        ({"learning": LearningSettings(method="split-fedft", devices=5)}, "legal are 1 to loop.ues, 4"),
    ],
)
def test_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        dataclasses.replace(SHORT, **change)


@pytest.mark.parametrize("longest_s", [0.0, math.inf, math.nan])
def test_fine_tuning_ends_some_time(longest_s):
    with pytest.raises(ConfigurationError, match="longest_s"):
        LearningSettings(longest_s=longest_s)


def test_scenarios_that_cannot_be_driven_are_refused():
    for options, words in (
        (("beams=zf",), "needs beams=external"),
        (("pattern=DSUUU",), "predicted for DDDSU"),
        (("gnbPower=much",), "a number is needed"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            beamforming.module.check(cell(network=Network(scenario="nr-indoor", options=options)))
