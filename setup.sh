#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Set up .venv with what pyproject.toml names in the versions of constraints.txt, and build the project into it.
# Idempotent; quick when nothing changed. Called by make as: setup.sh [PYTHON]. Everything the machine lacks is named before anything is done.
set -euo pipefail
cd "$(dirname "$0")"
python=${1:-python3}
venv=.venv

suitable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

missing=()
if [ -x $venv/bin/python ] && suitable $venv/bin/python; then
    python=$venv/bin/python
elif ! suitable "$python"; then
    for other in python3.12 python3.11 python3.13; do
        if suitable $other; then python=$other; break; fi
    done
    suitable "$python" || missing+=("Python 3.11, 3.12 or 3.13 ($python is $("$python" --version 2>/dev/null || echo 'not there'))")
fi
if [ ${#missing[@]} -eq 0 ]; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ -x $venv/bin/pip ] || "$python" -c 'import venv, ensurepip' 2>/dev/null || missing+=("the venv module (apt-get install python$version-venv)")
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
    [ -f "$headers/Python.h" ] || missing+=("the Python headers (apt-get install python$version-dev)")
fi
if ! command -v g++ >/dev/null; then
    missing+=("a C++ compiler (apt-get install g++)")
elif [ "$(g++ -dumpversion | cut -d. -f1)" -lt 11 ]; then
    missing+=("g++ 11 or newer (this one is $(g++ -dumpversion))")
fi
if [ ${#missing[@]} -gt 0 ]; then
    text=$(printf '; %s' "${missing[@]}")
    echo "edgelam cannot be set up, this machine lacks: ${text:2}" >&2
    exit 1
fi

[ -x $venv/bin/pip ] || { echo "setting up $venv with $("$python" --version)"; "$python" -m venv --clear $venv; }
export PATH="$PWD/$venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1

wanted=$(sha256sum pyproject.toml constraints.txt | sha256sum | cut -c1-16)
if [ ! -f "$venv/.dependencies-$wanted" ]; then
    rm -f $venv/.dependencies-*
    echo "installing the pinned dependencies (a few minutes the first time: ns-3, PyTorch, transformers)"
    $venv/bin/python - >$venv/requirements.txt <<'PYTHON'
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
print(*project["dependencies"], *project["optional-dependencies"]["dev"], sep="\n")
PYTHON
    $venv/bin/pip install --quiet --constraint constraints.txt --requirement $venv/requirements.txt
    touch "$venv/.dependencies-$wanted"
fi

# The compiled parts, their build files, and which Python files there are, decide whether to build again.
state=$( { find bridge ns3-scenarios cmake CMakeLists.txt pyproject.toml setup.sh -type f ! -name '*.md' -print0 | sort -z | xargs -0 sha256sum
           find edgelam experiments -name '*.py' | sort; echo "$PWD"; } | sha256sum | cut -c1-16)
if [ ! -f "$venv/.built-$state" ]; then
    rm -f $venv/.built-*
    echo "building the bridge and the ns-3 scenarios"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if ! $venv/bin/pip install --no-build-isolation --no-deps --editable . --verbose >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "edgelam could not be built; the lines above say why" >&2
        exit 1
    fi
    touch "$venv/.built-$state"
fi
