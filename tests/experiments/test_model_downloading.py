# SPDX-License-Identifier: GPL-2.0-only
"""model-downloading: a small run of each part, what is printed and drawn, what is kept, what is refused."""

import importlib
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load
from edgelam.runs.network import Network

sys.path.append(str(Path(__file__).parents[1] / "downloading"))
import small_lattice

downloading = experiments.find("model-downloading")
models = importlib.import_module("edgelam.experiments.model_downloading.models")
connectivity = importlib.import_module("edgelam.experiments.model_downloading.connectivity")
WIRED = Network("wired-star", options=("numEdge=3", "rate=3Mbps", "delay=2ms"), devices=("ue*=phone,flops_per_s=3e8",))
TINY = {
    "num_seeds": 1, "num_users": 2, "deadline_s": 0.2, "predicted_mbps": 1.0, "fixed": "4/2/4", "network": WIRED,
    "sharers": (1, 3), "shared_mbps": 2.0, "storage_bytes": 1e6,
}  # fmt: skip


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The small model of tests in the place of the measured ones, and a network with three tiers."""
    lattice, _ = small_lattice.model()
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "minilm.json").write_bytes(lattice.manifest)
    rows = [
        {"depth": p.depth, "width": p.width, "bits": p.bits, "accuracy": q} for p, q in small_lattice.quality().items()
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "measured" / "ladder-minilm.csv", index=False)
    monkeypatch.setattr(models, "MEASURED", tmp_path / "measured")
    models.load.cache_clear()
    yield tmp_path
    models.load.cache_clear()


@pytest.fixture
def three_tiers(monkeypatch):
    """In a star, the third edge server stands for the cloud."""
    from edgelam.runs.needs import Needs

    for name in ("downloads", "sharing"):
        module = importlib.import_module(f"edgelam.experiments.model_downloading.{name}")

        class Star(Needs):
            def nodes(self, sim):
                users, edges = sim.nodes_with_role("ue"), sim.nodes_with_role("edge")
                return [users, edges[:2], edges[2:]]

        monkeypatch.setattr(module, "needs", lambda config, star=Star: star(roles={"ue": 3, "edge": 3}))


def done(tmp_path, **changes):
    chosen = downloading.config(**(TINY | changes))
    with RunFolder.create("model-downloading", chosen, seed=1, out=tmp_path) as folder:
        downloading.run(chosen, folder, Progress())
    return folder.path


def test_methods_are_compared_with_the_same_requests_and_bytes_go_through_the_tiers(
    small, three_tiers, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    path = done(small, methods=("progressive", "planned-once", "full", "fixed", "oracle", "central", "split"))
    run = load(path)
    asked = [
        mine.sort_values(["user", "request"])["asked_s"].to_numpy() for _, mine in run["requests"].groupby("method")
    ]
    assert all(np.allclose(each, asked[0]) for each in asked)
    rows = run["downloads"].set_index(["method", "user"])
    assert set(rows.index.get_level_values("method")) == {
        "progressive",
        "planned-once",
        "full",
        "fixed",
        "oracle",
        "central",
    }
    assert (rows["end_s"] <= 0.2 + 1e-9).all()
    for user in ("ue0", "ue1"):
        assert rows.loc[("progressive", user), "usable_s"] < rows.loc[("fixed", user), "usable_s"]
    steps = run["steps"]
    for (method, user), row in rows.iterrows():
        mine = steps[(steps["method"] == method) & (steps["user"] == user)]
        assert (mine["accuracy"].max() if len(mine) else 0.0) == row["accuracy"]
    tiers = run["tiers"]
    central = tiers[tiers["method"] == "central"].set_index(["source", "receiver"])["bytes"]
    assert central["edge2", "edge1"] == central["edge1", "edge0"] > 0
    direct = tiers[tiers["method"] == "progressive"]
    assert set(direct["source"]) == {"edge0"}
    split = run["requests"][run["requests"]["method"] == "split"]
    assert (split["up_bytes"] == 64).all()
    assert split["answered"].all()
    assert run["requests"].loc[~run["requests"]["answered"], "accuracy"].eq(0).all()
    downloading.report(path, terminal())
    printed = capsys.readouterr().out
    assert "progressive answers better than full" in printed
    assert "undecided" in printed
    assert all(figure.exists() for figure in downloading.plot(path))
    assert (path / "methods.csv").exists()


def test_multicast_sends_the_union(small, three_tiers):
    path = done(small, parts=("sharing",))
    table = load(path)["sharing"].set_index(["users", "mode"])
    one, many = table.loc[(1, "multicast")], table.loc[(3, "multicast")]
    assert one["sent_bytes"] == one["union_bytes"] == one["sum_bytes"]
    assert table.loc[(3, "unicast"), "sent_bytes"] == many["sum_bytes"] > 1.5 * many["union_bytes"]
    manifest = small_lattice.model()[0].manifest_block.size_bytes
    assert many["sent_bytes"] == many["union_bytes"] + 2 * manifest + many["repair_bytes"]  # the manifest goes to each
    assert (table["failed"] == 0).all()
    assert [figure.name for figure in downloading.plot(path)] == ["sharing.svg"]


def test_needs_are_met_or_not_as_the_network_says_and_slow_start_is_apart(small, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "250")
    wire = Network("wired-star", options=("rate=100Mbps", "delay=5ms"))
    monkeypatch.setattr(connectivity, "NETWORKS", {"wire": connectivity.Link(wire, 9e7, 9e7)})
    wants = (connectivity.Want("small", "down", 200_000, 0.05), connectivity.Want("large", "up", 2_000_000, 0.1))
    monkeypatch.setattr(connectivity, "WANTS", wants)
    sizes = (10_000, 100_000, 1_000_000, 5_000_000)
    monkeypatch.setattr(connectivity, "PROBES", tuple(connectivity.Want("probe", "down", size, 1.0) for size in sizes))
    monkeypatch.setattr(connectivity, "Model", Literal["minilm"])
    path = done(small, parts=("needs",))
    results = importlib.import_module("edgelam.experiments.model_downloading.results")
    table = results.needed(load(path)).set_index("what")
    best = results.frontier(load(path)).set_index(["mode", "within_s"])
    assert best.loc[("udp", 0.1), "megabytes"] == pytest.approx(0.9 * 100 / 8 * 0.1, rel=0.1)
    assert best.loc[("tcp, first", 0.1), "megabytes"] < best.loc[("udp", 0.1), "megabytes"]
    assert best.loc[("udp", 1.0), "size"] == "d4 w2 b8"
    assert (best["megabytes"].fillna(0) * 8 / best.index.get_level_values("within_s") < 100).all()
    assert table.loc["small", "needed_mbps"] == pytest.approx(32)
    assert table.loc["small", "tcp, first (s)"] > 0.05 > table.loc["small", "tcp, again (s)"]
    assert not table.loc["small", "tcp, first met"]
    assert table.loc["small", "tcp, again met"]
    assert not table.loc["large", "tcp, again met"]  # 160 Mbit/s over 100
    assert (table["slow_start_s"] > 0.01).all()
    downloading.report(path, terminal())
    assert "no, yes, yes" in capsys.readouterr().out
    assert [figure.name for figure in downloading.plot(path)] == ["needs.svg"]


@pytest.mark.parametrize("model", ["minilm", "dinov2"])
def test_what_is_kept_of_each_model_fits_together(model):
    if not models.is_kept(model):
        with pytest.raises(ConfigurationError, match=f"edgelam models train {models.TRAINED[model]}"):
            models.load(model)
        return
    known = models.load(model)
    assert len(known.lattice.points) == 45
    whole, least = known.lattice.whole, known.lattice.points[0]
    assert known.quality[whole] > known.quality[least]
    assert known.lattice.size_bytes(least) < 0.3 * known.lattice.size_bytes(whole)


def test_what_is_not_legal_is_refused(small):
    for changes, text in (
        ({"deadline_s": 0.0}, "deadline_s is 0.0; it must be above 0"),
        ({"methods": ()}, r"methods are \(\); at least one"),
        ({"fixed": "4/2"}, "fixed is '4/2'; legal is depth/width/bits"),
        ({"losses": (1.0,)}, "losses are"),
        ({"sharers": (0,)}, "each must be at least 1"),
        ({"num_seeds": 0}, "num_seeds is 0"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            downloading.config(**changes)
    with pytest.raises(ConfigurationError, match="no size of depth 9"):
        downloading.check(downloading.config(fixed="9/0/8"))
    file = small / "measured" / "minilm.json"
    file.write_bytes(file.read_bytes().replace(b'"small"', b'"large"'))
    models.load.cache_clear()
    with pytest.raises(StorageError, match="damaged"):
        downloading.check(downloading.config())


def test_trained_weights_are_asked_for_by_their_command(small, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(small))
    models.trained.cache_clear()
    with pytest.raises(ConfigurationError, match="edgelam models train minilm-lattice"):
        downloading.check(downloading.config(fixed="4/2/4", weights="trained"))


def test_kernels_in_few_bits_are_smaller_and_others():
    import torch

    from edgelam.models.efficientnet_lite import EfficientNetLite

    cnn = importlib.import_module("edgelam.experiments.model_downloading.cnn")
    torch.manual_seed(0)
    whole = EfficientNetLite("lite0").eval()
    parameters = sum(p.numel() for p in whole.parameters())
    (eight, size8), (two, size2) = cnn.in_bits(whole, 8), cnn.in_bits(whole, 2)
    assert size8 == pytest.approx(1.1 * parameters, rel=0.1)
    assert size2 < 0.4 * size8
    assert cnn.in_bits(whole, 32)[1] == 4 * parameters
    far = [float((a - b).detach().abs().max()) for a, b in zip(whole.parameters(), two.parameters(), strict=True)]
    near = [float((a - b).detach().abs().max()) for a, b in zip(whole.parameters(), eight.parameters(), strict=True)]
    assert max(near) < 0.05 * max(far)
