"""Whole processes that can write compiled kernels to no lasting folder, or to a small one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rank_dtypes import RANK
from unwritable import unwritable_packages


@pytest.fixture(scope="module")
def read_only(tmp_path_factory) -> dict[str, str]:
    return unwritable_packages(tmp_path_factory.mktemp("site"))


def _run(environment: dict[str, str], temporary: Path, program: str, *, check: bool = True) -> Any:
    return subprocess.run(
        [sys.executable, "-W", "always:compiled kernels", "-c", program, "float32"],
        env=environment | {"TMPDIR": str(temporary), "MPLCONFIGDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=check,
        cwd="/",
    )


@pytest.mark.slow
def test_nothing_lasting_can_be_written(read_only, tmp_path):
    """Row 31: scanpy can be imported, the numbers are the same, there is one warning, and nothing is left."""
    child = f"""
import os, pathlib, subprocess, sys
before = dict(os.environ)
{RANK}
assert "scanpy" in sys.modules and sys.modules["scanpy"].__file__.startswith(os.environ["PYTHONPATH"])
assert os.environ == before
(folder,) = pathlib.Path(os.environ["TMPDIR"]).glob("scpdex-kernels-*")
assert folder.stat().st_mode & 0o777 == 0o700
pid = os.fork()
if not pid:
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0 and folder.exists()
"""
    done = _run(read_only, tmp_path, child)
    assert done.stderr.count("cannot be kept on disk (neither the installation nor the home") == 1
    assert not list(tmp_path.glob("scpdex-kernels-*"))


@pytest.mark.slow
def test_scanpy_imported_first(read_only, tmp_path):
    """Row 31: its own error stands, as the promises say."""
    done = _run(read_only, tmp_path, "import scanpy, scpdex", check=False)
    assert done.returncode == 1
    assert "no locator available" in done.stderr


@pytest.mark.slow
def test_no_temporary_folder_either(read_only, tmp_path):
    """Row 31: an error that names NUMBA_CACHE_DIR."""
    cannot = "import tempfile; tempfile.tempdir = '/dev/null/below'; import scpdex"
    done = _run(read_only, tmp_path, cannot, check=False)
    assert done.returncode == 1
    assert "NUMBA_CACHE_DIR" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_small_quota(read_only, tmp_path):
    """A limit of the operating system on how large files can be, which compiled kernels exceed."""
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000));"
    done = subprocess.run(
        [sys.executable, "-W", "always:compiled kernels", "-c", limit + RANK, "float32"],
        env=read_only | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("cannot be kept on disk (File too large)") == 1
