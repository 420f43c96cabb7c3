"""Compiled kernels on disk: right for every process, whoever wrote them and when."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


def test_without_a_place_to_cache(monkeypatch):
    """Where nothing can be written, kernels compile in each process."""

    def no_place(_function: object) -> None:
        msg = "cannot cache function: no locator available"
        raise RuntimeError(msg)

    monkeypatch.setattr(_jit, "KernelCache", no_place)

    @_jit.kernel
    def total(x: np.ndarray) -> float:
        return x.sum()

    assert total(np.ones(3)) == pytest.approx(3)
