# SPDX-License-Identifier: GPL-2.0-only
"""What a UE can be sent at the SINRs of its groups of resource blocks: EESM, the best MCS, and its block error rate.

The tables are those of the radio itself, from the program nr-tables: sizes of transport blocks, schemes with their beta
of EESM, and error rates. A link that knows the SINRs takes the highest of the schemes that lose at most a tenth of
their blocks. One that believes in others takes the highest by what it believes, less an offset at which at most a tenth
of the blocks are lost, as an outer loop finds it. A lost block counts as nothing; retransmissions are left out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import numpy as np

from edgelam.errors import EdgelamError
from edgelam.paths import installed

PATTERN = "DDDSU"
SLOTS = ((3, 13), (1, 9))
"""Of five slots DDDSU: so many of them carry so many symbols of data."""
MOST_LOST = 0.1
OFFSETS_DB = np.arange(0.0, -20.1, -0.5)
"""What an outer loop may take off."""
GRID_DB = np.arange(-15.0, 45.0, 0.1)
_ELEMENTS = 12  # of a resource block and symbol


class Link:
    """One layer of a UE. Shape letters: M schemes, G groups, U samples of SINR."""

    def __init__(self, table: int, group_prbs: Sequence[int], dmrs: int) -> None:
        """table: of MCS, 1 to 4; group_prbs: resource blocks of each group; dmrs: elements of a resource block."""
        values = np.array(_ask([f"schemes {table}"])[0]).reshape(-1, 3)
        self._bits_M, self._rate_M, self._beta_M = values[:, 0].astype(int), values[:, 1].astype(int), values[:, 2]
        self._prbs_G = np.array(group_prbs)
        self._dmrs = dmrs
        self._of_width: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def bits_per_slot(self, sinr: np.ndarray) -> float:
        """Bits that arrive in a slot of DDDSU on average; sinr: linear [G], 0 in groups where nothing is sent."""
        used_G = sinr > 0
        prbs_G = np.where(used_G, self._prbs_G, 0)
        width = int(prbs_G.sum())
        if not width:
            return 0.0
        sizes_M, lost_MU = self._tables(width)
        effective_db_M = 10 * np.log10(effective(sinr[used_G], prbs_G[used_G], self._beta_M))
        lost_M = _at(lost_MU, effective_db_M)
        possible = np.flatnonzero(lost_M <= MOST_LOST)
        return float(sizes_M[possible[-1]] * (1 - lost_M[possible[-1]])) if len(possible) else 0.0

    def adapted(self, believed: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> float:
        """Bits that arrive in a slot on average, if the MCS follows what is believed.

        believed, true: SINRs of each moment, linear [G], 0 in groups where nothing is sent.
        """
        cases = [self._case(*each) for each in zip(believed, true, strict=True) if (each[0] > 0).any()]
        if not cases:
            return 0.0
        found = 0.0
        for offset_db in OFFSETS_DB:
            bits, losses = [], []
            for sizes_M, lost_MU, believed_db_M, lost_M in cases:
                expected_M = _at(lost_MU, believed_db_M + offset_db)
                possible = np.flatnonzero(expected_M <= MOST_LOST)
                if len(possible):
                    bits.append(sizes_M[possible[-1]] * (1 - lost_M[possible[-1]]))
                    losses.append(lost_M[possible[-1]])
            found = float(sum(bits) / len(believed))
            if not losses or np.mean(losses) <= MOST_LOST:
                break
        return found

    def _case(self, believed: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of one moment: sizes [M], error rates [M, U], the effective SINR that is believed, dB [M], true rates [M]."""
        used_G = believed > 0
        prbs_G = self._prbs_G[used_G]
        sizes_M, lost_MU = self._tables(int(prbs_G.sum()))
        db_M = [
            10 * np.log10(effective(np.maximum(sinr[used_G], 1e-9), prbs_G, self._beta_M)) for sinr in (believed, true)
        ]
        return sizes_M, lost_MU, db_M[0], _at(lost_MU, db_M[1])

    def _tables(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean bits of a slot [M] and error rates [M, U] on so many resource blocks."""
        if width not in self._of_width:
            schemes = list(zip(self._bits_M, self._rate_M, strict=True))
            answers = np.array(
                _ask([f"tbs {width} {symbols} {self._dmrs} 0 {m} {rate} 1" for _, symbols in SLOTS
                      for m, rate in schemes])
            ).reshape(len(SLOTS), len(schemes), -1)  # fmt: skip
            slots = np.array([number for number, _ in SLOTS])
            sizes_M = slots @ answers[:, :, 0] / len(PATTERN)
            elements = width * (_ELEMENTS * SLOTS[0][1] - self._dmrs)
            count_M, info_M = answers[0, :, 2], answers[0, :, 3]
            lost = _ask(
                [f"bler {m} {info} {elements / count} {db:.2f} -1"
                 for (m, _), info, count in zip(schemes, info_M, count_M, strict=True) for db in GRID_DB]
            )  # fmt: skip
            of_code_block = np.array(lost).reshape(len(schemes), len(GRID_DB))
            self._of_width[width] = sizes_M, 1 - (1 - of_code_block) ** count_M[:, None]
        return self._of_width[width]


def _at(lost_MU: np.ndarray, db_M: np.ndarray) -> np.ndarray:
    return np.array([np.interp(db, GRID_DB, row) for db, row in zip(db_M, lost_MU, strict=True)])


def effective(sinr: np.ndarray, weight: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """EESM, linear [M], of SINRs [G] with these weights [G], for each beta [M]."""
    least = sinr.min()
    mean = np.exp(-(sinr - least) / beta[:, None]) @ (weight / weight.sum())
    found: np.ndarray = np.maximum(least - beta * np.log(mean), 1e-9)
    return found


def _ask(questions: Sequence[str]) -> list[list[float]]:
    """Return the answers of nr-tables, a list of numbers for each question."""
    done = subprocess.run(
        [installed("bin/tools/nr-tables")], input="".join(f"{question}\n" for question in questions), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise EdgelamError(f"the tables of the radio cannot be read: {done.stderr.strip()}")
    return [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
