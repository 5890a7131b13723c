# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx builds the documentation: ``sphinx-build -W docs build/docs``; the tests do it with warnings as errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import edgelam

project = "edgelam"
author = "The edgelam authors"
copyright = "The edgelam authors, GPL-2.0-only"
version = release = edgelam.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference_pages"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"edgelam {version}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["narrow.css"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "dollarmath"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
suppress_warnings = ["ref.python"]  # `set` in a docstring is a word, whoever else has an attribute of that name
default_role = "code"  # docstrings write `name` for names
