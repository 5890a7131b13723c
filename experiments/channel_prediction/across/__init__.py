# SPDX-License-Identifier: GPL-2.0-only
"""One model for many configurations, beside a model for each."""
