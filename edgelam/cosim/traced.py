# SPDX-License-Identifier: GPL-2.0-only
"""The smaller and the larger of two times: what experiments call that were written before NumPy's functions did."""

import numpy as np

earliest = np.minimum
latest = np.maximum
