# SPDX-License-Identifier: GPL-2.0-only
"""Reports: a run, or several runs beside one another, as one HTML file that needs no network (``edgelam report RUN``).

``write`` reports a run, and ``compare`` several; ``simulations`` and ``charts`` make their data, and ``page`` makes the
file from page.html, style.css and the scripts beside it: basics, simulation, map, timeline, player, chart, main.
"""

from edgelam.report.write import REPORT, write_report

__all__ = ["REPORT", "write_report"]
