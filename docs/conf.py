"""Sphinx configuration."""

from importlib.metadata import version as version_of

project = "scpdex"
author = "The scpdex developers"
copyright = "2026, The scpdex developers"  # noqa: A001
release = version = version_of("scpdex")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "sphinx_book_theme"
html_title = "scpdex"
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
autodoc_typehints = "none"
