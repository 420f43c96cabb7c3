"""Compiled kernels on disk: right for every process, whoever wrote them and when."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any

import numba
import numpy as np
import pytest

import scpdex
from scpdex.kernels import _cache, _jit

# Ranks matrices of some dtypes, in that order, and holds each against the float64 one.
RANK = """
import sys
import anndata as ad
import numpy as np
import scpdex
values = np.random.default_rng(0).poisson(1, (300, 20))
for dtype in (*sys.argv[1:], "float64"):
    adata = ad.AnnData(values.astype(dtype))
    adata.obs["label"] = np.arange(300) % 3
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon", tie_correct=True, n_jobs=2)
    result = adata.uns["rank_genes_groups"]["pvals"].tolist()
    assert dtype == sys.argv[1] or result == expected, dtype
    expected = result
"""


def _start(cache: Path, *dtypes: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", RANK, *dtypes], env=os.environ | {"NUMBA_CACHE_DIR": str(cache)})


@pytest.mark.slow
def test_processes_that_share_a_cache(tmp_path):
    """Processes that meet dtypes in other orders, at once on an empty cache; then again from what they left there."""
    for _ in range(2):
        processes = [_start(tmp_path, *dtypes) for dtypes in (["float32", "int32"], ["int32", "float32"])]
        assert [process.wait() for process in processes] == [0, 0]


def test_a_file_is_named_by_what_it_holds(tmp_path):
    """Two processes that both see an empty cache do not take each other's names."""
    one, other = (_cache._KeyedFile(str(tmp_path), "kernel", "source") for _ in range(2))
    one.save("signature A", b"code A")
    other.save("signature B", b"code B")
    for file in (one, other):
        assert file.load("signature A") == b"code A"
        assert file.load("signature B") == b"code B"
        assert file.load("signature C") is None
    changed = _cache._KeyedFile(str(tmp_path), "kernel", "another source")
    assert changed.load("signature A") is None


def test_all_kernels_are_part_of_the_digest(tmp_path, monkeypatch):
    """A change in one kernel makes those that call it compile anew."""
    for name in ("_cache.py", "sort.py"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(_cache, "__file__", str(tmp_path / "_cache.py"))
    before = _cache._digest_of_kernels()
    (tmp_path / "sort.py").write_text("changed")
    assert _cache._digest_of_kernels() != before


@pytest.fixture
def untold(monkeypatch) -> None:
    """As in a process that has not been warned."""
    monkeypatch.setattr(_cache, "_told", Lock())


def _total() -> Any:
    @_jit.kernel
    def total(x: np.ndarray) -> float:
        return x.sum()

    return total


@pytest.mark.usefixtures("untold")
def test_without_a_place_to_cache(monkeypatch):
    """Where nothing can be written, kernels compile in each process, and that is said once."""

    def no_place(_function: object) -> None:
        msg = "cannot cache function: no locator available"
        raise RuntimeError(msg)

    monkeypatch.setattr(_cache, "KernelCache", no_place)
    one, other = _total(), _total()
    with pytest.warns(UserWarning, match=r"cannot be kept on disk \(neither .* set .* NUMBA_CACHE_DIR") as told:
        totals = [one(np.ones(3)), other(np.ones(3))]
    assert totals == [3, 3]
    assert len(told) == 1


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


@pytest.mark.slow
def test_nothing_can_be_written(tmp_path):
    """Neither beside the sources, nor in the home, nor in NUMBA_CACHE_DIR: the same numbers, and one warning."""
    copied = tmp_path / "scpdex"
    shutil.copytree(Path(scpdex.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    # Not even root can make a folder of a file.
    (copied / "kernels" / "__pycache__").write_text("")
    nowhere = str(tmp_path / "scpdex" / "py.typed" / "below")
    done = subprocess.run(
        [sys.executable, "-W", "always:scpdex", "-c", RANK, "float32"],
        env=os.environ
        | dict.fromkeys(["HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"], nowhere)
        | {"PYTHONPATH": str(tmp_path), "MPLCONFIGDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("cannot be kept on disk (neither the installation nor the home") == 1


@pytest.mark.slow
def test_a_small_quota(tmp_path):
    """A limit of the operating system on how large files can be, which compiled kernels exceed."""
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000));"
    done = subprocess.run(
        [sys.executable, "-W", "always:scpdex", "-c", limit + RANK, "float32"],
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("cannot be kept on disk (File too large)") == 1
