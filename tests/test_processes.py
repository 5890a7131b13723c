# SPDX-License-Identifier: GPL-2.0-only
"""Child processes: real ones, which ignore signals, stand still or start others, and real kills of their parents."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from edgelam.processes import Child, bound, deferred_interrupt, describe_status, stop_all

SLEEPER = "import time; time.sleep(100)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(100)"
)
PARENT_OF_A_STUBBORN_ONE = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
"""


def python(code, **settings):
    return Child([sys.executable, "-c", textwrap.dedent(code)], **settings)


def told(code, tmp_path):
    """A child that runs `code`, and the first line it has written."""
    with open(tmp_path / "told", "wb") as output:
        child = python(code, output=output)
    return child, line_of(tmp_path / "told")


def line_of(path):
    for _ in range(3000):
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return text.strip()
        time.sleep(0.02)
    raise AssertionError(f"nothing in {path}")


def is_gone(pid):
    """Ended: reaped, or a zombie whose parent is not there to reap it."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def wait_until_gone(pid):
    for _ in range(3000):
        if is_gone(pid):
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} is still there")


def test_a_child_has_its_own_session_and_reads_nothing():
    child = python("import os, sys; sys.exit(7 if os.getsid(0) == os.getpid() and sys.stdin.read() == '' else 1)")
    assert child.wait() == 7
    assert child.stop() == 7


def test_it_is_asked_first_and_killed_then(tmp_path):
    child = python(SLEEPER)
    assert child.wait(0) is None
    assert child.stop() == -signal.SIGTERM
    child, _ = told(STUBBORN, tmp_path)
    assert child.stop(0.1) == -signal.SIGKILL
    assert is_gone(child.pid)


def test_one_that_stands_still_ends_as_well():
    child = python(SLEEPER)
    os.kill(child.pid, signal.SIGSTOP)
    assert child.stop(60) == -signal.SIGTERM


def test_what_it_has_started_ends_with_it_also_if_it_has_ended_before(tmp_path):
    child, pid = told(PARENT_OF_A_STUBBORN_ONE + "child.wait()", tmp_path)
    assert child.stop() == -signal.SIGTERM
    wait_until_gone(int(pid))
    child, pid = told(PARENT_OF_A_STUBBORN_ONE, tmp_path)
    assert child.wait() == 0
    assert not is_gone(int(pid))
    child.stop()
    wait_until_gone(int(pid))


def test_several_share_the_time_to_end():
    children = [python(STUBBORN, output=subprocess.DEVNULL) for _ in range(3)] + [python(SLEEPER)]
    stop_all(children, 0.3)
    assert all(child.wait(0) in (-signal.SIGKILL, -signal.SIGTERM) for child in children)


@pytest.mark.parametrize("how", ["die_with", "bound"])
def test_kill_9_of_the_parent_leaves_no_child(tmp_path, how):
    if how == "bound" and not bound():
        pytest.skip("setpriv is not installed")
    said = tmp_path / "said"
    own = f"import os, time; open({str(said)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(100)"
    if how == "die_with":
        own = f"import sys; from edgelam.processes import die_with; die_with(int(sys.argv[1])); {own}"
    parent = python(f"""
        import os, sys
        from edgelam.processes import Child, bound
        Child([*({how == "bound"} and bound() or []), sys.executable, "-c", {own!r}, str(os.getpid())]).wait()
    """)
    pid = int(line_of(said))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until_gone(pid)


def test_ctrl_c_waits_until_children_are_ended():
    child = python(SLEEPER)

    def interrupted_before_the_end():
        with deferred_interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            child.stop()

    with pytest.raises(KeyboardInterrupt):
        interrupted_before_the_end()
    assert is_gone(child.pid)


def test_an_exit_status_in_words():
    assert describe_status(3) == "exit status 3"
    assert describe_status(-signal.SIGKILL) == "killed by SIGKILL"
    assert describe_status(-200) == "killed by signal 200"
    assert "ulimit -f" in describe_status(-signal.SIGXFSZ)
