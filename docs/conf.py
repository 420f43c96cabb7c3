"""Sphinx configuration."""

import zlib
from importlib.metadata import version as version_of
from pathlib import Path

project = "scpdex"
author = "The scpdex developers"
copyright = "2026, The scpdex developers"  # noqa: A001
release = version = version_of("scpdex")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "ecosystem"]
nitpicky = True

html_theme = "sphinx_book_theme"
html_title = "scpdex"
html_theme_options = {
    "repository_url": "https://github.com/scpdex/scpdex",
    "use_repository_button": True,
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "navbar_persistent": [],
}
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["scpdex.css"]

myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath", "colon_fence"]

# Tutorials are executed whenever the documents are built, and the build fails when one raises.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
copybutton_prompt_text = r">>> |\.\.\. |\$ |In \[\d*\]: "
copybutton_prompt_is_regexp = True

# What the documents refer to in those of other projects: where these cannot be reached, links are made all the same.
_ELSEWHERE: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "python": (
        "https://docs.python.org/3",
        {
            f"{name}": ("exception", "library/exceptions.html#$")
            for name in ("ImportError", "KeyError", "OSError", "RuntimeError", "TypeError", "ValueError")
        },
    ),
    "anndata": (
        "https://anndata.readthedocs.io/en/stable",
        {
            "anndata.AnnData": ("class", "generated/$.html#$"),
            "anndata.concat": ("function", "generated/$.html#$"),
        },
    ),
    "scanpy": (
        "https://scanpy.readthedocs.io/en/stable",
        {
            f"scanpy.{name}": ("function", "generated/$.html#$")
            for name in (
                "get.rank_genes_groups_df",
                "pp.log1p",
                "pp.normalize_total",
                "tl.filter_rank_genes_groups",
                "tl.rank_genes_groups",
            )
        },
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy",
        {
            f"scipy.stats.{name}": ("function", "reference/generated/$.html#$")
            for name in ("anderson_ksamp", "brunnermunzel", "mannwhitneyu", "ttest_ind")
        },
    ),
    "sklearn": (
        "https://scikit-learn.org/stable",
        {"sklearn.linear_model.LogisticRegression": ("class", "modules/generated/$.html#$")},
    ),
    "statsmodels": (
        "https://www.statsmodels.org/stable",
        {"statsmodels.stats.multitest.multipletests": ("function", "generated/$.html#$")},
    ),
}


def _inventory(project: str, objects: dict[str, tuple[str, str]]) -> str:
    """Write a Sphinx inventory (version 2) of these objects, and give its path."""
    lines = "".join(f"{name} py:{role} 1 {uri.replace('$', name)} -\n" for name, (role, uri) in objects.items())
    header = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    header += "# The remainder of this file is compressed using zlib.\n"
    path = Path(__file__).parent / "_build" / "inventories" / f"{project}.inv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + zlib.compress(lines.encode()))
    return str(path)


intersphinx_mapping = {
    project: (url, (None, _inventory(project, objects))) for project, (url, objects) in _ELSEWHERE.items()
}
intersphinx_timeout = 5
