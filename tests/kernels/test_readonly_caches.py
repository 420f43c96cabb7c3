"""Compiled kernels are read wherever Numba would keep them, whether that folder can be written to or not."""

import errno
import importlib.util
import os
import tempfile
from pathlib import Path
from threading import Lock
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl

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
