# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the tests of edgelam.cosim."""

from edgelam import cosim

STAR = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}


def run(main, **settings):
    """Run without a scenario."""
    return cosim.simulate(main, nodes=settings.pop("nodes", STAR), **settings)
