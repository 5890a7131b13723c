# SPDX-License-Identifier: GPL-2.0-only
"""The earlier and the later of two times, for experiments that were written before NumPy's functions worked here."""

import numpy as np

earliest = np.minimum
latest = np.maximum
