# SPDX-License-Identifier: GPL-2.0-only
"""What docker-compose.yml and docker/Dockerfile must be like, told from their text: no engine is needed.

docker-compose 1.29 knows fewer keys than Compose v2, and the classic builder fewer instructions than BuildKit. The
keys and instructions allowed here are those that both know, and that these files use.
"""

import re
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).parent.parent.parent
SERVICES = ("experiments", "experiments-cuda", "tests")
SERVICE_KEYS = {
    "build", "cap_add", "cap_drop", "command", "deploy", "environment", "image", "init", "platform", "profiles",
    "read_only", "security_opt", "shm_size", "stop_grace_period", "tmpfs", "user", "volumes",
}  # fmt: skip
BUILD_KEYS = {"args", "context", "dockerfile", "target"}
INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "USER", "WORKDIR"}
# What docker/entrypoint needs to become somebody else, and init to signal that one. None is left to the command.
ENTRYPOINT_CAPABILITIES = {"SETUID", "SETGID", "SETPCAP", "KILL"}


def compose_problems(compose: str, dockerfile: str) -> list[str]:
    """What is wrong with the text of docker-compose.yml, given that of its Dockerfile; one line each."""
    try:
        document = yaml.safe_load(compose)
    except yaml.YAMLError as error:
        return [f"it is not YAML: {error}"]
    problems = [f"{key}: unknown to docker-compose 1.29" for key in document if key != "services" and key[:2] != "x-"]
    services = document.get("services", {})
    problems += [f"no service {name}" for name in SERVICES if name not in services]
    for name, service in services.items():
        problems += [f"{name}: {text}" for text in _service_problems(service, dockerfile)]
    visible = [name for name, service in services.items() if not service.get("profiles")]
    if visible != ["experiments"]:
        problems.append(f"without a profile there must be the service experiments alone, not {visible}")
    return problems


def _service_problems(service: dict[str, Any], dockerfile: str) -> list[str]:
    problems = [f"{key} is not a key that 1.29 and v2 both know" for key in service.keys() - SERVICE_KEYS]
    build = service.get("build", {})
    problems += [f"build.{key} is not a key that 1.29 and v2 both know" for key in build.keys() - BUILD_KEYS]
    if build.get("target") not in stages(dockerfile):
        problems.append(f"build.target {build.get('target')!r} is no stage of the Dockerfile")
    defaults = dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile, re.MULTILINE))
    for argument, value in build.get("args", {}).items():
        default = re.fullmatch(r"\$\{" + argument + r":?-(.*)\}", value)
        if argument not in defaults:
            problems.append(f"build.args.{argument}: the Dockerfile has no such ARG")
        elif default and default[1] != defaults[argument]:
            problems.append(f"build.args.{argument} is {default[1]!r} by default, {defaults[argument]!r} in Dockerfile")
    for key, wanted in (
        ("platform", "linux/amd64"),
        ("init", True),
        ("cap_drop", ["ALL"]),
        ("security_opt", ["no-new-privileges:true"]),
    ):
        if service.get(key) != wanted:
            problems.append(f"{key} is {service.get(key)!r}, not {wanted!r}")
    capabilities = set(service.get("cap_add", []))
    if not capabilities <= ENTRYPOINT_CAPABILITIES or (capabilities and service.get("user") != "0:0"):
        problems.append(f"cap_add has {sorted(capabilities)}; legal are those of the entrypoint, for user 0:0")
    return problems


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, rest of the line and its continuations), without comments, in order."""
    kept = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    lines = [line for line in re.sub(r"\\\n", " ", kept).splitlines() if line.strip()]
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1].strip()) for line in lines]


def stages(dockerfile: str) -> list[str]:
    """The names of the stages, in order."""
    return [rest.split()[-1] for word, rest in instructions(dockerfile) if word == "FROM"]


def dockerfile_problems(dockerfile: str) -> list[str]:
    """What is wrong with the text of docker/Dockerfile; one line each."""
    problems = []
    users: dict[str, str] = {}  # of each stage, in order; a stage starts as the one it comes from
    programs = set()  # copied from the tree and not yet given a mode that does not depend on the umask of a checkout
    stage = ""
    for word, rest in instructions(dockerfile):
        if word not in INSTRUCTIONS:
            problems.append(f"{word} is no instruction that is used here")
        if re.match(r"--(mount|network|security|link|chmod|parents|exclude)\b", rest) or "<<" in rest:
            problems.append(f"{word} {rest[:40]}: only BuildKit knows that")
        if word == "FROM":
            origin, stage = rest.split()[0], rest.split()[-1]
            users[stage] = users.get(origin, "root")
        if word == "USER":
            users[stage] = rest
        if word == "COPY":
            words = [part for part in rest.split() if not part.startswith("--")]
            other = re.search(r"--from=(\S+)", rest)
            if other and other[1] not in users:
                problems.append(f"COPY --from={other[1]}: no such stage before it")
            if not other:
                problems += [f"COPY {part}: not there" for part in words[:-1] if not (TOP / part).exists()]
            if not other and words[-1].startswith("/usr/local/bin/"):
                programs.add(words[-1])
        if word == "RUN":
            programs -= {path for path in programs if f"chmod 755 {path}" in rest}
            for call in re.findall(r"pip install\b([^&|;\"]*)", rest):
                if "--require-hashes" not in call and not call.rstrip().endswith("--no-deps ."):
                    problems.append(f"pip install{call.rstrip()}: without --require-hashes")
        if "-march=" in rest or "-mtune=" in rest:
            problems.append(f"{word} {rest[:40]}: built for one machine")
    problems += [f"{path} has the mode that it has in the checkout" for path in sorted(programs)]
    images = {"slim", "experiments", "tests"}
    problems += [f"{name} runs as root" for name in images if users.get(name, "root") in ("root", "0")]
    return problems


def all_problems() -> list[str]:
    """The problems of the files of this source tree."""
    compose, dockerfile = ((TOP / name).read_text() for name in ("docker-compose.yml", "docker/Dockerfile"))
    found = [f"docker-compose.yml: {text}" for text in compose_problems(compose, dockerfile)]
    return found + [f"docker/Dockerfile: {text}" for text in dockerfile_problems(dockerfile)]
