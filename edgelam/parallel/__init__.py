# SPDX-License-Identifier: GPL-2.0-only
"""Parallel training over the simulated network: groups of ranks, their collectives, and torch.distributed upon them.

A program started by ``edgelam torchrun`` needs nothing of this. One that is started by hand says ``import
edgelam.parallel`` and gives backend "ns3" to `torch.distributed.init_process_group`. Participant 0 of the run starts
the ranks with the variables of `environment`, and serves them with `serve` (docs/parallel.md).
"""

import os
import sys

from edgelam.lazy import attributes
from edgelam.parallel.job import VARIABLE, Job

__all__ = ["Job", "environment", "launch", "serve"]  # made when first asked for
__getattr__ = attributes(__name__, {"environment": "host", "launch": "launch", "serve": "host"})

if VARIABLE in os.environ:  # a rank
    from edgelam.parallel import backend

    backend.install()
elif "torch.distributed" in sys.modules:
    from edgelam.parallel import backend

    backend.register()
