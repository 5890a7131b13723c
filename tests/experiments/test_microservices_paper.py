# SPDX-License-Identifier: GPL-2.0-only
"""The study paper: its services lie in the paper's ranges, a small run of it, and its claim."""

import dataclasses
import io

import pytest

from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.output.terminal import results as terminal
from edgelam.runs import RunFolder, experiments, load

microservices = experiments.find("microservices")


@pytest.mark.parametrize("seed", [1, 2])
def test_services_lie_in_the_ranges_of_the_paper(seed):
    from edgelam.experiments.microservices.paper import workload

    setting = workload.make(seed)
    assert len(setting.services) == 15
    assert len(setting.graphs) == 4
    for graph in setting.graphs.values():
        graph.check(setting.services)
        assert len(graph.services()) == 5
    for name, service in setting.services.items():
        core = name.startswith(("core", "head"))
        seconds = service.module.work_of_request.flops / workload.SERVER_FLOPS
        low, high = (2 / 32, 16 / 8) if core else (0, 2 / 1)
        assert low * 1e-3 <= seconds <= high * 1e-3
        low, high = (0.1e6, 1e6) if core else (0.25e6, 1.5e6)
        assert low <= service.module.output_bytes <= high
        low, high = (4e9, 32e9) if core else (1e9, 4e9)
        assert low <= service.weight_bytes <= high
        assert service.declared
    assert all(0.5e6 <= size <= 4e6 for size in setting.input_bytes.values())
    assert all(0.05 <= deadline <= 0.1 for deadline in setting.deadline_s.values())
    tasks = setting.tasks([f"ue{i}" for i in range(7)], 150.0)
    for graph in setting.graphs:
        rate = sum(task.arrivals.mean_rate for mine in tasks.values() for task in mine if task.graph == graph)
        assert rate == pytest.approx(150.0)


def test_a_run_serves_all_requests_and_says_that_services_are_declared(tmp_path):
    from edgelam.experiments.microservices import recipes
    from edgelam.experiments.microservices.paper.settings import PaperSettings

    recipe = recipes.RECIPES["paper"]()
    chosen = dataclasses.replace(
        recipe, paper=PaperSettings(methods=("greedy",), loads=(1.0, 100.0), window_s=0.02),
        serving=dataclasses.replace(recipe.serving, num_seeds=1),
    )  # fmt: skip
    with RunFolder.create("microservices", chosen, seed=1, out=tmp_path) as folder:
        microservices.run(chosen, folder, Progress())
    run = load(folder.path)
    row = run.metrics.iloc[0]
    assert len(run.metrics) == 1
    assert row["completed"] == row["requests"] == len(run["requests"]) > 0
    assert row["declared"]
    assert run["requests"]["declared"].all()
    assert row["on_time_ratio"] == run["requests"]["on_time"].mean()
    assert "times what all 10 nodes together can compute" in run["refused"]["reason"].iloc[0]
    cells = run["cell"]
    assert len(cells) == 7
    for each in cells.to_dict("records"):
        assert each["load"] == pytest.approx(1 / (each["seconds"] * each["requests_per_s"]))
        assert each["in_time"] == (each["seconds"] <= each["deadline_s"])
        assert each["seconds"] > 8 * each["bytes"] / 2e9  # no uplink of a cell has 2 Gb/s
    console = terminal()
    console.file = io.StringIO()
    microservices.report(run.path, console)
    assert "undecided" in console.file.getvalue()
    assert "Services are declared" in console.file.getvalue()
    assert [path.name for path in microservices.plot(run.path)] == ["paper.svg"]


@pytest.mark.parametrize(
    ("ratio", "interval", "seeds", "verdict"),
    [
        (0.95, 0.02, 5, "holds"),
        (0.7, 0.1, 5, "does not hold"),
        (0.86, 0.03, 5, "undecided"),
        (1.0, 0.0, 1, "undecided"),
    ],
)
def test_the_claim_is_judged_by_its_interval(ratio, interval, seeds, verdict):
    from edgelam.experiments.microservices.paper import results

    assert results.verdict(ratio, interval, seeds) == verdict


@pytest.mark.parametrize(
    ("changes", "text"), [({"loads": ()}, "at least one, each above 0"), ({"window_s": 0.0}, "window_s is 0.0")]
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    from edgelam.experiments.microservices.paper.settings import PaperSettings

    with pytest.raises(ConfigurationError, match=text):
        PaperSettings(**changes)
