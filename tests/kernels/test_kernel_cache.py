"""Compiled kernels on disk: right for every process, whoever wrote them and when."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl
from rank_dtypes import RANK
from unwritable import unwritable_packages

from scpdex.kernels import _cache_warning, _compile, _numba, _private_folder


@pytest.mark.slow
def test_processes_that_share_a_cache(tmp_path):
    """Processes that meet dtypes in other orders, at once on an empty cache; then again from what they left there."""
    # The installation may have kernels.
    environment = unwritable_packages(tmp_path / "site") | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for _ in range(2):
        processes = [
            subprocess.Popen([sys.executable, "-c", RANK, *dtypes], env=environment)
            for dtypes in (["float32", "int32"], ["int32", "float32"])
        ]
        assert [process.wait() for process in processes] == [0, 0]


def test_a_file_is_named_by_what_it_holds(tmp_path):
    """Two processes that both see an empty cache do not take each other's names."""
    one, other = (_numba._KeyedFile(str(tmp_path), "kernel", "source") for _ in range(2))
    one.save("signature A", b"code A")
    other.save("signature B", b"code B")
    for file in (one, other):
        assert file.load("signature A") == b"code A"
        assert file.load("signature B") == b"code B"
        assert file.load("signature C") is None
    changed = _numba._KeyedFile(str(tmp_path), "kernel", "another source")
    assert changed.load("signature A") is None


def test_kernels_that_check_indices_have_files_of_their_own(tmp_path, monkeypatch):
    """Those that were compiled without checks are not taken for them."""
    file = _numba._KeyedFile(str(tmp_path), "kernel", "source")
    file.save("signature A", b"unchecked")
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    assert file.load("signature A") is None


@pytest.mark.parametrize("source", ["kernels/sort.py", "statistics/tails.py"])
def test_all_kernels_are_part_of_the_digest(source, tmp_path, monkeypatch):
    """A change in one kernel makes those that call it compile anew."""
    for name in ("kernels/_numba.py", source):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(_numba, "__file__", str(tmp_path / "kernels" / "_numba.py"))
    before = _numba._hash_kernel_sources()
    (tmp_path / source).write_text("changed")
    assert _numba._hash_kernel_sources() != before


@pytest.fixture(autouse=True)
def own_kernels(monkeypatch) -> None:
    """Leave the kernels of tests out of those of the package."""
    monkeypatch.setattr(_compile, "_kernels", [])


@pytest.fixture
def untold(monkeypatch) -> None:
    """As in a process that has not been warned."""
    monkeypatch.setattr(_cache_warning, "_warned", Lock())


def _total() -> Any:
    @_compile.kernel
    def total(x: np.ndarray) -> float:
        return x.sum()

    return total


@pytest.fixture
def unwritable(monkeypatch, tmp_path) -> Path:
    """Leave Numba without a lasting folder, and give the temporary folder."""
    only = CompileResultCacheImpl._locator_classes[-1:]
    assert only == [_numba._PrivateFolderLocator]
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", only)
    monkeypatch.setattr(_private_folder, "_folder", None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("atexit.register", lambda *_: None)
    return tmp_path


@pytest.mark.usefixtures("untold")
def test_only_the_temporary_folder_can_be_written(unwritable):
    """Row 31: a private folder of this process, from all threads, for our kernels and for others; one warning."""
    kernels: list[Any] = []
    before = dict(os.environ)

    def compile_all() -> None:
        threads = [Thread(target=lambda: kernels.append(_total())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # As scanpy does when it is imported.
        kernels.append(numba.njit(cache=True)(lambda x: x.sum()))

    # A warning is an error, here and in the threads: decorating compiles nothing.
    compile_all()
    assert not list(unwritable.rglob("*.nbc"))
    with pytest.warns(UserWarning, match=r"cannot be kept on disk \(neither .* set .* NUMBA_CACHE_DIR") as told:
        totals = [kernel(np.ones(3)) for kernel in kernels]
    assert totals == [3] * 5
    assert len(told) == 1
    (folder,) = unwritable.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("*.nbc"))
    assert os.environ == before
    _private_folder._remove(folder, os.getpid() + 1)
    assert folder.exists(), "a forked process leaves the folder to its parent"
    _private_folder._remove(folder, os.getpid())
    assert not list(unwritable.iterdir())


@pytest.mark.usefixtures("untold")
def test_no_folder_at_all(unwritable, monkeypatch):
    """Row 31: others that cache are refused with the way out; our kernels compile without a cache, and one warns."""
    monkeypatch.setattr("tempfile.tempdir", str(unwritable / "missing"))
    with pytest.raises(OSError, match=r"not the installation, the home, nor the temporary folder.*NUMBA_CACHE_DIR"):
        numba.njit(cache=True)(lambda x: x.sum())
    one, other = _total(), _total()
    with pytest.warns(UserWarning, match=r"cannot be kept on disk \(no folder can be written to\)") as told:
        totals = [one(np.ones(3)), other(np.ones(3))]
    assert totals == [3, 3]
    assert len(told) == 1


# What is no longer where this release of Numba has it.
_MOVED = """
import sys, warnings
import numba.core.caching
import numpy as np
del numba.core.caching._SourceFileBackedLocatorMixin
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import scpdex
    from scpdex.kernels.moments import are_counts
(message,) = {str(warning.message) for warning in caught if "cannot be kept on disk" in str(warning.message)}
assert len([warning for warning in caught if "cannot be kept on disk" in str(warning.message)]) == 1
assert f"numba {numba.__version__}" in message and "NUMBA_CACHE_DIR" not in message, message
assert are_counts(np.array([0xC0000000], dtype=np.uint32))
assert are_counts.stats.cache_path is None
"""


def test_caching_classes_that_numba_has_moved():
    """An import does not fail for it: kernels compile without a cache, and one warning says so."""
    subprocess.run([sys.executable, "-c", _MOVED], check=True)


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("method", ["__init__", "load_overload", "save_overload"])
def test_a_caching_class_that_has_changed(monkeypatch, tmp_path, method):
    """Where the classes are in place and lack a method, kernels compile all the same, and one warning says so."""

    def lacking(*_: object) -> None:
        msg = "no such name"
        raise AttributeError(msg)

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(f"numba.core.caching.FunctionCache.{method}", lacking)
    with pytest.warns(UserWarning, match=r"cannot be kept on disk \(numba .*no such name\)") as told:
        totals = [_total()(np.ones(3)) for _ in range(2)]
    assert totals == [3, 3]
    assert len(told) == 1


@pytest.mark.usefixtures("untold")
def test_a_compiled_function_without_a_place_for_its_cache(monkeypatch):
    """A cache that Numba would not look at is not put there in silence."""

    class Compiled:
        pass

    monkeypatch.setattr(numba, "njit", lambda **_: lambda _: Compiled())
    with pytest.warns(UserWarning, match=r"cannot be kept on disk \(numba .*_cache"):
        _compile.kernel(len)


@pytest.mark.usefixtures("untold")
def test_a_disk_that_is_full(monkeypatch, tmp_path):
    """What cannot be kept is used all the same, and nothing is left of it."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", full)
    one, other = _total(), _total()
    with pytest.warns(UserWarning, match=r"\(No space left on device\)") as told:
        totals = [one(np.ones(3)), other(np.ones(3))]
    assert totals == [3, 3]
    assert len(told) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
def test_a_file_that_is_damaged(monkeypatch, tmp_path, damage):
    """It is compiled anew, and replaced."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert _total()(np.ones(3)) == pytest.approx(3)
    (path,) = tmp_path.rglob("*.nbc")
    content = path.read_bytes()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    path.write_bytes({"cut short": content[:-100], "one bit": bytes(changed), "empty": b""}[damage])
    again = _total()
    assert again(np.ones(3)) == pytest.approx(3)
    assert not again.stats.cache_hits
    last = _total()
    assert last(np.ones(3)) == pytest.approx(3)
    assert last.stats.cache_hits
