"""Sphinx configuration."""

from importlib.metadata import version as version_of

project = "scpdex"
author = "The scpdex developers"
copyright = "2026, The scpdex developers"  # noqa: A001
release = version = version_of("scpdex")

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "sphinx_book_theme"
html_title = "scpdex"
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_typehints = "none"
