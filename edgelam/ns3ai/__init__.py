# SPDX-License-Identifier: GPL-2.0-only
"""Programs written for ns3-ai's message interface, over edgelam's bridge: docs/coming-from-ns3-ai.md."""
