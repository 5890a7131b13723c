# SPDX-License-Identifier: GPL-2.0-only
"""The module that agents written for ns3-ai import. Its folder goes on PYTHONPATH: ``edgelam ns3-ai python-path``."""

from edgelam.ns3ai.experiment import Experiment

__all__ = ["Experiment"]
