"""Unwritable: environments of processes that find folders where they cannot write."""

import importlib.util
import os
import shutil
from pathlib import Path

# What an import of scpdex compiles is cached by these packages.
_CACHING = ("scpdex", "scanpy", "fast_array_utils")


def unwritable_packages(site: Path) -> dict[str, str]:
    """Environment of a process with packages, a home and a NUMBA_CACHE_DIR where nothing can be written."""
    for name in _CACHING:
        (source,) = importlib.util.find_spec(name).submodule_search_locations
        shutil.copytree(source, site / name, ignore=shutil.ignore_patterns("__pycache__"))
        for module in (site / name).rglob("*.py"):
            # Not even root can make a folder of a file.
            (module.parent / "__pycache__").write_text("")
    nowhere = str(site / "scpdex" / "py.typed" / "below")
    return (
        os.environ
        | dict.fromkeys(["HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"], nowhere)
        | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    )


# Root can write to folders of any mode: the process itself refuses to write to NUMBA_CACHE_DIR, from its first line on.
READ_ONLY_CACHE = """
import errno, os, sys
def refuse_to_write(event, arguments):
    if event == "open" and str(arguments[0]).startswith(os.environ["NUMBA_CACHE_DIR"]):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), arguments[0])
sys.addaudithook(refuse_to_write)
"""
