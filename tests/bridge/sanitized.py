# SPDX-License-Identifier: GPL-2.0-only
"""The C++ that reads what comes over the bridge, compiled with the address and undefined-behaviour sanitizers."""

import re
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
COUPLING, HELPER = TOP / "ns3-scenarios/model/coupling", TOP / "ns3-scenarios/helper"
SCENARIO = TOP / "ns3-scenarios/scenarios/wired-star.cc"
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}


def build() -> None:
    """Makes scenario, planted and the Python module in FOLDER."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    nanobind_folder = Path(nanobind.__file__).parent
    ns3 = toolchain.include_folders()[1]
    includes = [
        TOP / "bridge/include", TOP / "bridge/src", COUPLING, HELPER, ns3,
        nanobind_folder / "include", nanobind_folder / "ext/robin_map/include", sysconfig.get_paths()["include"],
    ]  # fmt: skip
    bridge = {path.stem: path for path in (TOP / "bridge/src").glob("*.cc")}
    bridge["exchange_link"] = TOP / "bridge/src/ns3-ai/exchange_link.cc"
    scenario = {path.stem: path for path in [*COUPLING.glob("*.cc"), *_helpers()]}
    scenario[SCENARIO.stem] = SCENARIO
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
        ("scenario", (*bridge, *scenario), ["-Wl,-z,lazy", *ns3_libraries]),
        ("planted", (*bridge, *planted), []),
        (f"_bridge{suffix}", (*bridge, *module), ["-shared"]),
    ):
        objects = [str(FOLDER / f"{name}.o") for name in names]
        subprocess.run(["g++", *FLAGS, *objects, "-o", str(FOLDER / target), *more, "-pthread"], check=True)


def _helpers() -> list[Path]:
    """The helpers that the scenario is made of: it includes their headers, or one that does is included."""
    found: dict[Path, None] = {}
    waiting = [SCENARIO, *COUPLING.glob("*.cc")]
    while waiting:
        for name in re.findall(r'^#include "([\w-]+)\.h"', waiting.pop().read_text(), re.MULTILINE):
            for path in (HELPER / f"{name}.h", HELPER / f"{name}.cc"):
                if path.exists() and path not in found:
                    found[path] = None
                    waiting.append(path)
    return [path for path in found if path.suffix == ".cc"]


def preloaded() -> dict[str, str]:
    """What a Python process needs that loads the module from FOLDER."""
    found = [
        subprocess.run(["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {**ENVIRONMENT, "LD_PRELOAD": " ".join(found)}
