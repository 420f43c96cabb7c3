"""Fast, exact differential expression between groups of cells, with scanpy's conventions."""

from importlib.metadata import version

from scpdex import get, tl
from scpdex.pdex import parallel_differential_expression

__all__ = ["__version__", "get", "parallel_differential_expression", "tl"]

__version__ = version("scpdex")
