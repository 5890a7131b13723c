# SPDX-License-Identifier: GPL-2.0-only
import pandas as pd
import pytest

from edgelam.errors import ConfigurationError
from edgelam.runs.traces import throughput


def test_throughput_by_hand():
    blocks = pd.DataFrame(
        [
            (0, 0, 0, 1, 1000),
            (99_999_999, 0, 0, 1, 500),
            (100_000_000, 0, 0, 1, 700),
            (150_000_000, 0, 0, 0, 9999),  # not decoded
            (150_000_000, 0, 1, 1, 300),
            (160_000_000, 1, 0, 1, 4_000_000_000),
            (170_000_000, 1, 0, 1, 4_000_000_000),  # together more than 32 bits hold
        ],
        columns=["time_ns", "ue", "uplink", "received", "bits"],
    ).astype({"bits": "uint32"})
    assert throughput(blocks, 0.1).to_numpy().tolist() == [
        [0.0, 0, 0, 15_000],
        [0.1, 0, 0, 7_000],
        [0.1, 0, 1, 3_000],
        [0.1, 1, 0, 80e9],
    ]
    with pytest.raises(ConfigurationError, match="window_s = 0"):
        throughput(blocks, 0)
