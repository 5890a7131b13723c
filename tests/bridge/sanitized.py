# SPDX-License-Identifier: GPL-2.0-only
"""The C++ that reads what comes over the bridge, compiled with the address and undefined-behaviour sanitizers."""

import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nanobind

from edgelam.scenarios import toolchain

TOP = Path(__file__).parents[2]
FOLDER = TOP / "build" / "sanitized"
FLAGS = ["-std=c++20", "-O1", "-g", "-fPIC", "-fsanitize=address,undefined", "-fno-sanitize=vptr",
         "-fno-omit-frame-pointer"]  # fmt: skip
HOST = ("arena", "attach", "control", "doorbell", "host", "host_watcher", "segment", "socket")
PARTICIPANT = ("arena", "attach", "control", "doorbell", "participant", "participant_attach", "segment", "socket")
MODEL = (
    "clock-host",
    "participant-time",
    "registry",
    "request-handler",
    "shared-memory",
    "tcp-*",
    "transfer*",
    "udp-*",
)
COUPLING = TOP / "ns3-scenarios/model/coupling"
HELPER = ("attribute-default", "node-places", "options", "scenario", "self-test")
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}


def build() -> None:
    """Makes scenario, planted and the Python module in FOLDER."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    nanobind_folder = Path(nanobind.__file__).parent
    ns3 = toolchain.include_folders()[1]
    includes = [
        TOP / "bridge/include", TOP / "bridge/src", COUPLING, TOP / "ns3-scenarios/helper", ns3,
        nanobind_folder / "include", nanobind_folder / "ext/robin_map/include", sysconfig.get_paths()["include"],
    ]  # fmt: skip
    bridge = {name: TOP / f"bridge/src/{name}.cc" for name in {*HOST, *PARTICIPANT}}
    bridge["exchange_link"] = TOP / "bridge/src/ns3-ai/exchange_link.cc"
    scenario = {path.stem: path for name in MODEL for path in COUPLING.glob(f"{name}.cc")}
    scenario |= {name: TOP / f"ns3-scenarios/helper/{name}.cc" for name in HELPER}
    scenario["wired-star"] = TOP / "ns3-scenarios/scenarios/wired-star.cc"
    module = {"module": TOP / "bridge/python/module.cc", "nb_combined": nanobind_folder / "src/nb_combined.cpp"}
    planted = {"planted": Path(__file__).parent / "fuzz_planted.cc"}
    searched = [flag for folder in includes for flag in ("-I", str(folder))]
    defined = [f"-D{name}" for name in toolchain.DEFINITIONS]

    headers = [path for folder in ("bridge", "ns3-scenarios") for path in (TOP / folder).rglob("*.h")]

    def compile_one(name: str, source: Path) -> None:
        target = FOLDER / f"{name}.o"
        if not target.exists() or target.stat().st_mtime < max(path.stat().st_mtime for path in [source, *headers]):
            subprocess.run(["g++", "-c", *FLAGS, *defined, *searched, str(source), "-o", str(target)], check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, *zip(*{**bridge, **scenario, **module, **planted}.items(), strict=True)))
    libraries = toolchain.library_folders()[1]
    used = [f"-l{path.name[3:-3]}" for path in sorted(libraries.glob(f"lib{toolchain.NS3}-*.so"))]
    ns3_libraries = [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-Wl,--as-needed,--allow-shlib-undefined", *used]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for target, names, more in (
        ("scenario", (*HOST, *scenario), ["-Wl,-z,lazy", *ns3_libraries]),
        ("planted", (*HOST, *planted), []),
        (f"_bridge{suffix}", (*PARTICIPANT, *module, "exchange_link"), ["-shared"]),
    ):
        objects = [str(FOLDER / f"{name}.o") for name in names]
        subprocess.run(["g++", *FLAGS, *objects, "-o", str(FOLDER / target), *more, "-pthread"], check=True)


def preloaded() -> dict[str, str]:
    """What a Python process needs that loads the module from FOLDER."""
    found = [
        subprocess.run(["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {**ENVIRONMENT, "LD_PRELOAD": " ".join(found)}
