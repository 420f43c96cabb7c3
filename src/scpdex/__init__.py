"""Fast, exact differential expression between groups of cells, with scanpy's conventions."""

from importlib.metadata import version

from scpdex import get, tl

__all__ = ["__version__", "get", "tl"]

__version__ = version("scpdex")
