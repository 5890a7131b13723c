# SPDX-License-Identifier: GPL-2.0-only
"""Recipe quick of microservices, cut short. Skipped, with the commands that help, where models are not there."""

import dataclasses
import shutil

import pytest

from edgelam.errors import ConfigurationError
from edgelam.modalities.trained import is_trained, one_thread
from edgelam.models import fetch
from edgelam.output.progress import Progress
from edgelam.runs import Network, RunFolder, experiments, load

microservices = experiments.find("microservices")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from edgelam.experiments.microservices.recipes.quick import quick
    from edgelam.experiments.microservices.serving import demand, multimodal

    try:
        multimodal.check()
    except ConfigurationError as error:
        pytest.skip(str(error))
    start = quick()
    short = dataclasses.replace(
        start.serving, methods=("shared-exact", "monolithic", "cloud-only"), num_users=2, max_requests=6
    )
    config = dataclasses.replace(
        start, serving=short, network=Network("nr-urban-micro", devices=("edge*=cpu-server,memory_bytes=2e9",))
    )
    with pytest.MonkeyPatch.context() as patch, one_thread():
        patch.setattr(multimodal, "SAMPLES", 1)
        patch.setattr(demand, "PROFILED", 1)
        with RunFolder.create("microservices", config, seed=1, out=tmp_path_factory.mktemp("runs")) as folder:
            microservices.run(config, folder, Progress())
    return load(folder.path)


def test_answers_of_real_models_do_not_depend_on_sharing_or_place(run):
    rows = run["requests"]
    assert (rows["status"] == "complete").all()
    assert not rows["declared"].any()
    assert rows.groupby("request")["answer"].nunique().eq(1).all()
    assert {"image-speech", "image-question+speech"} <= set(rows["graph"])
    assert rows["tokens"].between(1, 16).all()
    assert rows["quality"].notna().all()
    assert rows["e2e_s"].to_numpy() == pytest.approx(
        rows[[f"{part}_s" for part in ("decision", "uplink", "backhaul", "downlink", "load", "queue", "compute",
                                       "retry")]].sum(axis=1).to_numpy(), abs=1e-9,
    )  # fmt: skip


def test_tasks_with_two_modalities_share_the_image_encoder(run):
    instances = run["instances"]
    shared = instances[instances["method"] == "shared-exact"]
    encoders = shared[shared["service"] == "dinov2-small"]
    calls = run["calls"]
    rows = run["requests"]
    for method, name in (("shared-exact", "dinov2-small"), ("cloud-only", "dinov2-small")):
        mine = calls[(calls["method"] == method) & (calls["service"] == name)]
        assert mine.groupby("request").size().eq(1).all()  # once, also where two tasks ask about the image
        assert len(mine) == (rows["method"] == method).sum()
    assert 1 <= len(encoders) <= 2
    means = run.metrics.set_index("method")
    assert means.loc["monolithic", "memory_bytes"] > 1.3 * means.loc["cloud-only", "memory_bytes"]


def test_only_the_cloud_gets_raw_data(run):
    means = run.metrics.set_index("method")
    moves = run["moves"]
    sent = moves[(moves["method"] == "cloud-only") & (moves["part"] == "uplink")]["bytes"].sum()
    assert means.loc["cloud-only", "raw_wan_bytes"] == sent > 0
    assert means.loc["shared-exact", "raw_wan_bytes"] < sent


@pytest.fixture
def fresh():
    """Modules are loaded again, before and after."""
    from edgelam.experiments.microservices.serving import multimodal

    multimodal.modules.cache_clear()
    yield
    multimodal.modules.cache_clear()


def test_without_models_the_commands_that_bring_them_are_named(fresh, tmp_path, monkeypatch):
    from edgelam.experiments.microservices.recipes.quick import quick
    from edgelam.experiments.microservices.serving import multimodal

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError) as refused:
        microservices.check(quick(), start=False)
    fetch = f"edgelam models fetch {' '.join(multimodal.FETCHED)}"
    assert f"{fetch} && edgelam models train {' '.join(multimodal.TRAINED)}" in str(refused.value)
    assert "--config declared" in str(refused.value)


@pytest.mark.parametrize("how", ["damaged", "foreign"])
def test_a_model_file_that_is_not_the_pinned_one_is_refused(fresh, tmp_path, monkeypatch, how):
    """One byte of an encoder's weights differs; or its file is that of another model."""
    from edgelam.experiments.microservices.recipes.quick import quick
    from edgelam.experiments.microservices.serving import multimodal

    from edgelam.files.cache import cache_folder

    if not all(fetch.is_fetched(name) for name in multimodal.FETCHED) or not all(map(is_trained, multimodal.TRAINED)):
        pytest.skip("edgelam models fetch --all && edgelam models train --all")
    there, mine = cache_folder("models"), tmp_path / "edgelam" / "models"
    mine.mkdir(parents=True)
    for folder in there.iterdir():
        if folder.name != "dinov2-small":
            (mine / folder.name).symlink_to(folder)
    shutil.copytree(there / "dinov2-small", mine / "dinov2-small")
    weights = mine / "dinov2-small" / "model.safetensors"
    if how == "damaged":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    else:
        shutil.copy(there / "sensor-model" / "model.safetensors", weights)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=f"{weights} is damaged.*edgelam models fetch dinov2-small"):
        microservices.check(quick(), start=False)
