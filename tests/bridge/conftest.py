# SPDX-License-Identifier: GPL-2.0-only
import os
from collections.abc import Iterator

import pytest
from bridge_testbed import Testbed


@pytest.fixture
def testbed() -> Iterator[Testbed]:
    """Processes that are gone when the test ends, and nothing in /dev/shm."""
    bed = Testbed()
    yield bed
    bed.close()
    assert not [name for name in os.listdir("/dev/shm") if "edgelam" in name]
