# SPDX-License-Identifier: GPL-2.0-only
"""The study of parameter-efficient fine-tuning: what is trained and sent, and when sending models takes fewer bytes."""
