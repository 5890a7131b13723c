# SPDX-License-Identifier: GPL-2.0-only
"""Two published environments of task offloading, and rules for them. See experiments/offloading/README.md."""
