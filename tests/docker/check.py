# SPDX-License-Identifier: GPL-2.0-only
"""Check the containers: python tests/docker/check.py [--no-engine]

First what needs no engine: the rules of docker_rules.py, and `config` of every compose program that is installed. Then,
where an engine answers and has the base image: the image is built, and `docker-compose run experiments` is run as its
users would, in folders of different owners. What cannot be done is skipped, with the reason. Exit status 1: a problem.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import docker_rules
from docker_rules import TOP

BASE_IMAGE = os.environ.get("BASE_IMAGE", "debian:bookworm-slim")
MAIN_JOB_S = 1800
STRANGER = 12345  # a user id that the image does not know


class CheckError(Exception):
    """A check did not hold; the text says which."""


def say(state: str, text: str) -> None:
    """One line of the report."""
    print(f"{state:8}{text}", flush=True)


def compose_programs() -> list[list[str]]:
    """The compose commands that are installed: docker-compose, docker compose, both or none."""
    programs = [["docker-compose"], ["docker", "compose"]]
    return [
        program
        for program in programs
        if shutil.which(program[0])
        and subprocess.run([*program, "version"], capture_output=True, check=False).returncode == 0
    ]


def no_engine(reason: str | None = None) -> str | None:
    """Why nothing can be built and run here, None if it can."""
    if reason:
        return reason
    if not compose_programs():
        return "neither docker-compose nor docker compose is installed"
    if shutil.which("docker") is None:
        return "no program docker"
    try:
        asked = ["docker", "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30)
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer within 30 s"
    if done.returncode != 0:
        return "no Docker engine answers: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
    image = subprocess.run(["docker", "image", "inspect", BASE_IMAGE], capture_output=True, check=False)
    if image.returncode != 0:
        return f"the engine has no image {BASE_IMAGE} (docker pull {BASE_IMAGE})"
    return None


class Folder:
    """A folder with docker-compose.yml in it, as a checkout has, that belongs to `owner`."""

    def __init__(self, place: Path, owner: int, program: list[str]) -> None:
        self.path = place / f"of-{owner}"
        self.path.mkdir()
        self.owner, self.program = owner, program
        shutil.copy(TOP / "docker-compose.yml", self.path)
        if os.geteuid() == 0:
            os.chown(self.path, owner, owner)
        self.path.chmod(0o700)

    def command(self, *command: str) -> list[str]:
        """The command line that runs `command` in the service experiments."""
        project = ["--project-directory", str(self.path), "--file", str(self.path / "docker-compose.yml")]
        return [*self.program, *project, "run", "--rm", "-T", "experiments", *command]

    def run(self, *command: str, limit_s: int = 300) -> str:
        """What it prints; CheckError if it fails."""
        done = subprocess.run(self.command(*command), capture_output=True, text=True, check=False, timeout=limit_s)
        if done.returncode != 0:
            raise CheckError(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout

    def strangers(self) -> list[str]:
        """What in it belongs to somebody else."""
        return [str(path) for path in self.path.rglob("runs/**/*") if path.stat().st_uid != self.owner]

    def states(self) -> list[str]:
        """How the runs in it ended."""
        return [json.loads(path.read_text())["state"] for path in self.path.glob("runs/*/*/manifest.json")]

    def down(self) -> None:
        """Remove the network that compose made."""
        subprocess.run([*self.command()[:-4], "down"], capture_output=True, check=False)


def expect(holds: bool, text: str) -> None:
    """Say that it holds, or fail."""
    if not holds:
        raise CheckError(text)
    say("ok", text)


def check_user(folder: Folder) -> None:
    """Who the command runs as, and with what rights."""
    status = dict(line.split(":", 1) for line in folder.run("cat", "/proc/self/status").splitlines())
    facts = {key: status[key].split()[0] for key in ("Uid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")}
    none = "0" * 16
    expect(facts["Uid"] == str(folder.owner), f"the command runs as the folder's owner {folder.owner}")
    expect(all(facts[key] == none for key in ("CapEff", "CapPrm", "CapBnd")), f"user {folder.owner}: no capability")
    expect(facts["NoNewPrivs"] == "1", f"user {folder.owner}: no new privileges")
    touched = subprocess.run(folder.command("touch", "/opt/edgelam/x"), capture_output=True, check=False)
    expect(touched.returncode != 0, f"user {folder.owner}: the image's files cannot be changed")


def check_main_job(folder: Folder) -> None:
    """The main job, without any argument."""
    started = time.monotonic()
    output = folder.run(limit_s=MAIN_JOB_S)
    expect("split FedFT" in output, f"user {folder.owner}: the main job ran ({time.monotonic() - started:.0f} s)")
    expect(folder.states() == ["completed"], f"user {folder.owner}: its run folder is in the caller's folder, whole")
    expect(folder.strangers() == [], f"user {folder.owner}: everything in it is the caller's {folder.strangers()[:3]}")


def check_interrupt(folder: Folder) -> None:
    """SIGINT to docker-compose ends a run the way Ctrl-C does: its folder says so, and no container is left."""
    before = len(folder.states())
    process = subprocess.Popen(folder.command("edgelam", "run", "split-fedft"), stdout=subprocess.DEVNULL, stderr=-1)
    deadline = time.monotonic() + 120
    while len(folder.states()) == before and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    expect("interrupted" in folder.states(), f"user {folder.owner}: Ctrl-C is recorded, states {folder.states()}")


def build_and_run() -> None:
    """Everything that needs an engine."""
    program = compose_programs()[0]
    started = time.monotonic()
    subprocess.run([*program, "build", "experiments"], cwd=TOP, check=True)
    size = int(subprocess.check_output(["docker", "image", "inspect", "--format", "{{.Size}}", "edgelam"], text=True))
    say("ok", f"image edgelam: {size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s")
    owners = [0, STRANGER] if os.geteuid() == 0 else [os.geteuid()]
    with tempfile.TemporaryDirectory(prefix="edgelam-docker-", dir=os.environ.get("TMPDIR")) as place:
        Path(place).chmod(0o755)
        for owner in owners:
            folder = Folder(Path(place), owner, program)
            try:
                check_user(folder)
                folder.run("edgelam", "doctor")
                say("ok", f"user {owner}: edgelam doctor")
                check_main_job(folder)
                check_interrupt(folder)
            finally:
                folder.down()


def main(arguments: list[str]) -> int:
    """Run the checks; the exit status."""
    if arguments not in ([], ["--no-engine"]):
        print(f"unknown arguments {arguments}; the only one is --no-engine", file=sys.stderr)
        return 2
    problems = docker_rules.all_problems()
    for problem in problems:
        say("problem", problem)
    if not problems:
        say("ok", "docker-compose.yml and docker/Dockerfile keep the rules")
    for program in compose_programs():
        done = subprocess.run([*program, "config", "-q"], cwd=TOP, capture_output=True, text=True, check=False)
        problems += [done.stderr] * (done.returncode != 0)
        say("problem" if done.returncode else "ok", f"{' '.join(program)} config {done.stderr}".strip())
    reason = no_engine("--no-engine was given" if arguments else None)
    if reason:
        say("skipped", f"building and running: {reason}")
    else:
        try:
            build_and_run()
        except (CheckError, subprocess.SubprocessError) as error:
            problems.append(str(error))
            say("problem", str(error))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
