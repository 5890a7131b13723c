# SPDX-License-Identifier: GPL-2.0-only
import os

import pytest
from ns3ai_builds import build


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the example, a folder with the test programs."""
    example, folder = tmp_path_factory.mktemp("example"), tmp_path_factory.mktemp("programs")
    build(example, folder)
    return example, folder


@pytest.fixture
def example(built):
    return built[0]


@pytest.fixture
def folder(built):
    """The folder of the test programs."""
    return built[1]


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    ours = ("edgelam", "My ", "cells", "weights", "sum")
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(ours)]
