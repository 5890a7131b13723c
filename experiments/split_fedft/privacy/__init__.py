# SPDX-License-Identifier: GPL-2.0-only
"""The study of privacy: what protection costs in accuracy, and what attacks on the same runs still find."""
