# SPDX-License-Identifier: GPL-2.0-only
"""`edgelam.output.progress`, under the name by which experiments import it."""

from edgelam.output.progress import PLAIN_SECONDS, Progress

__all__ = ["PLAIN_SECONDS", "Progress"]
