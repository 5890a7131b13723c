# SPDX-License-Identifier: GPL-2.0-only
"""docker-compose.yml, docker/Dockerfile and what they are built from; check.py does the rest, with an engine."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from docker_rules import TOP, all_problems, compose_problems, dockerfile_problems, stages

COMPOSE = (TOP / "docker-compose.yml").read_text()
DOCKERFILE = (TOP / "docker" / "Dockerfile").read_text()


def test_the_files_keep_the_rules():
    assert all_problems() == []
    assert stages(DOCKERFILE) == ["base", "build", "slim", "experiments", "tests"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("services:\n", "name: x\nservices:\n", "name: unknown to docker-compose 1.29"),
        ("services:\n", "include: [a.yml]\nservices:\n", "include: unknown to docker-compose 1.29"),
        ("  init: true", "  init: true\n  develop: {}", "develop is not a key"),
        ("  platform: linux/amd64", "  platform: linux/arm64", "platform is 'linux/arm64'"),
        ("  init: true", "  gpus: all", "init is None, not True"),
        ("    - no-new-privileges:true", "    - seccomp:unconfined", "security_opt is"),
        ("    - ALL\n", "    - NET_RAW\n", "cap_drop is"),
        ("    - KILL\n", "    - KILL\n    - SYS_ADMIN\n", "cap_add has"),
        ('  user: "0:0"\n', '  user: "1"\n', "cap_add has"),
        ("      target: tests\n", "      target: test\n", "build.target 'test' is no stage"),
        ("whl/cpu}", "whl}", "build.args.TORCH_INDEX is 'https://download.pytorch.org/whl' by default"),
        ("    profiles:\n      - tests\n", "", "without a profile"),
        ("services:\n", "services: [\n", "it is not YAML"),
    ],
)
def test_what_breaks_a_rule_of_the_compose_file_is_named(old, new, said):
    assert old in COMPOSE
    assert any(said in problem for problem in compose_problems(COMPOSE.replace(old, new), DOCKERFILE))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("RUN python3 -m venv", "RUN --mount=type=cache,target=/x python3 -m venv", "only BuildKit knows that"),
        ("COPY docker/entrypoint", "COPY --chmod=755 docker/entrypoint", "only BuildKit knows that"),
        ("--from=build", "--from=builder", "no such stage"),
        ("COPY docker/entrypoint", "COPY docker/entrypoint.sh", "docker/entrypoint.sh: not there"),
        ("PIP_NO_CACHE_DIR=1", "CXXFLAGS=-march=native", "built for one machine"),
        ("install --require-hashes --no-deps --target", "install --target", "without --require-hashes"),
        ('install="pip install --require-hashes', 'install="pip install', "without --require-hashes"),
        ("RUN chmod 755 /usr", "RUN chmod 711 /usr", "has the mode that it has in the checkout"),
        ("lists/*\nUSER edgelam\n", "lists/*\n", "experiments runs as root"),
    ],
)
def test_what_breaks_a_rule_of_the_dockerfile_is_named(old, new, said):
    assert old in DOCKERFILE
    assert any(said in problem for problem in dockerfile_problems(DOCKERFILE.replace(old, new)))


def test_the_check_says_what_it_skips_and_why():
    command = [sys.executable, str(TOP / "tests" / "docker" / "check.py"), "--no-engine"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "keep the rules" in done.stdout
    assert done.stdout.splitlines()[-1] == "skipped building and running: --no-engine was given"


def test_the_entrypoint_is_a_shell_script_without_faults():
    entrypoint = TOP / "docker" / "entrypoint"
    subprocess.run(["sh", "-n", str(entrypoint)], check=True)


@pytest.mark.skipif(shutil.which("git") is None or not (TOP / ".git").exists(), reason="no git checkout")
def test_the_images_are_built_from_everything_that_is_in_git():
    listed = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    top = {path.split("/")[0] for path in listed.splitlines()}
    allowed = set(re.findall(r"^!(.+)$", (TOP / ".dockerignore").read_text(), re.MULTILINE))
    assert top == allowed


def test_everything_is_compiled_optimised_and_for_any_x86_64():
    """What one machine compiles runs on every other: images and wheels are carried around."""
    databases = list((TOP / "build").glob("*/compile_commands.json"))
    assert databases, "no build in this tree"
    for database in databases:
        for entry in json.loads(database.read_text()):
            assert re.search(r" -O[23] ", entry["command"]), entry["command"]
            assert not re.search(r" -m(arch|tune|avx|sse[34]|fma)", entry["command"]), entry["command"]
