"""Fast, exact differential expression between groups of cells, with scanpy's conventions."""

from importlib.metadata import version

from scpdex.kernels._disk_cache import offer_private_folder

# scanpy caches compiled functions when it is imported.
offer_private_folder()

# isort: split

from scpdex import get, tl  # noqa: E402
from scpdex.compat.pdex_0_1 import parallel_differential_expression  # noqa: E402
from scpdex.compat.pdex_0_3 import pdex  # noqa: E402

__all__ = ["__version__", "get", "parallel_differential_expression", "pdex", "tl"]

__version__ = version("scpdex")
