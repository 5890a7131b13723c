# SPDX-License-Identifier: GPL-2.0-only
"""tensor-parallel: a small run of every method, what its tables say, and the numbers made of them."""

import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.cosim.devices import profile
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.parallel.looped_model import train_alone
from edgelam.runs import RunFolder, experiments, load

tensor_parallel = experiments.find("tensor-parallel")
EVERY = (
    "tp-optimised", "tp-free-decision", "tp-smallest-memory", "tp-equal", "tp-by-compute", "tp-by-bandwidth",
    "tp-all-devices", "tp-paba", "edge-server", "ddp", "pipeline",
)  # fmt: skip


def modules():
    from edgelam.experiments.tensor_parallel import config, data, machines, results

    return config, data, machines, results


def small(**changes):
    config, *_ = modules()
    model = config.Model(width=16, num_heads=4, feed_forward=32, loops=2, length=8, batch=4, column_groups=8)
    given = {"model": model, "methods": EVERY, "num_devices": (3,), "steps": 3, "curve_steps": 5, "replan_every": 2,
             "probe_bytes": 5000, "free_memory": (0.9, 1.0)}  # fmt: skip
    return dataclasses.replace(config.quick(), **given | changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    chosen = small()
    with RunFolder.create("tensor-parallel", chosen, seed=1, out=tmp_path_factory.mktemp("runs")) as folder:
        tensor_parallel.run(chosen, folder, Progress())
    return load(folder.path)


def test_all_methods_learn_the_same(run):
    """Their gradients are equal, so a curve that is learned once is that of each."""
    _, data, *_ = modules()
    model = small().model
    looped = model.looped(len(data.CHARACTERS), None)
    curve = train_alone(looped, data.batches_of(model.batch, model.length, 1), 5, seed=1)[1]
    assert curve[2] < curve[0]
    for method in EVERY:
        rows = run.metrics[run.metrics["method"] == method].sort_values("step")
        assert rows["loss_nats"].tolist() == pytest.approx(curve, rel=1e-5), method
        assert rows["extrapolated"].tolist() == [False] * 3 + [True] * 2
        assert (np.diff(rows["time_s"]) > 0).all()


def test_the_extrapolated_axis_goes_on_by_the_mean_step(run):
    for method in ("tp-equal", "ddp"):
        rows = run.metrics[run.metrics["method"] == method].sort_values("step")
        mean = rows["step_s"].iloc[:3].mean()
        assert np.diff(rows["time_s"])[-2:] == pytest.approx([mean, mean])


def test_decisions_and_shares_are_in_the_tables(run):
    decisions, shares = run["decisions"], run["shares"]
    assert set(decisions["method"]) == {method for method in EVERY if method.startswith("tp-")}
    assert (decisions.groupby("method")["step"].apply(list).map(lambda steps: steps == [0, 2])).all()
    assert (decisions["deciding_s"] > 0).all()
    free = decisions[decisions["method"] == "tp-free-decision"]["deciding_s"].to_numpy()
    charged = decisions[decisions["method"] == "tp-optimised"]["deciding_s"].to_numpy()
    assert free[0] < charged[0]
    for _, rows in shares.groupby(["method", "step"]):
        assert rows["heads"].sum() == 4
        assert rows["column_groups"].sum() == 8
        assert rows["share"].sum() == pytest.approx(1.0)
        assert ((rows["share"] > 0) == (rows["heads"] + rows["column_groups"] > 0)).all()
    assert (shares["rate_up_bps"] > 1e6).all()


def test_a_step_is_taken_apart_without_a_rest(run):
    *_, results = modules()
    parts = results.breakdown(run)
    steps = results.step_table(run).set_index(["devices", "method"])
    for place, row in parts.iterrows():
        whole = run.metrics[(run.metrics["method"] == place[1]) & ~run.metrics["extrapolated"]]
        begin = (whole["time_s"] - whole["step_s"]).min()
        assert row.sum() == pytest.approx((whole["time_s"].max() - begin) / 3)
        assert (row >= 0).all()
        assert row["uplink"] > 0
        assert place in steps.index
    assert parts.loc[(3, "tp-equal"), "merge"] > 0


def test_figures_and_tables(run):
    drawn = tensor_parallel.plot(run.path)
    assert {"loss_time.svg", "step_times.svg", "breakdown.svg", "device_costs.svg", "prediction.svg"} == {
        path.name for path in drawn
    }
    console = terminal()
    console.file = io.StringIO()
    tensor_parallel.report(run.path, console)
    text = console.file.getvalue()
    for method in EVERY:
        assert method in text
    assert "ddp (3 devices, seed 1) runs as if its memory were larger: ue" in text


def test_a_rule_that_fits_no_memory_is_refused_and_the_others_run(tmp_path):
    chosen = small(methods=("edge-server", "tp-equal"), stands_for_gb=40.0, steps=1, curve_steps=0)
    with RunFolder.create("tensor-parallel", chosen, seed=1, out=tmp_path) as folder:
        tensor_parallel.run(chosen, folder, Progress())
    found = load(folder.path)
    assert found["refused"]["method"].tolist() == ["tp-equal"]
    assert "4 heads are to be divided" in found["refused"]["reason"].iloc[0]
    assert not found["refused"]["ran"].iloc[0]
    assert set(found.metrics["method"]) == {"edge-server"}


def test_the_recipe_of_collectives(tmp_path):
    config, *_ = modules()
    chosen = dataclasses.replace(config.collectives(), num_devices=(2,))
    with RunFolder.create("tensor-parallel", chosen, seed=1, out=tmp_path) as folder:
        tensor_parallel.run(chosen, folder, Progress())
    bench = load(folder.path)["bench"]
    assert (bench["simulated_s"] > 0).all()
    assert bench["scenario"].unique().tolist() == ["nr-urban-micro"]
    assert {path.name for path in tensor_parallel.plot(folder.path)} == {"collectives.svg"}
    console = terminal()
    console.file = io.StringIO()
    tensor_parallel.report(folder.path, console)
    assert all(algorithm in console.file.getvalue() for algorithm in bench["algorithm"])


def test_memory_is_scaled_and_devices_keep_their_draw():
    config, _, machines, _ = modules()
    chosen = small(free_memory=(0.5, 1.0), stands_for_gb=0.0)
    looped = chosen.model.looped(96, "ue0")
    few, many = (machines.devices_of(chosen, looped, count, 7) for count in (2, 6))
    assert list(many) == [f"ue{k}" for k in range(6)]
    assert few.items() <= many.items()
    assert few != machines.devices_of(chosen, looped, 2, 8)
    for name, text in many.items():
        whole = profile(chosen.mix[int(name[2:]) % len(chosen.mix)]).memory_bytes
        assert 0.5 * whole <= profile(text).memory_bytes <= whole
    scaled = machines.devices_of(dataclasses.replace(chosen, stands_for_gb=10.0), looped, 2, 7)
    ratio = profile(scaled["ue1"]).memory_bytes / profile(few["ue1"]).memory_bytes
    from edgelam.parallel.looped_costs import single_device_memory

    assert ratio == pytest.approx(single_device_memory(looped, 4, 8).total / 1e10, rel=1e-3)
    assert config.needs(chosen).roles == {"ue": 3, "edge": 1}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"methods": ()}, "methods are ()"),
        ({"num_devices": (0,)}, "num_devices"),
        ({"free_memory": (0.5, 1.5)}, "free_memory is"),
        ({"stands_for_gb": -1.0}, "stands_for_gb is -1"),
    ],
)
def test_bad_settings_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text.replace("(", r"\(").replace(")", r"\)")):
        small(**changes)


def test_an_unknown_device_and_groups_that_do_not_divide_are_refused():
    config, *_ = modules()
    with pytest.raises(ConfigurationError, match="no device profile is called 'jetson'"):
        config.check(small(mix=("jetson",)))
    with pytest.raises(ConfigurationError, match="unknown algorithm 'circle'"):
        config.check(small(algorithm="circle"))
    with pytest.raises(ConfigurationError, match="ddp over 5 devices needs at least as many sequences"):
        small(num_devices=(5,))
    with pytest.raises(ConfigurationError, match="column_groups is 7"):
        small(model=config.Model(column_groups=7))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_time_by_priority(seed):
    """Against every second asked for one by one."""
    *_, results = modules()
    rng = np.random.default_rng(seed)
    intervals = [np.sort(rng.integers(0, 20, (rng.integers(0, 5), 2)), axis=1) for _ in range(rng.integers(1, 4))]
    begin = int(rng.integers(0, 20))
    end = begin + int(rng.integers(1, 10))
    found = results.by_priority(intervals, begin, end)
    expected = np.zeros(len(intervals) + 1)
    for moment in np.arange(begin, end) + 0.5:
        inside = [any(a <= moment < b for a, b in each) for each in intervals]
        expected[inside.index(True) if any(inside) else -1] += 1
    assert found == pytest.approx(expected)
