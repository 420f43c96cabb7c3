"""Scale: numbers of values, cells and groups past what 16, 32 and 63 bits hold, without large files (row 17)."""

import ctypes
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from anndata.io import sparse_dataset
from oracles import by_gene, by_scpdex, plain_rank_sum
from scipy import sparse, stats

import scpdex

# Values of a row (or column), and how many of these are told apart.
WIDTH, N_DISTINCT = 1 << 14, 64
# One more than 2**31 holds.
N_LINES = (1 << 17) + N_DISTINCT
TESTED = [0, 1, 5000, WIDTH - 1]

linux = pytest.mark.skipif(sys.platform != "linux", reason="maps the same memory many times over")


@contextmanager
def repeated(values: np.ndarray, times: int) -> Iterator[np.ndarray]:
    """One array of so many copies of ``values`` on end, all in the same memory."""
    size = values.nbytes
    assert size % mmap.PAGESIZE == 0
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    file = os.memfd_create("values")
    os.write(file, values.tobytes())
    start = libc.mmap(None, size * times, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    fixed = 0x10
    for i in range(times):
        place = libc.mmap(start + i * size, size, mmap.PROT_READ, mmap.MAP_SHARED | fixed, file, 0)
        assert place == start + i * size, os.strerror(ctypes.get_errno())
    os.close(file)
    buffer = (ctypes.c_char * (size * times)).from_address(start)
    try:
        yield np.frombuffer(buffer, dtype=values.dtype)
    finally:
        libc.munmap(start, size * times)


def distinct_lines() -> np.ndarray:
    """Values of the lines that are repeated: lines x width, none of them 0."""
    rng = np.random.default_rng(0)
    return np.log1p(rng.poisson(3, (N_DISTINCT, WIDTH)) + 1).astype(np.float32)


def labels_of(n_cells: int) -> pd.DataFrame:
    labels = pd.Categorical(np.random.default_rng(1).choice(["a", "b", "c"], n_cells))
    return pd.DataFrame({"group": labels}, index=pd.RangeIndex(n_cells).astype(str))


@pytest.fixture
def parts_of_lines() -> Iterator[dict[str, np.ndarray]]:
    """Parts of a sparse matrix of 2**31 values and more, in a few megabytes."""
    lines = distinct_lines()
    times = N_LINES // N_DISTINCT
    columns = np.tile(np.arange(WIDTH, dtype=np.int32), (N_DISTINCT, 1))
    indptr = np.arange(N_LINES + 1, dtype=np.int64) * WIDTH
    assert indptr[-1] > 2**31
    with repeated(lines, times) as data, repeated(columns, times) as indices:
        yield {"data": data, "indices": indices, "indptr": indptr}


def check(ours: dict, values: np.ndarray, obs: pd.DataFrame, names: list[str], method: str) -> None:
    """Hold some genes, dense, against scipy."""
    for group in ("a", "b", "c"):
        table = by_gene(ours, group)
        inside = (obs["group"] == group).to_numpy()
        for j, name in enumerate(names):
            x, y = values[inside, j].astype(np.float64), values[~inside, j].astype(np.float64)
            if method == "wilcoxon":
                score, pval = plain_rank_sum(x, y, tie_correct=True, use_continuity=False)
            else:
                score, pval = stats.ttest_ind(x, y, equal_var=False)
            np.testing.assert_allclose(table.loc[name, "scores"], score, rtol=1e-6)
            np.testing.assert_allclose(table.loc[name, "pvals"], pval, rtol=1e-8)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_more_than_2_to_31_values_in_rows(parts_of_lines, method):
    matrix = sparse.csr_matrix((N_LINES, WIDTH), dtype=np.float32)
    for name, part in parts_of_lines.items():
        setattr(matrix, name, part)
    obs = labels_of(N_LINES)
    adata = ad.AnnData(obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(WIDTH)]))
    adata.X = matrix
    mask = np.isin(np.arange(WIDTH), TESTED)
    ours = by_scpdex(adata, "group", method=method, tie_correct=True, mask_var=mask)
    values = np.tile(distinct_lines()[:, TESTED], (N_LINES // N_DISTINCT, 1))
    check(ours, values, obs, [f"gene{j}" for j in TESTED], method)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_more_than_2_to_31_values_in_columns(parts_of_lines, method):
    matrix = sparse.csc_matrix((WIDTH, N_LINES), dtype=np.float32)
    for name, part in parts_of_lines.items():
        setattr(matrix, name, part)
    obs = labels_of(WIDTH)
    adata = ad.AnnData(obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(N_LINES)]))
    adata.X = matrix
    tested = [0, 7, N_LINES // 2 + 3, N_LINES - 1]
    mask = np.isin(np.arange(N_LINES), tested)
    ours = by_scpdex(adata, "group", method=method, tie_correct=True, mask_var=mask)
    check(ours, distinct_lines()[[j % N_DISTINCT for j in tested]].T, obs, [f"gene{j}" for j in tested], method)


@pytest.mark.slow
def test_more_than_2_to_31_values_in_a_file(tmp_path):
    """Rows of an HDF5 file, of which a small data set is all that is stored; those past 2**31 are ranked."""
    lines = distinct_lines()
    n_values = N_LINES * WIDTH
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["lines"] = lines.ravel()
        file["columns"] = np.tile(np.arange(WIDTH, dtype=np.int32), N_DISTINCT)
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (N_LINES, WIDTH)})
        x["indptr"] = np.arange(N_LINES + 1, dtype=np.int64) * WIDTH
        for name, of in (("data", "lines"), ("indices", "columns")):
            layout = h5py.VirtualLayout((n_values,), file[of].dtype)
            source = h5py.VirtualSource(file[of])
            for start in range(0, n_values, lines.size):
                layout[start : start + lines.size] = source
            x.create_virtual_dataset(name, layout)
    obs = labels_of(N_LINES)
    with h5py.File(tmp_path / "x.h5") as file:
        adata = ad.AnnData(obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(WIDTH)]))
        adata.X = sparse_dataset(file["X"])
        part = adata[-3000:]
        mask = np.isin(np.arange(WIDTH), TESTED)
        ranked = scpdex.tl.rank_genes_parallel(
            part, "group", method="wilcoxon", tie_correct=True, mask_var=mask, copy=True, max_memory="300MB"
        )
    rows = np.arange(N_LINES - 3000, N_LINES) % N_DISTINCT
    names = [f"gene{j}" for j in TESTED]
    check(ranked.uns["rank_genes_groups"], lines[rows][:, TESTED], obs.iloc[-3000:], names, "wilcoxon")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zeros", "counts", "logs", "all of one value"])
def test_ties_of_millions_of_cells(kind):
    """t**3 of a tie of 2.5 million cells is past 2**63."""
    n_cells, n_high = 3_000_000, 400_000
    rng = np.random.default_rng(2)
    group = rng.integers(0, 2, n_cells)
    values = np.zeros(n_cells, dtype=np.float32)
    values[:n_high] = 2 + group[:n_high] * rng.integers(0, 2, n_high)
    if kind in {"counts", "logs"}:
        values[n_high:] = 1
    if kind == "logs":
        values = np.log1p(values)
    if kind == "all of one value":
        values[:] = 1
    adata = ad.AnnData(sparse.csr_matrix(values[:, None]), obs=pd.DataFrame({"group": group}))
    result = by_scpdex(adata, "group", method="wilcoxon", tie_correct=True)
    z, p = exact_rank_sum(values, group)
    for name, sign in (("0", 1), ("1", -1)):
        np.testing.assert_allclose(result["scores"][name][0], sign * z, rtol=2e-7)
        np.testing.assert_allclose(result["pvals"][name][0], p, rtol=1e-8)


def exact_rank_sum(values: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """z and p of the first group in whole numbers without end, up to the last division."""
    n = values.size
    n1 = int((group == 0).sum())
    twice_u = below = cubes = 0
    for value in np.unique(values):
        tied = values == value
        t, t1 = int(tied.sum()), int((tied & (group == 0)).sum())
        twice_u += t1 * (2 * below + t)
        below += t
        cubes += t**3 - t
    twice_u -= n1 * n1
    if cubes == n**3 - n:
        return 0.0, 1.0
    n2 = n - n1
    difference = (twice_u - n1 * n2) / 2
    variance = n1 * n2 * (n + 1) * (n**3 - n - cubes) / (12 * (n**3 - n))
    z = difference / float(variance) ** 0.5
    return z, float(2 * stats.norm.sf(abs(z)))


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["uns", "varm"])
@pytest.mark.parametrize("reference", ["rest", "g00000"])
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_more_groups_than_16_bits_hold(method, reference, storage):
    n_groups = 70_000
    rng = np.random.default_rng(3)
    codes = rng.permutation(np.repeat(np.arange(n_groups), 2))
    values = np.log1p(rng.poisson(1, (codes.size, 2))).astype(np.float32)
    names = np.array([f"g{i:05}" for i in range(n_groups)])
    obs = pd.DataFrame({"group": pd.Categorical.from_codes(codes, names)}, index=pd.RangeIndex(codes.size).astype(str))
    adata = ad.AnnData(sparse.csr_matrix(values), obs=obs)
    arguments = {"method": method, "reference": reference, "tie_correct": True}
    verbosity, sc.settings.verbosity = sc.settings.verbosity, 0
    scpdex.tl.rank_genes_parallel(adata, "group", storage=storage, **arguments)
    some = [names[i] for i in (1, 255, 256, 32_768, 65_535, 65_536, 65_537, 69_999)]
    few = by_scpdex(ad.AnnData(values, obs=obs), "group", groups=some, **arguments)
    sc.settings.verbosity = verbosity
    result = adata.uns["rank_genes_groups"]
    for name in some:
        inside = codes == int(name[1:])
        other = ~inside if reference == "rest" else codes == 0
        for j in range(2):
            x, y = values[inside, j].astype(float), values[other, j].astype(float)
            if storage == "uns":
                found = by_gene(result, name).loc[str(j)]
                # The other groups are one pool there.
                rtol = 0 if method == "wilcoxon" else 1e-6
                np.testing.assert_allclose(found, by_gene(few, name).loc[str(j)], rtol=rtol)
            else:
                column = int(name[1:]) - (reference != "rest")
                found = {field: adata.varm[f"rank_genes_groups_{field}"][j, column] for field in ("scores", "pvals")}
            told = by_gene(few, name).loc[str(j), ["scores", "pvals"]]
            if method == "wilcoxon":
                told = plain_rank_sum(x, y, tie_correct=True, use_continuity=False)
            np.testing.assert_allclose([found["scores"], found["pvals"]], told, rtol=1e-6)


def test_two_cells_of_one_group():
    """The least that there can be: a group without a rest, and nothing to tell."""
    adata = ad.AnnData(np.array([[1.0], [2.0]]), obs=pd.DataFrame({"group": ["a", "a"]}, index=["0", "1"]))
    for method in ("wilcoxon", "t-test", "anderson", "brunner-munzel"):
        result = by_scpdex(adata, "group", method=method)
        assert result["scores"]["a"][0] == 0
        assert result["pvals"]["a"][0] == 1
        assert np.isnan(result["logfoldchanges"]["a"][0])


def test_one_group_and_cells_without_a_label():
    adata = ad.AnnData(np.arange(4.0)[:, None], obs=pd.DataFrame({"group": ["a", "a", None, None]}, index=list("0123")))
    result = by_scpdex(adata, "group", method="wilcoxon")
    z, p = plain_rank_sum(np.array([0.0, 1.0]), np.array([2.0, 3.0]), tie_correct=False, use_continuity=False)
    np.testing.assert_allclose([result["scores"]["a"][0], result["pvals"]["a"][0]], [z, p], rtol=1e-7)


def test_groups_of_every_number_of_bits(storage):
    """Codes pass from 8 to 16 bits with 256 groups, and each group is what it is by itself."""
    for n_groups in (2, 255, 256, 257):
        codes = np.repeat(np.arange(n_groups), 2)
        values = np.random.default_rng(4).poisson(1.0, (codes.size, 3)).astype(np.float32)
        adata = ad.AnnData(
            storage(values), obs=pd.DataFrame({"label": codes}, index=[str(i) for i in range(codes.size)])
        )
        result = by_scpdex(adata, "label", method="wilcoxon", tie_correct=True)
        for name in ("0", "1", str(n_groups - 1)):
            alone = by_scpdex(adata, "label", method="wilcoxon", tie_correct=True, groups=[name])
            assert by_gene(alone, name).equals(by_gene(result, name))
            inside = codes == int(name)
            for j in range(3):
                z, _ = plain_rank_sum(values[inside, j], values[~inside, j], tie_correct=True, use_continuity=False)
                np.testing.assert_allclose(by_gene(result, name).loc[str(j), "scores"], z, rtol=1e-6)
