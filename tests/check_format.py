# SPDX-License-Identifier: GPL-2.0-only
"""Check that every C++ file is formatted as .clang-format says, and that every source names the licence."""

import subprocess
import sys
from pathlib import Path

top = Path(__file__).parent.parent
cpp = [
    path
    for folder in ("bridge", "edgelam", "ns3-scenarios", "tests")
    for path in sorted((top / folder).rglob("*"))
    if path.suffix in {".h", ".cc"}
]
clang_format = Path(sys.executable).parent / "clang-format"
bad = subprocess.run([clang_format, "--dry-run", "--Werror", *cpp], cwd=top, check=False).returncode != 0
sources = cpp + [
    path for folder in ("edgelam", "experiments", "tests") for path in sorted((top / folder).rglob("*.py"))
]
for source in sources:
    text = source.read_text()
    if text and "SPDX-License-Identifier: GPL-2.0-only" not in text.split("\n", 2)[0] and not text.startswith("#!"):
        print(f"{source.relative_to(top)}: the first line does not name the licence")
        bad = True
sys.exit(bad)
