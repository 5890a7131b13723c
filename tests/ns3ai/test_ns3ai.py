# SPDX-License-Identifier: GPL-2.0-only
"""Programs in the style of ns3-ai over our bridge: what they exchange, and what happens when something goes wrong."""

import os
import re
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from ns3ai_builds import commands, environment

from edgelam.ns3ai.flags import PYTHON_PATH

AGENT = Path(__file__).parent / "agent.py"


@pytest.fixture
def segment(monkeypatch):
    """A name of its own for agents and programs that are not started by one another: nobody else's are in between."""
    name = f"segment {secrets.token_hex(8)}"
    monkeypatch.setenv("SEGMENT", name)
    return name


def run(folder, case, *arguments):
    """An agent to its end."""
    path = {**environment(), "PYTHONPATH": f"{PYTHON_PATH}:{folder}"}
    return subprocess.run(
        [sys.executable, folder / "agent.py", case, *arguments],
        cwd=folder, check=False, capture_output=True, text=True, timeout=60, env=path,
    )  # fmt: skip


@pytest.fixture
def agent(folder):
    (folder / "agent.py").write_text(AGENT.read_text())
    return lambda case, *arguments: run(folder, case, *arguments)


def complaints(done):
    """What it said on stderr, but for who waits for whom: on a busy machine that may take long."""
    return [line for line in done.stderr.splitlines() if "waiting for" not in line]


def gone(pid):
    """Whether a process ends within some seconds (an orphan that nobody reaps has ended too)."""
    try:
        process = psutil.Process(pid)
        for _ in range(100):
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        return True
    return False


def test_example_as_in_the_guide(example):
    command = commands("Running").replace("bottleneck.py", "bottleneck.py 30")
    done = subprocess.run(
        ["bash", "-ec", command], cwd=example, check=False, capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert "299 steps; best: 5 Mb/s" in done.stdout
    # below the bottleneck all arrives and waits for the wires only: 1 Mb/s less 20 Mb/s times 11.73 ms
    assert "1 Mb/s: mean reward   0.7" in done.stdout


def test_struct_kind(agent):
    done = agent("sums")
    assert complaints(done) == []
    assert "steps 1000" in done.stdout
    assert "all sums were right" in done.stdout


def test_last_message_may_want_no_answer(agent):
    done = agent("sums", "3", "send-and-exit")
    assert "steps 4" in done.stdout, done.stderr


@pytest.mark.parametrize("case", ["vectors", "vectors-at-start"])
def test_vectors_and_structs_in_one_process(agent, case):
    done = agent(case)
    assert complaints(done) == []
    # weights: sinr 0, 0.5, 1; 7 from each buffer; 1 from each odd cell
    assert re.findall(r"cells (\d) sum ([\d.]+)", done.stdout) == [("1", "7"), ("2", "15.5"), ("3", "23.5")]
    assert [line for line in done.stdout.splitlines() if "s: " in line] == ["1 s: 101", "2 s: 102", "3 s: 103"]
    assert "last False" in done.stdout


def test_runs_with_one_interface(agent):
    done = agent("again")
    assert done.stdout.count("steps 1000") == 2, done.stderr


def test_experiments_with_the_same_names_side_by_side(agent):
    with ThreadPoolExecutor(3) as pool:
        started = [pool.submit(agent, "sums", str(rounds)) for rounds in (2000, 2001, 2002)]
        for rounds, each in zip((2000, 2001, 2002), started, strict=True):
            assert f"steps {rounds} " in each.result().stdout


@pytest.mark.parametrize("creator", ["Python", "C++"])
def test_both_started_by_hand(folder, agent, creator, segment):
    how = "opener" if creator == "Python" else "creator"
    with subprocess.Popen([folder / "apb", "50", how], stdout=subprocess.PIPE, text=True) as program:
        done = agent("by-hand", str(creator == "Python"))
        assert "steps 50" in done.stdout, done.stderr
        assert "all sums were right" in program.communicate(timeout=100)[0]


IMPOSTOR = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
lines = []
for pid in sys.argv[2:]:  # as the agent itself, and as a parent of the program, which asks there first
    lines.append(socket.socket(socket.AF_UNIX))
    lines[-1].bind(f"\\0edgelam-ai-0-{pid}-0123456789abcdef-{sys.argv[1]}")
    lines[-1].listen(0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_who_listens_under_the_same_name_is_passed_over(folder, agent, segment):
    command = [sys.executable, "-c", IMPOSTOR, segment, str(os.getpid()), str(os.getppid()), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as impostor:
        assert impostor.stdout.readline() == "ready\n"
        assert f"-{segment}" in Path("/proc/net/unix").read_text()
        with subprocess.Popen([folder / "apb", "20", "opener"], stdout=subprocess.PIPE, text=True) as program:
            done = agent("by-hand", "True")
            assert "steps 20" in done.stdout, done.stderr
            assert "all sums were right" in program.communicate(timeout=60)[0]


def test_two_that_are_equally_near_are_an_error(folder, agent, segment):
    with ThreadPoolExecutor(2) as pool:
        agents = [pool.submit(agent, "by-hand", "True") for _ in range(2)]
        while Path("/proc/net/unix").read_text().count(segment) < 2:
            time.sleep(0.05)
        said = subprocess.run([folder / "apb"], check=False, capture_output=True, text=True, timeout=60)
        assert re.search(r"processes \d+ and \d+ have both made segment", said.stderr)
        pids = [int(pid) for pid in re.findall(rf"-(\d+)-[0-9a-f]{{16}}-{segment}", Path("/proc/net/unix").read_text())]
        for pid in set(pids):
            psutil.Process(pid).terminate()
        for each in agents:
            each.result()


def test_debug_leaves_the_program_to_the_user(folder, agent, segment):
    with subprocess.Popen([folder / "apb", "50"]) as program:
        done = agent("debug")
        assert re.search(r"debug: start this from another terminal: /.*/apb --verbose --rate=5\nsteps 50", done.stdout)
        assert program.wait(timeout=100) == 0


@pytest.mark.parametrize(
    ("case", "arguments", "text"),
    [
        ("other-names", ("ns3-ai", "opener"), "steps 7"),
        ("other-names", ("ns3-ai", "trial"), "steps 7"),
        ("options-in-the-name", (), "steps 3 in /"),
        ("in-a-tree", (), "steps 1000 in tree"),
        ("from-the-root", (), "steps 1 many words"),
        ("after-one-that-was-dropped", (), "steps 4"),
        ("one-after-another", (), "steps 2\nsteps 3"),
        ("kept", (), "kept 4"),
        ("sent-first", (), "steps 2"),
        ("two-threads", (), "answered"),
        ("ends-after-the-end", (), "ended"),
    ],
)
def test_habits_of_agents(folder, agent, case, arguments, text):
    (folder / "tree").mkdir(exist_ok=True)
    (folder / "tree" / "ns3").touch()
    done = agent(case, *arguments)
    assert done.returncode == 0, done.stderr
    assert text in done.stdout


@pytest.mark.parametrize(
    ("case", "arguments", "text"),
    [
        ("no-finish", (), r"the ns-3 program \(pid \d+\) has closed its end of segment 'My Seg'.*handleFinish"),
        ("unasked", (), r"C\+\+ has finished: PyRecvBegin\(\) has nothing more to give. Ask PyGetFinished\(\)"),
        ("kill-program", (), r"the ns-3 program \(pid \d+\) was killed by signal 9 \(Killed\)"),
        ("sums", ("3", "abort"), r"the ns-3 program \(pid \d+\) was killed by signal 6 \(Aborted\)"),
        ("program", ("false",), r"\(pid \d+\) has ended with exit status 1 before it opened segment 'My Seg'"),
        ("program", ("nowhere",), r"there is no program 'nowhere'. Looked in\n  /.*\n  \$PATH"),
        ("program", ("other",), r"size of the message that C\+\+ sends: 8 bytes where .* made, 16 bytes where"),
        ("waits", (), r"both sides of segment 'My Seg' wait for each other"),
        ("small", (), r"EnvStruct has 8 bytes, ActStruct 4, the memory 11. Raise shmSize"),
        ("kind", (), r"GetCpp2PyVector\(\): this interface was made for structs; say SetUseVector\(true\)"),
        ("too-long", (), r"1000 CellState \(\d+ bytes each\) does not fit into the shared memory, which holds \d+"),
        ("order", (), r"PyRecvBegin\(\) twice without PyRecvEnd\(\)"),
        ("sums", ("3", "creator"), r"process \d+, which started this one, has made segment 'My Seg' already"),
        ("program", ("apb --fast",), r"--fast is not known; behind the name may stand --cwd=FOLDER"),
        ("two-at-once", (), r"segName 'My Seg': an experiment of this process that runs .*apb.* uses it"),
        ("two-before-run", (), r"segName 'My Seg': an experiment of this process that was made to run 'apb' uses it"),
        ("made-once-more", (), r"this process has made segment 'again' once more"),
        (
            "crossed",
            (),
            r"both sides of segment '(cells|sum) seg' wait for each other: .* in segment '(cells|sum) seg'",
        ),
    ],
)
def test_errors_say_what_is_wrong(agent, case, arguments, text):
    done = agent(case, *arguments)
    assert done.returncode == 1
    assert re.search(text, done.stderr, re.DOTALL), done.stdout + done.stderr


def test_status_of_a_program_that_failed_is_told(agent):
    done = agent("sums", "3", "exit-5")
    assert "steps 3" in done.stdout
    assert "exit status 5" in done.stderr
    # with ns3-ai it had run in a source tree
    assert re.search(r"it ran in /.*, for ns3Path '../../../../' is not the root .* put --cwd=FOLDER", done.stderr)


def test_a_file_that_is_named_from_the_root_is_read_by_the_program(agent):
    assert "read many words" in agent("from-the-root").stdout


def test_who_waits_for_a_program_that_nobody_starts_says_so(folder, agent, segment):
    path = {**environment(), "PYTHONPATH": f"{PYTHON_PATH}:{folder}"}
    command = [sys.executable, folder / "agent.py", "nobody-comes"]
    with subprocess.Popen(command, cwd=folder, env=path, stderr=subprocess.PIPE, text=True) as waits:
        line = waits.stderr.readline()
        waits.terminate()
    assert f"segment '{segment}' is there; waiting for the ns-3 program to open it" in line


@pytest.mark.parametrize("case", ["kill-self", "exit"])
def test_program_ends_with_python(agent, case):
    done = agent(case)
    pid = int(re.search(r"program (\d+)", done.stdout)[1])
    assert gone(pid)
    if case == "kill-self":
        # its last words may come after the agent's end, which closed nothing: the pipe is the program's too
        assert "the Python process" in done.stderr
        assert "has ended" in done.stderr


def test_interrupt_ends_a_wait_as_in_python(agent):
    done = agent("interrupt")
    assert "KeyboardInterrupt" in done.stderr
    assert "swallowed" not in done.stdout
    assert gone(int(re.search(r"program (\d+)", done.stdout)[1]))


def test_other_signals_do_not_end_a_wait(agent):
    done = agent("kept-signal")
    assert "signal\n" in done.stdout
    assert "steps 99" in done.stdout, done.stderr


def test_program_without_python_gives_up(folder, segment):
    """A program started by hand, with no Python process: it says what it waits for, and Ctrl-C ends it."""
    with subprocess.Popen([folder / "apb"], stderr=subprocess.PIPE, text=True) as program:
        line = program.stderr.readline()
        program.terminate()
    assert f"waiting for a process that makes segment '{segment}'" in line
