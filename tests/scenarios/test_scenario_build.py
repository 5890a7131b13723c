# SPDX-License-Identifier: GPL-2.0-only
"""`edgelam scenario`: what is built again and what is not, mistakes, several builds at once, builds that are killed."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from edgelam import paths, scenarios
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.files.cache import cache_folder
from edgelam.scenarios import toolchain

SOURCE = '#include "answer.h"\n#include <cstdio>\nint main() { std::printf("%d", answer); }\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a program in two files, a cache of its own, and a compiler that counts its calls in the file log.

    The name of the folder is an awkward one.
    """
    folder = tmp_path / "my $cenarios #1"
    folder.mkdir()
    (folder / "mine.cc").write_text(SOURCE)
    (folder / "answer.h").write_text("constexpr int answer = 42;\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_compiler(tmp_path, monkeypatch, 'exec g++ "$@"')
    monkeypatch.chdir(folder)
    return folder


def write_compiler(tmp_path, monkeypatch, then):
    compiler = tmp_path / "compiler"
    compiler.write_text(f'#!/bin/sh\necho $$ "$@" >>{shlex.quote(str(tmp_path / "log"))}\n{then}\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))


def compilations(folder):
    log = folder.parent / "log"
    return sum(" -c " in line for line in log.read_text(errors="replace").splitlines()) if log.exists() else 0


def edgelam(*arguments):
    return [sys.executable, "-m", "edgelam", *arguments]


def call(*arguments, **options):
    return subprocess.run(edgelam(*arguments), capture_output=True, text=True, check=False, **options)


def output():
    return subprocess.run([scenarios.build(Path("mine.cc")).executable], capture_output=True, check=True).stdout


def test_built_once_until_something_changes(folder, monkeypatch):
    assert output() == b"42"
    assert output() == b"42"
    os.utime("mine.cc")
    assert output() == b"42"
    assert compilations(folder) == 1
    (folder / "answer.h").write_text("constexpr int answer = 43;\n")
    assert output() == b"43"
    assert compilations(folder) == 2
    (folder / "answer.h").write_text("#include ANSWER\n")
    (folder / "other.h").write_text("constexpr int answer = 44;\n")
    monkeypatch.setenv("CXXFLAGS", "-DANSWER='\"other.h\"' -O0")
    assert output() == b"44"
    assert output() == b"44"
    assert compilations(folder) == 3
    assert [path.name for path in folder.iterdir() if path.suffix not in (".cc", ".h")] == []


def test_built_again_after_the_package_changed(folder, tmp_path, monkeypatch):
    """Its headers may change without becoming newer than the program, as they do when a package is installed."""
    installed = tmp_path / "edgelam"
    for part in ("include/edgelam/json.h", "lib/libedgelam-ns3.so"):
        (installed / part).parent.mkdir(parents=True, exist_ok=True)
        (installed / part).write_bytes(paths.installed(part).read_bytes())
    (tmp_path / "ns3").symlink_to(toolchain.library_folders()[1].parent)  # the library finds ns-3 beside its package
    monkeypatch.setattr(paths, "package_folder", lambda: installed)
    (folder / "mine.cc").write_text("#include <edgelam/json.h>\n" + SOURCE)
    for part in ("include/edgelam/json.h", "lib/libedgelam-ns3.so"):
        before = compilations(folder)
        output()
        assert compilations(folder) <= before + 1
        before = compilations(folder)
        with open(installed / part, "ab") as file:
            file.write(b"\n")
        os.utime(installed / part, (1e9, 1e9))
        output()
        assert compilations(folder) == before + 1


def test_a_program_without_its_record_is_not_trusted(folder):
    program = scenarios.build(Path("mine.cc")).executable
    program.write_bytes(b"")
    assert output() == b"42"
    (program.parent / ".built-from.json").write_text("{}")
    assert output() == b"42"
    assert compilations(folder) == 3


@pytest.mark.parametrize(
    "name",
    [b"lock.cc", b".lock.cc", b"built-from.json.cc", b".built-from.json.cc", b"program.cc", b"object.o.cc", b"-o.cc",
     b"@files.cc", b"a b$c#d%e: f.cc", b"Stra\xdfe.cc", "Straße.cc".encode(), b"x" * 200 + b".cc", b"..cc", b"a.b.cpp"],
)  # fmt: skip
def test_any_name_of_a_file(folder, name):
    source = Path(os.fsdecode(name))
    os.rename("mine.cc", source)
    for _ in range(2):
        program = scenarios.build(source).executable
        assert subprocess.run([program], capture_output=True, check=True).stdout == b"42"
    assert compilations(folder) == 1
    assert str(program).isascii()


def test_a_name_with_control_characters_is_refused(folder):
    os.rename("mine.cc", "two\nlines.cc")
    with pytest.raises(ConfigurationError, match="without control characters"):
        scenarios.build(Path("two\nlines.cc"))


def test_folders_whose_names_are_not_utf8(folder, tmp_path, monkeypatch):
    """As on disks of the time before it; of the source, and of the cache."""
    old = tmp_path / os.fsdecode(b"Stra\xdfe")
    os.rename(folder, old)
    monkeypatch.chdir(old)
    monkeypatch.setenv("XDG_CACHE_HOME", str(old / "cache"))
    for _ in range(2):
        done = subprocess.run(edgelam("scenario", "build", str(old / "mine.cc")), capture_output=True, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
        assert subprocess.run([done.stdout.strip()], capture_output=True, check=True).stdout == b"42"
    assert compilations(folder) == 1


def test_modules_follow_from_headers():
    folder = toolchain.include_folders()[1] / "ns3"
    headers = [folder / "wifi-phy.h", folder / "node.h", Path("wifi-phy.h"), folder / "unknown.h"]
    assert toolchain.modules_of(headers) == {"wifi", "network"}
    assert "-lns3.44-wifi" in toolchain.link_flags(["wifi"])


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ("int main( { }\n", ["mine.cc:1:", "expected", "mine.cc was not built"]),
        ("int mian() { return 0; }\n", ["undefined reference to `main'", "mine.cc was not built"]),
        ('#include "nowhere.h"\n', ["nowhere.h: No such file", "mine.cc was not built"]),
    ],
)
def test_mistakes_in_the_file(folder, source, messages):
    output()
    (folder / "mine.cc").write_text(source)
    done = call("scenario", "build", "mine.cc")
    assert done.returncode == 2
    assert all(message in done.stderr for message in messages), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    (folder / "mine.cc").write_text(SOURCE)
    assert output() == b"42"


def test_a_mistake_in_the_file_leaves_no_run(folder):
    (folder / "mine.cc").write_text("int main( {}\n")
    done = call("run", "split-fedft", "--scenario", "./mine.cc")
    assert done.returncode == 2
    assert "mine.cc:1:" in done.stderr
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scenario", "build", "nowhere.cc"], "nowhere.cc: there is no such file; 'edgelam scenario new nowhere'"),
        (["scenario", "build", "."], "a C++ scenario is a file .cc"),
        (["scenario", "new", "mine"], "mine.cc is there already and stays as it is"),
        (["scenario", "new", "my scenario"], "scenario name 'my scenario'"),
        (["scenario", "new", "--python", "random"], "Python has a module of this name"),
        (["scenario", "new", "--python", "numpy"], "say my-numpy"),
        (["scenario", "new", "nowhere/mine"], "cannot write nowhere/mine.cc: No such file or directory"),
        (["scenario", "flags", "--modules", "wify"], "ns-3 has no module 'wify'; there are: antenna"),
        (["run", "split-fedft", "--scenario", "nowhere.cc"], "nowhere.cc: there is no such file"),
        (["run", "split-fedft", "--scenario", "nowhere.py"], "'nowhere.py': there is no such file"),
    ],
)
def test_mistakes_on_the_command_line(folder, arguments, message):
    done = call(*arguments)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "mine.cc").read_text() == SOURCE


def test_no_compiler(folder, monkeypatch):
    monkeypatch.delenv("CXX")
    done = call("scenario", "build", "mine.cc", env=os.environ | {"PATH": "/nowhere"})
    assert done.returncode == 2
    assert "no C++ compiler: g++ was not found" in done.stderr
    assert "apt-get install g++" in done.stderr


def test_several_at_once_compile_once(folder):
    command = edgelam("scenario", "build", "mine.cc")
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    programs = {process.communicate(timeout=100)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 4
    assert len(programs) == 1
    assert subprocess.run(programs.pop().strip(), capture_output=True, check=True).stdout == b"42"
    assert compilations(folder) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_build_leaves_nothing_half_built(folder, tmp_path, monkeypatch, number):
    write_compiler(tmp_path, monkeypatch, 'case "$*" in *--version) echo 1;; *) exec sleep 100;; esac')
    process = subprocess.Popen(edgelam("scenario", "build", "mine.cc"), stderr=subprocess.DEVNULL)
    wait_until(lambda: compilations(folder) == 1)
    compiler = psutil.Process(int((tmp_path / "log").read_text().splitlines()[-1].split()[0]))
    process.send_signal(number)
    assert process.wait(30) != 0
    wait_until(lambda: gone(compiler))
    write_compiler(tmp_path, monkeypatch, 'exec g++ "$@"')
    assert output() == b"42"
    kept = scenarios.build(Path("mine.cc")).executable.parent
    assert sorted(path.name for path in kept.iterdir()) == [".built-from.json", ".lock", "mine"]


def gone(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_real_compiler_dies_with_a_killed_build(folder, monkeypatch):
    """Not only the driver g++, also the compiler proper that it starts."""
    monkeypatch.delenv("CXX")
    deep = "template<int N> struct F { static constexpr int value = F<N - 1>::value + F<N - 2>::value % 7; };\n"
    deep += "template<> struct F<0> { static constexpr int value = 1; };\ntemplate<> struct F<1> : F<0> {};\n"
    (folder / "mine.cc").write_text(deep + "int main() { return F<100000>::value; }\n")  # takes it some seconds
    monkeypatch.setenv("CXXFLAGS", "-ftemplate-depth=1000000")
    process = psutil.Popen(edgelam("scenario", "build", "mine.cc"), stderr=subprocess.DEVNULL)
    found = []

    def compiling():
        with contextlib.suppress(psutil.NoSuchProcess):  # one that ends meanwhile
            found[:] = [child for child in process.children(recursive=True) if child.name() == "cc1plus"]
        return found

    wait_until(compiling)
    process.kill()
    process.wait(30)
    wait_until(lambda: gone(found[0]))


def test_where_there_is_no_home(folder, tmp_path, monkeypatch):
    """As in a container that runs under a number nobody has given a name."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "from edgelam.files.cache import cache_folder; print(cache_folder('scenarios'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == str(tmp_path / f"edgelam-{os.getuid()}" / "scenarios")
    assert (tmp_path / f"edgelam-{os.getuid()}").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "open", "foreign", "file"])
def test_a_cache_that_others_may_write_to_is_not_used(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"edgelam-{os.getuid()}"
    if kind == "link":
        (tmp_path / "other").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "other")
        reason = "is a link"
    elif kind == "file":
        folder.touch()
        reason = "File exists"
    else:
        folder.mkdir(mode=0o700)
        folder.chmod(0o777 if kind == "open" else 0o700)
        reason = "open to others"
        if kind == "foreign":
            if os.geteuid() != 0:
                pytest.skip("only root can give a folder away")
            os.chown(folder, 65534, 65534)
            reason = "belongs to user 65534"
    with pytest.raises(EdgelamError, match=rf"{reason}.*set XDG_CACHE_HOME"):
        cache_folder("scenarios")
    if kind == "open":  # the first place alike, which a link of one's own may lead to
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "edgelam").symlink_to(folder)
        with pytest.raises(EdgelamError, match=r"mode 777.*mode 777"):
            cache_folder("scenarios")
        folder.chmod(0o700)
        assert cache_folder("scenarios") == tmp_path / "home" / "edgelam" / "scenarios"


def test_flags_for_make_and_cmake(folder):
    (folder / "mine.cc").write_text(
        '#include <edgelam/scenario.h>\n#include "ns3/flow-monitor.h"\nint main(int argc, char** argv) {\n'
        'edgelam::Scenario scenario("flags", "links");\n'
        "return scenario.Main(argc, argv, [] { ns3::CreateObject<ns3::FlowMonitor>(); }); }\n"
    )
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(mine CXX)\n"
        "execute_process(COMMAND ${EDGELAM} scenario flags --cmake --modules flow-monitor\n"
        "                OUTPUT_FILE ${CMAKE_BINARY_DIR}/edgelam.cmake COMMAND_ERROR_IS_FATAL ANY)\n"
        "include(${CMAKE_BINARY_DIR}/edgelam.cmake)\n"
        "add_executable(mine mine.cc)\ntarget_link_libraries(mine PRIVATE edgelam::scenario)\n"
    )
    flags = call("scenario", "flags").stdout.split()
    both = [call("scenario", "flags", kind).stdout.split() for kind in ("--compile", "--link")]
    assert flags == both[0] + both[1]
    command = ["cmake", "-B", "build", "-G", "Ninja", f"-DEDGELAM={sys.executable};-m;edgelam"]
    environment = os.environ | {"CXX": "g++", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for each in (command, ["cmake", "--build", "build"], ["build/mine", "--stopTime=1ms"]):
        done = subprocess.run(each, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
