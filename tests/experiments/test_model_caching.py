# SPDX-License-Identifier: GPL-2.0-only
"""model-caching: a small run over a network and without one, what is printed and drawn of it, what is refused."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

caching = experiments.find("model-caching")
TINY = {
    "num_seeds": 1, "num_users": 3, "num_models": 8, "roots": ("resnet18",), "bytes_per_parameter": 0.02, "requests": 6,
    "site_bytes": 0.5e6, "middle_bytes": 0.5e6, "warm": 30, "deadline_s": 0.15,
}  # fmt: skip


def done(tmp_path, **changes):
    chosen = caching.config(**(TINY | changes))
    with RunFolder.create("model-caching", chosen, seed=1, out=tmp_path) as folder:
        caching.run(chosen, folder, Progress())
    return folder.path


def test_a_run_delivers_judges_and_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = done(tmp_path, methods=("everything", "trimcaching-gen", "independent", "lru"))
    run = load(path)
    rows = run["requests"]
    assert rows.groupby("method")["request"].nunique().eq(6).all()
    found = rows["site_bytes"] + rows["middle_bytes"] + rows["origin_bytes"]
    assert found.equals(rows["bytes"])
    assert (rows["e2e_s"] >= rows["fill_s"]).all()
    assert rows["on_time"].equals(rows["e2e_s"] <= rows["deadline_s"])
    paired = [mine[["request", "user", "model", "bytes"]].reset_index(drop=True) for _, mine in rows.groupby("method")]
    assert all(mine.equals(paired[0]) for mine in paired)  # the same requests for all methods
    everything = rows[rows["method"] == "everything"]
    assert (everything["site_bytes"] == everything["bytes"]).all()
    caches = run["caches"].set_index("method")
    assert caches.loc["everything", "wan_bytes"] == 0
    assert caches["declared"].all()
    assert caches["radio_bytes"].to_dict() == rows.groupby("method")["bytes"].sum().to_dict()
    assert (caches.loc[["trimcaching-gen", "independent", "lru"], "stored_bytes"] <= 4 * 0.5e6).all()
    caching.report(path, terminal())
    printed = capsys.readouterr().out
    assert "trimcaching-gen delivers more in time than independent" in printed
    assert "undecided" in printed
    (figure,) = caching.plot(path)
    assert figure.exists()
    methods = pd.read_csv(path / "methods.csv").set_index("method")
    parts = methods[["hit_ratio", "late_radio", "late_backhaul", "late_storage"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(np.ones(4))


def test_without_shared_blocks_gen_and_independent_deliver_the_same(tmp_path):
    path = done(tmp_path, share=False, methods=("trimcaching-gen", "independent"))
    gen, independent = (mine.drop(columns="method").reset_index(drop=True)
                        for _, mine in load(path)["requests"].groupby("method"))  # fmt: skip
    assert gen.equals(independent)


def test_what_is_not_legal_is_refused():
    for changes, text in (
        ({"num_seeds": 0}, "num_seeds is 0"),
        ({"zipf": -1.0}, "zipf is -1.0; it must be 0 or more"),
        ({"deadline_s": 0.0}, "deadline_s is 0.0; it must be above 0"),
        ({"methods": ()}, r"methods are \(\); at least one"),
        ({"roots": ("resnet18", "resnet18")}, "each once"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            caching.config(**changes)
    with pytest.raises(ConfigurationError, match="middle is 'edge9'; legal are the edge servers: edge0"):
        caching.check(caching.config(middle="edge9"))
    network = dataclasses.replace(
        caching.config().network, options=("sites=1", "sectors=1", "numSiteEdge=0", "numUpfEdge=2")
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="edge0, the node in the middle, is the nearest edge server of a user"):
        caching.check(caching.config(middle="edge0", network=network))
