# SPDX-License-Identifier: GPL-2.0-only
"""What a rank hands to the launcher to be recorded: transfers, computations, collectives.

They are collected and handed over many at a time, so that the launcher is not woken for each; a rank that is killed
takes those with it that it has not handed over.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgelam.cosim.records import ComputeRecord, TransferRecord
    from edgelam.parallel.group import CollectiveRecord

AT_A_TIME = 512


class Reports:
    """Records on their way."""

    def __init__(self, post: Callable[..., None]) -> None:
        """post(kind, content): hands over."""
        self._post = post
        self._records: list[Any] = []

    def transfer(self, record: TransferRecord) -> None:
        """A transfer of this rank's is over."""
        self._add(record)

    def compute(self, record: ComputeRecord) -> None:
        """The rank has computed."""
        self._add(record)

    def collective(self, record: CollectiveRecord, node: str, size: int) -> None:
        """A collective is over on this rank, at `node`, of a group of `size`."""
        self._add({**dataclasses.asdict(record), "node": node, "size": size})

    def _add(self, record: Any) -> None:
        self._records.append(record)
        if len(self._records) >= AT_A_TIME:
            self.flush()

    def flush(self) -> None:
        """Hand over what there is."""
        if self._records:
            self._post("records", pickle.dumps(self._records, protocol=pickle.HIGHEST_PROTOCOL))
            self._records.clear()
