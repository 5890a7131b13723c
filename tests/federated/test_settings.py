# SPDX-License-Identifier: GPL-2.0-only
import subprocess
import sys

from edgelam.federated import SplitFedFTSettings


def test_settings_need_no_torch() -> None:
    """`--help` reads them: it should not take seconds."""
    code = "import sys, edgelam.federated.settings; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_evaluations_are_evenly_spaced_and_the_last_is_at_the_end() -> None:
    def after(rounds: int, evaluations: int) -> list[int]:
        settings = SplitFedFTSettings(rounds=rounds, evaluations=evaluations)
        return [r + 1 for r in range(rounds) if settings.evaluates_after(r)]

    assert after(60, 4) == [15, 30, 45, 60]
    assert after(10, 3) == [4, 7, 10]
    assert after(2, 5) == [1, 2]
    assert after(7, 1) == [7]
