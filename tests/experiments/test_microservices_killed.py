# SPDX-License-Identifier: GPL-2.0-only
"""A run of microservices that is killed leaves no process, and a folder that says so."""

import signal
import subprocess
import sys
import time

import psutil

from edgelam.runs import load


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_a_killed_run_leaves_no_process_and_says_that_it_was_killed(tmp_path):
    command = [sys.executable, "-m", "edgelam"]
    run = [*command, "run", "microservices", "--config", "declared", "--num-seeds", "20", "--out", str(tmp_path)]
    process = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        whole = psutil.Process(process.pid)
        wait_for(lambda: list(tmp_path.glob("microservices/*/scenario-shared-exact*.log")), process)
        wait_for(whole.children, process)  # the scenario of this or of the next simulation
        children = whole.children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert not psutil.wait_procs(children, timeout=60)[1]
    (path,) = (tmp_path / "microservices").iterdir()
    assert load(path).state == "killed"
    shown = subprocess.run([*command, "plot", str(path)], capture_output=True, text=True, check=False)
    assert "this run is killed" in shown.stderr
    assert "Traceback" not in shown.stderr
