# SPDX-License-Identifier: GPL-2.0-only
"""A non-editable installation is whole: what it puts where, and that it runs from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent


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
    assert (package / "include" / "ns3-ai" / "ns3" / "ai-module.h").exists()
    assert (package / "lib" / "libedgelam-ns3-ai.so").exists()
    assert (package / "ns3ai" / "python" / "ns3ai_utils.py").exists()
    assert {"page.html", "style.css", "main.js"} <= {path.name for path in (package / "runs" / "report").iterdir()}


@pytest.mark.slow
def test_it_runs_from_any_folder(site, tmp_path):
    """The installed copy, not the source tree, answers; its scenarios find ns-3 and its own library."""
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r});"
        "sys.meta_path = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__];"
        "import edgelam.__main__ as m; assert m.__file__.startswith(sys.path[0]), m.__file__;"
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
