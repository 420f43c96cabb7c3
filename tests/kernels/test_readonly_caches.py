"""Compiled kernels are read wherever Numba would keep them, whether that folder can be written to or not."""

import errno
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Lock
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl
from unwritable import READ_ONLY_CACHE, unwritable_packages

from scpdex.kernels import _cache_warning, _compile, _numba, _private_folder

_MODULE = """
from scpdex.kernels._compile import kernel

@kernel
def total(x):
    return x.sum()
"""


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch) -> None:
    """As in a process that has not warned, and whose kernels are those of the package."""
    monkeypatch.setattr(_cache_warning, "_warned", Lock())
    monkeypatch.setattr(_compile, "_kernels", [])


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "package" / "module.py"
    path.parent.mkdir()
    path.write_text(_MODULE)
    return path


def _import_total(source: Path) -> Any:
    """Import the kernel of a module as a further process would."""
    spec = importlib.util.spec_from_file_location("module", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.total


def _is_loaded(total: Any) -> bool:
    assert total(np.ones(3)) == pytest.approx(3)
    return bool(total.stats.cache_hits)


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _make_unwritable(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Numba finds out whether it can write to a folder by a temporary file; root could write anywhere."""
    open_file = tempfile.TemporaryFile

    def refuse(*arguments: Any, **options: Any) -> Any:
        if any(Path(options["dir"]).is_relative_to(folder) for folder in folders):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), options["dir"])
        return open_file(*arguments, **options)

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)


@pytest.fixture
def only_private(monkeypatch, tmp_path) -> Path:
    """Leave no folder but the private one; give the folder that it is in."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(_private_folder, "_folder", None)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr("atexit.register", lambda *_: None)
    lasting = [cls for cls in CompileResultCacheImpl._locator_classes if "Wide" not in cls.__name__]
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", lasting)
    return temporary


def test_further_folders_are_read_and_not_written(tmp_path):
    """The first folder that has the file in one piece is as good as any other."""
    folders = [tmp_path / name for name in ("first", "missing", "no folder", "second", "third")]
    for folder in (folders[0], *folders[3:]):
        folder.mkdir()
    folders[2].write_text("")
    first, *further = map(str, folders)
    _numba._KeyedFile(further[-2], "kernel", "source").save("A", b"code A")
    _numba._KeyedFile(further[-1], "kernel", "source").save("A", b"code A")
    _numba._KeyedFile(further[-1], "kernel", "another source").save("B", b"code B")
    file = _numba._KeyedFile(first, "kernel", "source", further)
    assert file.load("A") == b"code A"
    (path,) = _files(folders[3])
    path.write_bytes(path.read_bytes()[:-1])
    assert file.load("A") == b"code A"
    assert file.load("B") is None
    assert not _files(folders[0])
    file.save("B", b"code B")
    assert len(_files(folders[0])) == 1
    assert file.load("B") == b"code B"


def test_an_installation_with_kernels(source, monkeypatch, tmp_path):
    """Kernels beside their source are used where NUMBA_CACHE_DIR names another folder, which can be written to."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert not _is_loaded(_import_total(source))
    assert _files(source.parent / "__pycache__")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    assert _is_loaded(_import_total(source))
    assert not _files(tmp_path / "cache")


@pytest.mark.parametrize("has_private", [True, False])
def test_a_full_cache_that_cannot_be_written(source, monkeypatch, tmp_path, only_private, has_private):
    """Nothing is compiled, written, or warned of, with a private folder and without; a further signature is."""
    cache = tmp_path / "cache"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(cache))
    assert not _is_loaded(_import_total(source))
    before = _files(cache)
    _make_unwritable(monkeypatch, tmp_path / "package", cache)
    if not has_private:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no folder"))
    total = _import_total(source)
    assert _is_loaded(total)
    assert _compile.measure_cache_use()[1:] == (1, None)
    assert not _files(only_private)
    reason = "neither the installation" if has_private else "no folder can be written to"
    with pytest.warns(UserWarning, match=rf"cannot be kept on disk \({reason}") as told:
        sums = [total(np.ones(3, dtype=dtype)) for dtype in (np.float32, np.int64)]
    assert sums == [3, 3]
    assert len(told) == 1
    assert _files(cache) == before
    assert len(_files(only_private)) == 2 * has_private


def test_folders_that_the_user_has_chosen(source, monkeypatch, tmp_path):
    """The environment variable NUMBA_CACHE_LOCATOR_CLASSES of numba 0.62 says which folders count."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert not _is_loaded(_import_total(source))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator", raising=False)
    assert not _is_loaded(_import_total(source))
    assert _is_loaded(_import_total(source))


def test_the_folder_of_kernels(monkeypatch, tmp_path):
    """The folder that is reported is NUMBA_CACHE_DIR, whatever folders Numba makes in it."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    for name in ("one", "other"):
        copy = tmp_path / name / "module.py"
        copy.parent.mkdir()
        copy.write_text(_MODULE)
        assert not _is_loaded(_import_total(copy))
    assert _compile.measure_cache_use() == (2, 0, str(tmp_path / "cache"))


def _run(environment: dict[str, str], program: str) -> str:
    """Run a program in a process of its own; give its warnings."""
    command = [sys.executable, "-W", "always:compiled kernels", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    return done.stderr


_COMPILE = """
from scpdex.command._compile_kernels import compile_kernels
done = compile_kernels()
assert done.n_compiled > 200 and done.n_loaded == 0, done
assert (done.cpu_name, done.folder) == ("generic", os.environ["NUMBA_CACHE_DIR"]), done
again = compile_kernels()
assert again.n_compiled == again.n_loaded == 0, again
"""

# Whatever users may feed it, files and dask arrays too.
_RANK = """
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from hypothesis import HealthCheck, given, seed, settings
from drawn import calls
import scpdex
from scpdex.kernels import _compile
n_ranked = 0

@seed(0)
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), database=None)
@given(calls())
def rank(call):
    global n_ranked
    with TemporaryDirectory() as folder:
        try:
            adata = call.stored(Path(folder))
            scpdex.tl.rank_genes_parallel(adata, "label", copy=True, **call.options, **call.more)
            n_ranked += 1
        except ValueError:
            # Options that contradict the labels.
            pass

rank()
assert n_ranked > 50, n_ranked
compiled = [(kernel.__name__, *kernel.stats.cache_misses) for kernel in _compile._kernels if kernel.stats.cache_misses]
assert not compiled, compiled
use = _compile.measure_cache_use()
assert use.n_loaded > 40 and use.folder is None, use
"""

_RANK_ON_ANOTHER_PROCESSOR = """
import anndata as ad, numpy as np
import scpdex
from scpdex.kernels._compile import measure_cache_use
adata = ad.AnnData(np.random.default_rng(0).poisson(1, (60, 4)).astype(np.float32))
adata.obs["group"] = np.resize(["a", "b"], 60)
scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon")
use = measure_cache_use()
assert use.n_compiled > 5 and use.n_loaded == 0, use
"""


@pytest.mark.slow
def test_a_container(tmp_path):
    """Kernels that are compiled at build are all that the run needs: it compiles nothing and warns of nothing."""
    cache, site, support = tmp_path / "cache", tmp_path / "site", Path(__file__).parents[1] / "support"
    environment = unwritable_packages(site) | {"NUMBA_CACHE_DIR": str(cache), "NUMBA_CPU_NAME": "generic"}
    environment["PYTHONPATH"] += os.pathsep + str(support)
    assert "compiled kernels" not in _run(environment, "import os" + _COMPILE)
    files = _files(cache)
    assert {path.suffix for path in files} == {".nbc"}
    assert "compiled kernels" not in _run(environment, READ_ONLY_CACHE + _RANK)
    del environment["NUMBA_CPU_NAME"]
    warnings = _run(environment, READ_ONLY_CACHE + _RANK_ON_ANOTHER_PROCESSOR)
    assert warnings.count("compiled kernels cannot be kept on disk (neither the installation") == 1
    assert _files(cache) == files
