# SPDX-License-Identifier: GPL-2.0-only
"""Agents for the test programs: agent.py CASE [program arguments]. Each prints what it saw."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import messages_py as py_binding
from ns3ai_utils import Experiment

case, arguments = sys.argv[1], sys.argv[2:]


def answer(interface):
    """One step; False when the program has finished."""
    interface.PyRecvBegin()
    if interface.PyGetFinished():
        return False
    interface.PySendBegin()
    interface.GetPy2CppStruct().c = interface.GetCpp2PyStruct().a + interface.GetCpp2PyStruct().b
    interface.PyRecvEnd()
    interface.PySendEnd()
    return True


def steps(interface):
    number = 0
    while answer(interface):
        number += 1
    return number


def script(name, *given):
    """A program that calls another with arguments: targetName may be any file that can be run."""
    path = os.path.abspath(f"{name}-{os.getpid()}.sh")
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\nexec {os.path.abspath(name)} {' '.join(given)}\n")
    os.chmod(path, 0o755)
    return path


def begin(*given, name="apb", **options):
    exp = Experiment(script(name, *given) if given else name, "../../../../", py_binding, **options)
    return exp, exp.run(show_output=True)


if case == "sums":
    exp, interface = begin(*arguments, handleFinish=True)
    print("steps", steps(interface), "alive", exp.isalive())
    del exp
elif case == "debug":  # run starts nothing, and says what to start
    segment = {"segName": os.environ["SEGMENT"]}
    exp = Experiment(Path("apb"), None, py_binding, handleFinish=True, debug=True, **segment)
    print("steps", steps(exp.run({"verbose": None, "rate": 5})))
elif case == "other-names":  # what the messages are called does not matter, and all names for "no name" are one
    segment = arguments[0]
    interface = py_binding.Ns3AiMsgInterfaceImpl(True, False, True, 4096, segment, "a", "b", "c")
    with subprocess.Popen([os.path.abspath("apb"), "7", *arguments[1:]]):
        print("steps", steps(interface))
elif case == "options-in-the-name":
    exp, interface = begin(name="apb --no-build --cwd=/ -- 3", handleFinish=True)
    print("steps", steps(interface), "in", os.readlink(f"/proc/{exp.proc.pid}/cwd") if exp.proc.poll() is None else "/")
elif case == "in-a-tree":  # ns3-ai changes to the source tree; programs are found all the same
    exp, interface = Experiment("apb", "tree", py_binding, handleFinish=True), None
    print("steps", steps(exp.run()), "in", os.path.basename(os.getcwd()))
elif case == "from-the-root":  # a tree that was not built: both name files from there
    os.makedirs("root/scratch", exist_ok=True)
    Path("root/scratch/words.txt").write_text("many words")
    exp = Experiment(script("apb", "1", "read"), "root", py_binding, handleFinish=True)
    print("steps", steps(exp.run(show_output=True)), Path("scratch/words.txt").read_text())
elif case == "one-after-another":  # the old one is dropped after the new one is made
    for rounds in (2, 3):
        exp = Experiment(script("apb", str(rounds)), None, py_binding, handleFinish=True)
        print("steps", steps(exp.run()))
elif case == "kept":  # a message outlives its interface
    exp, interface = begin("5", handleFinish=True)
    message = interface.GetCpp2PyStruct()
    steps(interface)
    del exp, interface
    print("kept", message.a)
elif case == "sent-first":
    exp = Experiment(script("apb", "2", "asked-first"), None, py_binding, handleFinish=True)
    exp.msgInterface.PySendBegin()
    exp.msgInterface.GetPy2CppStruct().c = 41
    exp.msgInterface.PySendEnd()
    print("steps", steps(exp.run(show_output=True)))
elif case == "two-threads":  # one receives, the other thinks for a while and answers
    exp, interface = begin("2", handleFinish=True)
    seen = queue.Queue()

    def receive():
        while interface.PyRecvBegin() or not interface.PyGetFinished():
            seen.put(interface.GetCpp2PyStruct().a + interface.GetCpp2PyStruct().b)
            interface.PyRecvEnd()
        seen.put(None)

    threading.Thread(target=receive).start()
    while (total := seen.get(timeout=60)) is not None:
        time.sleep(3.5 if total else 0.0)
        interface.PySendBegin()
        interface.GetPy2CppStruct().c = total
        interface.PySendEnd()
    print("answered")
elif case == "ends-after-the-end":
    exp, interface = begin("3", handleFinish=True)
    finished = False
    while not finished:
        interface.PyRecvBegin()
        if not (finished := interface.PyGetFinished()):
            interface.PySendBegin()
            interface.GetPy2CppStruct().c = interface.GetCpp2PyStruct().a + interface.GetCpp2PyStruct().b
        interface.PyRecvEnd()
        interface.PySendEnd()
    print("ended")
elif case == "by-hand":  # without Experiment, and the program is no child; "False": the program makes the memory
    creator = arguments[0] == "True"
    names = os.environ["SEGMENT"], "My Cpp to Python Msg", "My Python to Cpp Msg", "My Lockable"
    interface = py_binding.Ns3AiMsgInterfaceImpl(creator, False, True, 4096, *names)
    print("steps", steps(interface))
elif case == "again":  # a run that is cut off, and whole ones, with one interface
    exp = Experiment("apb", None, py_binding, handleFinish=True)
    interface = exp.run()
    for _ in range(10):
        answer(interface)
    for _ in range(2):
        exp.run(show_output=True)
        print("steps", steps(interface))
elif case == "no-finish":  # the end is an error where handleFinish is not set
    exp, interface = begin("3", handleFinish=False)
    steps(interface)
elif case == "unasked":  # a loop that never asks for the end does not run for ever
    exp, interface = begin("3", handleFinish=True)
    while True:
        interface.PyRecvBegin()
        interface.PySendBegin()
        interface.GetPy2CppStruct().c = interface.GetCpp2PyStruct().a + interface.GetCpp2PyStruct().b
        interface.PySendEnd()
        interface.PyRecvEnd()
elif case == "kill-program":
    exp, interface = begin("100000000", handleFinish=True)
    answer(interface)
    threading.Timer(0.3, os.kill, (exp.proc.pid, signal.SIGKILL)).start()
    steps(interface)
elif case in ("kill-self", "exit", "interrupt"):
    exp, interface = begin("100000000", handleFinish=True)
    answer(interface)
    print("program", exp.proc.pid, flush=True)
    if case == "kill-self":
        os.kill(os.getpid(), signal.SIGKILL)
    elif case == "interrupt":
        os.kill(exp.proc.pid, signal.SIGSTOP)
        time.sleep(0.2)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            steps(interface)
        except Exception as error:  # what programs have round their loops
            print("swallowed", error)
elif case == "kept-signal":  # a handler that raises nothing does not end a wait
    exp, interface = begin("100", handleFinish=True)
    answer(interface)
    signal.signal(signal.SIGUSR1, lambda *_: print("signal", flush=True))
    os.kill(exp.proc.pid, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    threading.Timer(0.6, os.kill, (exp.proc.pid, signal.SIGCONT)).start()
    print("steps", steps(interface))
elif case == "program":  # another program than is expected
    exp, interface = begin(name=arguments[0], handleFinish=True)
    print("steps", steps(interface))
elif case == "waits":  # both wait
    exp, interface = begin("3", "receive-twice", handleFinish=True)
    steps(interface)
elif case == "small":
    Experiment("apb", None, py_binding, shmSize=11)
elif case == "kind":
    Experiment("apb", None, py_binding).msgInterface.GetCpp2PyVector()
elif case == "order":
    exp, interface = begin("3", handleFinish=True)
    interface.PyRecvBegin()
    interface.PyRecvBegin()
elif case == "two-at-once":  # default names in one process
    exp, interface = begin("100000000", handleFinish=True)
    Experiment("apb", None, py_binding)
elif case == "two-before-run":
    kept = [Experiment("apb", None, py_binding) for _ in range(2)]
elif case == "after-one-that-was-dropped":
    unused = Experiment("apb", None, py_binding)
    del unused
    exp, interface = begin("4", handleFinish=True)
    print("steps", steps(interface))
elif case == "made-once-more":
    old, new = (py_binding.Ns3AiMsgInterfaceImpl(True, False, True, 4096, "again", "a", "b", "c") for _ in range(2))
    old.PyRecvBegin()
elif case == "nobody-comes":
    py_binding.Ns3AiMsgInterfaceImpl(True, False, True, 4096, os.environ["SEGMENT"], "a", "b", "c").PyRecvBegin()
elif case in ("vectors", "vectors-at-start", "crossed"):
    cells = types.SimpleNamespace(Ns3AiMsgInterfaceImpl=py_binding.CellInterface, __file__=py_binding.__file__)
    sums = py_binding.Ns3AiMsgInterfaceImpl(True, False, True, 4096, "sum seg", "env", "act", "lock")
    names = {"segName": "cells seg", "cpp2pyMsgName": "cells to python", "py2cppMsgName": "weights to cpp"}
    exp = Experiment("two", "../../", cells, handleFinish=True, useVector=True, vectorSize=8, **names)
    interface = exp.run(setting={"structs": True, "atStart": case == "vectors-at-start"}, show_output=True)
    while case == "crossed":  # the program waits for an answer from the other interface
        sums.PyRecvBegin()
    while True:
        interface.PyRecvBegin()
        if interface.PyGetFinished():
            break
        seen, weights = interface.GetCpp2PyVector(), interface.GetPy2CppVector()
        interface.PySendBegin()
        weights.resize(len(seen))
        for i in range(len(seen)):
            weights[i].rnti = seen[i].rnti
            weights[i].weight = seen[i].sinr(2) + seen[i].buffer(3) + seen[i].active
        interface.PyRecvEnd()
        interface.PySendEnd()
        answer(sums)
    print("last", answer(sums))
    del exp
elif case == "too-long":
    cells = types.SimpleNamespace(Ns3AiMsgInterfaceImpl=py_binding.CellInterface)
    Experiment("two", "../../", cells, useVector=True, vectorSize=1000)
