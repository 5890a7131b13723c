# SPDX-License-Identifier: GPL-2.0-only
"""What a run is known by: whatever its results depend on makes it another one, and nothing else does."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgelam.runs.campaigns import identity as identities
from edgelam.runs.campaigns.on_ray import relative_inputs
from edgelam.runs.campaigns.sources import python_sources
from edgelam.runs.experiments import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1
    scenario: str = "none"
    options: tuple[str, ...] = ()


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def known_by(config: Config) -> str:
    return identities.identity(Experiment("tried", SimpleNamespace()), config, "v")


def test_a_file_that_an_option_of_the_scenario_names_counts_and_travels(here):
    for name in ("./places.csv", "places.csv", "places"):
        config = Config(options=("speed=3", f"positions={name}", "text=" + "long" * 500))
        without = known_by(config)
        (here / name).write_text("0,0")
        first = known_by(config)
        (here / name).write_text("1,0")
        assert len({without, first, known_by(config)}) == 3
        assert relative_inputs(config) == [Path(name)]
        (here / name).unlink()


def test_the_modules_that_a_python_scenario_imports_count_and_travel(here):
    (here / "walk.py").write_text("import json\nfrom steps import far\nimport parts.inner as p\n")
    (here / "steps.py").write_text("def far():\n    from lengths import m\n    return m\n")
    (here / "lengths.py").write_text("import walk\nm = 1\n")  # a circle
    (here / "parts").mkdir()
    (here / "parts" / "__init__.py").write_text("from . import deep\n")
    (here / "parts" / "deep.py").write_text("")
    (here / "parts" / "inner.py").write_text("from ..lengths import m\n")
    (here / "parts" / "unused.py").write_text("")
    (here / "notes.py").write_text("")
    config = Config(scenario="./walk.py")
    read = ["lengths.py", "parts/__init__.py", "parts/deep.py", "parts/inner.py", "steps.py", "walk.py"]
    assert sorted(map(str, relative_inputs(config))) == read
    known = {known_by(config)}
    for count, name in enumerate(read, start=2):
        file = here / name
        file.write_text(file.read_text() + "# changed\n")
        known.add(known_by(config))
        assert len(known) == count, name
    for name in ("notes.py", "parts/unused.py"):
        (here / name).write_text("changed = 1\n")
    assert known_by(config) in known


@pytest.mark.parametrize("suffix", [".cc", ".cpp", ".cxx"])
def test_a_cpp_scenario_counts_by_its_program(here, monkeypatch, suffix):
    """Whatever its suffix; the builder itself knows what it includes (tests/scenarios/test_scenario_build.py)."""
    program = here / "program"
    (here / f"mine{suffix}").write_text("int main() {}")
    monkeypatch.setattr(identities.scenarios, "build", lambda file: SimpleNamespace(executable=program))
    known = set()
    for content in ("built from it", "built with another header"):
        program.write_text(content)
        known.add(known_by(Config(scenario=f"./mine{suffix}")))
    assert len(known) == 2


def test_the_modules_beside_an_experiment_count(here):
    (here / "mine.py").write_text("from edgelam.experiments import helper\nfrom edgelam.errors import EdgelamError\n")
    (here / "helper.py").write_text("from .deeper import f\n")
    (here / "deeper.py").write_text("")
    (here / "other.py").write_text("")
    assert [path.name for path in python_sources([here / "mine.py"], here)] == ["deeper.py", "helper.py", "mine.py"]
    own = Experiment("mine", SimpleNamespace(__file__=str(here / "mine.py")))
    assert set(identities.experiment_sources(own)) == {"deeper.py", "helper.py", "mine.py"}
    (here / "large").mkdir()
    (here / "large" / "__init__.py").write_text("from .plotting import plot\nfrom ..helper import f\n")
    (here / "large" / "plotting.py").write_text("import edgelam.experiments.other\n")
    large = Experiment("large", SimpleNamespace(__file__=str(here / "large" / "__init__.py")))
    found = set(identities.experiment_sources(large, without={"plotting.py"}))
    assert found == {"large/__init__.py", "helper.py", "deeper.py"}


def test_a_file_that_is_no_python_is_read_as_it_is(here):
    (here / "broken.py").write_text("def (")
    assert python_sources([Path("broken.py")], Path()) == [Path("broken.py")]
