# SPDX-License-Identifier: GPL-2.0-only
"""edgelam: large AI models at the edge of 5G/6G networks, with real learning over packet-level ns-3 networks.

``edgelam.cosim`` couples Python to an ns-3 scenario and is what experiments are written with; ``edgelam.models``,
``edgelam.federated`` and ``edgelam.data`` hold the learning; ``edgelam.runs`` holds the run folders and figures.
"""

__version__ = "0.2.0"
