# SPDX-License-Identifier: GPL-2.0-only
"""The study of allocation: learning under each rule in the same cell, and what budgets, predictions and V come to."""
