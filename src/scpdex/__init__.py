"""Fast, exact differential expression between groups of cells, with scanpy's conventions."""

from importlib.metadata import version

from scpdex import tl

__all__ = ["__version__", "tl"]

__version__ = version("scpdex")
