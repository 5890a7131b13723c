# SPDX-License-Identifier: GPL-2.0-only
"""Write the lower part of constraints.txt and docker/lock: python docker/lock.py (make lock). Needs a package index.

pip resolves pyproject.toml with the upper part of constraints.txt, without installing anything. What it finds is
written as versions for everybody (constraints.txt), and as versions with SHA-256 for the images, which are Python 3.11
on x86-64; so this must run there. Names, versions and digests are written, not where a file came from.

    torch-cpu.txt    PyTorch from its own index for the CPU
    torch-cuda.txt   PyTorch as on PyPI, with the libraries of CUDA
    packages.txt     everything else that edgelam needs to run
    build.txt        what compiles it
    tests.txt        what the tests need besides
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlparse

TOP = Path(__file__).parent.parent
BUILD_TOOLS = ("cmake", "nanobind", "ninja", "scikit-build-core")
WRITTEN = "# What these bring. Written by `make lock`.\n"
TORCH_INDEX = os.environ.get("TORCH_INDEX", "https://download.pytorch.org/whl/cpu")

Found = dict[str, tuple[str, str]]  # normalised name -> version, SHA-256


def canonical(name: str) -> str:
    """A package's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(requirements: list[str], constraints: str, *options: str) -> Found:
    """What pip would install into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        limits, report = Path(folder) / "constraints.txt", Path(folder) / "report.json"
        limits.write_text(constraints)
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
        command += ["--constraint", str(limits), "--report", str(report), *options, *requirements]
        subprocess.run(command, check=True)
        items = json.loads(report.read_text())["install"]
    return {canonical(item["metadata"]["name"]): (item["metadata"]["version"], _digest(item)) for item in items}


def _digest(item: dict) -> str:
    source = item["download_info"]
    digest = source["archive_info"].get("hashes", {}).get("sha256")
    if digest is None and source["url"].startswith("file:"):
        digest = hashlib.sha256(Path(unquote(urlparse(source["url"]).path)).read_bytes()).hexdigest()
    if digest is None:
        sys.exit(f"the index gives no SHA-256 of {item['metadata']['name']} {item['metadata']['version']}")
    return digest


def write(name: str, what: str, found: Found) -> None:
    """A file of docker/lock."""
    lines = [f"{package}=={version} --hash=sha256:{digest}\n" for package, (version, digest) in sorted(found.items())]
    (TOP / "docker" / "lock" / name).write_text(f"# {what}. Written by `make lock`.\n{''.join(lines)}")


def main() -> None:
    """Resolve and write."""
    if sys.version_info[:2] != (3, 11) or platform.machine() != "x86_64":
        sys.exit(
            f"docker/lock is for Python 3.11 on x86_64, this is {platform.python_version()} on {platform.machine()}"
        )
    pyproject = tomllib.loads((TOP / "pyproject.toml").read_text())
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    chosen, _, _ = (TOP / "constraints.txt").read_text().partition(WRITTEN)
    named = {canonical(line.split("==")[0]) for line in chosen.splitlines() if "==" in line and line[0] != "#"}

    everything = resolve([*project["dependencies"], *extras["ray"], *extras["dev"]], chosen)
    brought = [f"{name}=={version}\n" for name, (version, _) in sorted(everything.items()) if name not in named]
    constraints = chosen + WRITTEN + "".join(brought)
    (TOP / "constraints.txt").write_text(constraints)

    packages = resolve(project["dependencies"], constraints)
    del packages["torch"]
    torch = re.search(r"^torch==([\d.]+)", chosen, re.MULTILINE)[1]
    cpu = resolve([f"torch=={torch}+cpu"], "", "--no-deps", "--extra-index-url", TORCH_INDEX, "--retries", "1")
    cuda = resolve([f"torch=={torch},!={torch}+cpu"], constraints)
    build = resolve([pin for pin in extras["dev"] if re.split("[=<>]", pin)[0] in BUILD_TOOLS], constraints)
    (TOP / "docker" / "lock").mkdir(exist_ok=True)
    write("torch-cpu.txt", "PyTorch for the CPU", cpu)
    write("torch-cuda.txt", "PyTorch for CUDA", {name: cuda[name] for name in cuda.keys() - packages.keys()})
    write("packages.txt", "What edgelam needs to run, but for PyTorch", packages)
    write("build.txt", "What compiles edgelam", build)
    rest = everything.keys() - packages.keys() - build.keys() - {"torch"}
    write("tests.txt", "What the tests need besides", {name: everything[name] for name in rest})


if __name__ == "__main__":
    main()
