"""Awkward inputs that other tools get wrong, each with its row of the list of promises in docs/conventions.md."""

import warnings
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from oracles import SCANPY_TESTS, assert_same_bits, assert_same_numbers, by_gene, by_scanpy, by_scpdex, plain_rank_sum
from scipy import sparse

import scpdex
from scpdex.results._write_result import as_records

TESTS = ["wilcoxon", "t-test", "t-test_overestim_var"]


def small(values: Any, labels: Any) -> ad.AnnData:
    """Object with the labels in obs["label"]."""
    n_cells, n_genes = values.shape
    obs = pd.DataFrame({"label": labels}, index=[f"cell{i}" for i in range(n_cells)])
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(n_genes)]))


def tied(n_cells: int = 60, n_genes: int = 12, seed: int = 0) -> np.ndarray:
    """Float32 values with many ties and zeros."""
    rng = np.random.default_rng(seed)
    return np.log1p(rng.poisson(0.8, (n_cells, n_genes))).astype(np.float32)


def three(n_cells: int = 60) -> pd.Categorical:
    return pd.Categorical(np.resize(["a", "b", "c", "a"], n_cells))


@pytest.mark.parametrize("sparse_format", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_explicit_zeros(reference, method, sparse_format):
    """Row 2: stored zeros are zeros, in pts as well, and stay in X."""
    values = tied()
    matrix = getattr(sparse, sparse_format)(np.where(values == 0, 1, values))
    matrix.data[values[matrix.nonzero()] == 0 if matrix.format == "csr" else values.T[matrix.T.nonzero()] == 0] = 0
    np.testing.assert_array_equal(matrix.toarray(), values)
    before = matrix.copy()
    adata = small(matrix, three())
    arguments = {"method": method, "reference": reference, "tie_correct": True, "pts": True}
    scpdex.tl.rank_genes_parallel(adata, "label", **arguments)
    assert_same_bits(adata.uns["rank_genes_groups"], by_scpdex(small(values, three()), "label", **arguments))
    assert adata.X.nnz == values.size
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(adata.X, part), getattr(before, part))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", [*TESTS, "logreg"])
def test_not_finite(storage, method, bad):
    """Row 3: one error that names the first gene and counts; uns untouched."""
    values = tied().astype(np.float64)
    values[3, 7] = values[8, 4] = values[9, 4] = bad
    adata = small(storage(values), three())
    with pytest.raises(ValueError, match=r"adata\.X holds 3 NaN or infinite values.*'gene4'"):
        scpdex.tl.rank_genes_parallel(adata, "label", method=method)
    assert "rank_genes_groups" not in adata.uns


def test_not_finite_elsewhere(storage):
    """Row 3: cells that are not compared and genes that are not tested may hold anything."""
    values = tied().astype(np.float64)
    clean = by_scpdex(small(values, three()), "label", method="wilcoxon", groups=["a"], reference="b", mask_var=None)
    values[three() == "c", 2] = np.nan
    ours = by_scpdex(small(storage(values), three()), "label", method="wilcoxon", groups=["a"], reference="b")
    assert_same_bits(ours, clean)
    mask = np.arange(12) != 2
    by_scpdex(small(storage(values), three()), "label", method="t-test", mask_var=mask)
    with pytest.raises(ValueError, match=r"15 NaN or infinite values.*'gene2'"):
        by_scpdex(small(storage(values), three()), "label", method="t-test")


@pytest.mark.parametrize("use_continuity", [False, True], ids=["", "continuity"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_negative_values(storage, reference, use_continuity):
    """Row 4: implicit zeros are ranked between negative and positive values."""
    values = np.round(np.random.default_rng(1).normal(size=(60, 12)), 0)
    labels = three()
    options = {"tie_correct": True, "use_continuity": use_continuity}
    result = by_scpdex(small(storage(values), labels), "label", method="wilcoxon", reference=reference, **options)
    for group in result["names"].dtype.names:
        other = labels != group if reference == "rest" else labels == reference
        expected = [plain_rank_sum(values[labels == group, j], values[other, j], **options) for j in range(12)]
        ours = by_gene(result, group).loc[[f"gene{j}" for j in range(12)]]
        np.testing.assert_allclose(ours["pvals"], [p for _, p in expected], rtol=1e-10)


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("sparse_format", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_unsorted_and_repeated_indices(sparse_format, method):
    """Row 5: the numbers of the canonical matrix; X untouched."""
    rng = np.random.default_rng(3)
    major, minor = (60, 12) if sparse_format.startswith("csr") else (12, 60)
    indptr = np.arange(0, major * 8 + 1, 8)
    indices = rng.integers(0, minor, major * 8)
    data = rng.choice([0.5, 1, 2], major * 8)
    matrix = getattr(sparse, sparse_format)((data, indices, indptr), shape=(60, 12))
    adata = small(matrix, three())
    canonical = matrix.copy()
    canonical.sum_duplicates()
    assert canonical.nnz < matrix.nnz
    arguments = {"method": method, "tie_correct": True, "pts": True}
    scpdex.tl.rank_genes_parallel(adata, "label", **arguments)
    assert_same_bits(adata.uns["rank_genes_groups"], by_scpdex(small(canonical, three()), "label", **arguments))
    np.testing.assert_array_equal(adata.X.data, data)
    np.testing.assert_array_equal(adata.X.indices, indices)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("fault", ["unsorted", "repeated"])
@pytest.mark.parametrize("sparse_format", ["csr", "csc"])
def test_indices_of_the_last_row_or_column(sparse_format, fault, n_jobs):
    """Row 5: one that is unsorted, or has an index twice and in order, is noticed by whichever thread looks at it."""
    matrix = sparse.csr_matrix(tied()).asformat(sparse_format)
    indices = matrix.indices.copy()
    last = indices[matrix.indptr[-2] :]
    assert last.size > 2
    last[:] = last[::-1].copy() if fault == "unsorted" else [last[0], *last[:-1]]
    adata = small(type(matrix)((matrix.data, indices, matrix.indptr), shape=matrix.shape), three())
    arguments = {"method": "wilcoxon", "tie_correct": True, "pts": True}
    expected = by_scpdex(small(adata.X.toarray(), three()), "label", **arguments)
    assert_same_bits(by_scpdex(adata, "label", n_jobs=n_jobs, gene_chunk_size=5, **arguments), expected)


@pytest.mark.parametrize("method", SCANPY_TESTS)
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_nan_labels(method, reference):
    """Row 6: cells without a label are part of the rest, as in scanpy, and of nothing else."""
    labels = pd.Categorical(np.resize(["a", "b", None, "c", "a"], 60))
    adata = small(tied(), labels)
    arguments = {"method": method, "reference": reference, "pts": True}
    assert_same_numbers(by_scpdex(adata, "label", **arguments), by_scanpy(adata, "label", **arguments))


@pytest.mark.parametrize("method", [*TESTS, "logreg"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_unused_category(method, reference):
    """Row 7: a category without cells is not there."""
    with_unused = three().add_categories(["unused", "A"])
    ours = by_scpdex(small(tied(), with_unused), "label", method=method, reference=reference)
    assert_same_bits(ours, by_scpdex(small(tied(), three()), "label", method=method, reference=reference))


def test_group_of_one_cell():
    """Row 8: refused by name, as in scanpy; not when it is not asked for."""
    labels = ["a"] * 30 + ["b"] * 29 + ["single"]
    adata = small(tied(), labels)
    with pytest.raises(ValueError, match=r"'single' of 'label' since they only contain one sample"):
        scpdex.tl.rank_genes_parallel(adata, "label")
    with pytest.raises(ValueError, match="only contain one sample"):
        scpdex.tl.rank_genes_parallel(adata, "label", groups=["a"], reference="single")
    result = by_scpdex(adata, "label", groups=["a", "b"], method="wilcoxon")
    assert result["names"].dtype.names == ("a", "b")


LABELS = {
    "int": ([2, 10, 1], int),
    "numpy int": (np.array([2, 10, 1]), int),
    "bool": ([True, False], bool),
    "str": (["2", "10", "1"], str),
    "categorical of int": (pd.Categorical([10, 2, 1], categories=[10, 2, 1]), int),
    "categorical of str": (pd.Categorical(["2", "10", "1"], categories=["10", "1", "2"]), str),
    "float": ([2.5, 0.5], float),
    "pyarrow str": (["2", "10", "1"], str),
}


@pytest.mark.parametrize("kind", LABELS)
def test_kinds_of_labels(kind):
    """Row 9: all rank, in scanpy's order, under the names str(label); labels and spellings both name groups."""
    labels, type_ = LABELS[kind]
    if isinstance(labels, pd.Categorical):
        column = pd.Categorical.from_codes(np.resize(labels.codes, 60), dtype=labels.dtype)
        names = [str(label) for label in labels.categories]
    else:
        column = np.resize(labels, 60)
        names = [str(label) for label in sorted(set(np.array(labels).tolist()), key=float)]
        if kind == "pyarrow str":
            pytest.importorskip("pyarrow")
            column = pd.array(column, dtype="string[pyarrow]")
    adata = small(tied(), column)
    before = adata.obs[["label"]].copy()
    if type_ is str:
        adata.strings_to_categoricals(before)
    result = by_scpdex(adata, "label", method="wilcoxon")
    assert list(result["names"].dtype.names) == names
    pd.testing.assert_frame_equal(adata.obs[["label"]], before)

    as_str = small(tied(), pd.Categorical(np.array([str(x) for x in column]), categories=names))
    if type_ is not float:
        assert_same_numbers(result, by_scanpy(as_str, "label", method="wilcoxon"))
    label = adata.obs["label"].iloc[0]
    spelt = by_scpdex(adata, "label", method="wilcoxon", reference=str(label), groups=[names[0], names[1]])
    assert spelt["params"]["reference"] == str(label)
    assert_same_bits(
        spelt,
        by_scpdex(adata, "label", method="wilcoxon", reference=label, groups=[type_(x) for x in names[:2]])
        if type_ is not bool
        else spelt,
    )


def test_groups_given_as_integers():
    """Row 9: groups=[0], reference=0 and "0" mean the group named 0."""
    adata = small(tied(), pd.Categorical(np.resize(["0", "1", "2"], 60)))
    expected = by_scpdex(adata, "label", groups=["0"], reference="1")
    for groups, reference in [([0], 1), ([np.int64(0)], "1"), (["0"], np.int32(1))]:
        assert_same_bits(by_scpdex(adata, "label", groups=groups, reference=reference), expected)


def test_numbers_that_missing_labels_made_floats():
    """Row 9: integers with a gap are floats to pandas; 1 still names them, by value."""
    adata = small(tied(), np.resize([0, 1, 2, np.nan], 60))
    result = by_scpdex(adata, "label", groups=[0, np.int64(1)], reference=2)
    assert result["names"].dtype.names == ("0.0", "1.0")
    assert result["params"]["reference"] == "2.0"


def test_one_and_true_are_two_labels():
    """Row 9: pandas takes 1 and True for the same; their cells do not meet here."""
    labels = pd.Series(np.resize(np.array([1, True, "x", 2.5], dtype=object), 60), dtype=object).to_numpy()
    result = by_scpdex(small(tied(), labels), "label", method="wilcoxon")
    assert set(result["names"].dtype.names) == {"1", "True", "x", "2.5"}
    spelt = by_scpdex(small(tied(), np.array([str(x) for x in labels])), "label", method="wilcoxon")
    for name in spelt["pvals"].dtype.names:
        np.testing.assert_array_equal(result["pvals"][name], spelt["pvals"][name])


def test_two_labels_of_one_spelling():
    """Row 9: 0 and "0" in one column are refused."""
    adata = small(tied(), pd.Series(np.resize([0, 1], 60), dtype=object).replace({1: "0"}).to_numpy())
    with pytest.raises(ValueError, match=r"two labels that are both spelt '0': 0 \(int\) and '0' \(str\)"):
        scpdex.tl.rank_genes_parallel(adata, "label")


@pytest.mark.parametrize("name", ["T/NK", "with space", "ünïcödé 細胞", "", "_index", "rest of it"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_odd_group_names(tmp_path, messages, name, reference):
    """Row 10: any name ranks; one message names those that cannot be written, most of them with pts only."""
    adata = small(tied(), pd.Categorical(np.resize([name, "b", "c"], 60)))
    scpdex.tl.rank_genes_parallel(adata, "label", reference=reference)
    result = adata.uns["rank_genes_groups"]
    assert name in result["names"].dtype.names
    ordinary = small(tied(), np.resize(["ordinary", "b", "c"], 60))
    expected = by_scpdex(ordinary, "label", reference=reference)
    np.testing.assert_array_equal(result["pvals"][name], expected["pvals"]["ordinary"])
    # Records without a name for a field come back with another.
    records = f"groups {name!r} name fields of records"
    assert messages().count(records) == (name == "")
    if name:
        adata.write_h5ad(tmp_path / "x.h5ad")
        written = ad.read_h5ad(tmp_path / "x.h5ad").uns["rank_genes_groups"]
        np.testing.assert_array_equal(written["pvals"][name], result["pvals"][name])
    scpdex.tl.rank_genes_parallel(adata, "label", reference=reference, pts=True)
    told = messages()
    assert told.count(f"groups {name!r} name columns of `pts`") == (name in {"T/NK", "_index"})
    assert told.count(records) == (name == "")
    assert adata.uns["rank_genes_groups"]["pts"][name].between(0, 1).all()


def test_tie_correction_is_off_by_default():
    """Row 11: scanpy's default, and what the switch does to a sparse gene."""
    values = np.zeros((60, 1))
    values[:6] = 1
    adata = small(values, np.repeat(["a", "b"], 30))
    default, corrected = (by_scpdex(adata, "label", method="wilcoxon", tie_correct=t)["pvals"]["a"][0] for t in (0, 1))
    assert default == by_scanpy(adata, "label", method="wilcoxon")["pvals"]["a"][0]
    assert default > 0.1
    assert corrected < 0.02


@pytest.mark.parametrize("log1p", [{}, {"base": None}, {"base": 2}])
def test_base_of_the_logarithm(log1p):
    """Row 12: uns["log1p"]["base"] is honoured, and may be missing."""
    adata = small(tied(), three())
    adata.uns["log1p"] = log1p
    assert_same_numbers(by_scpdex(adata, "label", method="wilcoxon"), by_scanpy(adata, "label", method="wilcoxon"))


def test_data_that_is_not_log1p(messages):
    """Row 13: NaN fold changes only where undefined, and one message."""
    values = np.random.default_rng(0).normal(size=(60, 12))
    adata = small(values, three())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = by_scpdex(adata, "label", method="wilcoxon")
    told = messages()
    assert told.count("log fold changes are undefined") == 1
    scanpys = by_scanpy(adata, "label", method="wilcoxon")
    assert_same_numbers(result, scanpys)
    assert np.isnan(result["logfoldchanges"]["a"]).any()
    assert not np.isnan(result["logfoldchanges"]["a"]).all()


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("value", [0.0, 0.1, 3.0, -1 / 3])
def test_constant_gene(storage, method, reference, value):
    """Row 15: score 0, p 1, finite adjusted p."""
    values = tied().astype(np.float64)
    values[:, [0, 5]] = value
    result = by_scpdex(small(storage(values), three()), "label", method=method, reference=reference, tie_correct=True)
    for group in result["names"].dtype.names:
        ours = by_gene(result, group)
        np.testing.assert_array_equal(ours.loc[["gene0", "gene5"], ["scores", "pvals", "pvals_adj"]], [[0, 1, 1]] * 2)
        assert np.isfinite(ours[["scores", "pvals", "pvals_adj"]]).all().all()


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize(
    ("genes", "pairs", "least_bytes"), [(1, 1, 1), (5, 7, 1 << 20), (7, 1 << 20, 2000), (1000, 40, 1)]
)
def test_block_sizes(monkeypatch, storage, method, reference, genes, pairs, least_bytes):
    """Row 16: the same bits for every size of blocks, a last shorter one and one beyond the matrix included."""
    adata = small(storage(tied()), three())
    arguments = {"method": method, "reference": reference, "tie_correct": True, "pts": True}
    expected = by_scpdex(adata, "label", n_jobs=1, **arguments)
    monkeypatch.setattr("scpdex.plan.plan.GENES_PER_BLOCK", genes)
    monkeypatch.setattr("scpdex.plan.make_plan.PAIRS_PER_TILE", pairs)
    monkeypatch.setattr("scpdex.plan.make_plan.LEAST_BYTES", least_bytes)
    monkeypatch.setattr("scpdex.plan.make_plan.LEAST_EFFORT_PER_THREAD", 1)
    for n_jobs in (1, 2, 3, 30):
        assert_same_bits(by_scpdex(adata, "label", n_jobs=n_jobs, **arguments), expected)


def test_no_mask_per_group():
    """Row 18: 2,000 groups of 2 cells cost no 2,000 masks of 4,000 cells."""
    import tracemalloc

    n_groups = 2000
    adata = small(tied(2 * n_groups, 4), np.arange(2 * n_groups) % n_groups)
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon")
    tracemalloc.start()
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(adata.uns["rank_genes_groups"]["names"].dtype.names) == n_groups
    assert peak < n_groups * 2 * n_groups


@pytest.mark.filterwarnings("ignore:\\s*AnnData expects .var.index to contain strings:UserWarning")
@pytest.mark.parametrize("dtype", ["string[python]", "string[pyarrow]", "category", "object"])
def test_string_dtypes(dtype):
    """Row 19: names are plain str in object arrays for every dtype of strings that pandas has."""
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    adata = small(tied(), pd.array(np.resize(["a", "b"], 60).astype(object), dtype=dtype))
    adata.var_names = pd.Index([f"gene{j}" for j in range(12)], dtype=dtype)
    result = by_scpdex(adata, "label", method="wilcoxon", pts=True)
    assert result["names"].dtype["a"].kind == "O"
    assert all(type(name) is str for name in result["names"]["a"])
    assert all(type(name) is str for name in result["names"].dtype.names)
    sc.get.rank_genes_groups_df(ad.AnnData(uns={"rank_genes_groups": result}, obs=adata.obs), "a")


def test_duplicate_gene_names():
    """Row 20: allowed, and results follow position."""
    adata = small(tied(), three())
    expected = by_scpdex(adata, "label", method="wilcoxon")
    adata.var_names = ["same"] * 12
    result = by_scpdex(adata, "label", method="wilcoxon")
    assert (result["names"]["a"] == "same").all()
    np.testing.assert_array_equal(result["scores"]["a"], expected["scores"]["a"])


VIEWS = {
    "slice": (slice(4, 50), slice(2, 9)),
    "steps": (slice(None, None, 2), slice(None, None, 3)),
    "mask": (np.arange(60) % 3 > 0, np.arange(12) % 2 == 0),
    "order": (np.random.default_rng(0).permutation(60)[:50], [5, 1, 9]),
    "repeats": ([*range(60), 3, 3, 8], slice(None)),
    "genes by name": (slice(None), ["gene7", "gene2", "gene11"]),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("method", [*TESTS, "logreg"])
def test_views(monkeypatch, storage, view, method):
    """Row 21: a view gives the bits of its copy, without its matrix being made."""
    adata = small(storage(tied()), three())
    adata.layers["other"] = storage(tied(seed=1))
    part = adata[view]
    expected = {layer: by_scpdex(part.copy(), "label", method=method, layer=layer) for layer in (None, "other")}
    stored: dict[str, Any] = {}

    def keep(_adata: Any, results: Any, *_: Any, var_names: Any, **__: Any) -> None:
        stored.update(as_records(*results.values(), var_names))

    monkeypatch.setattr("scpdex.tl._rank_genes_parallel.store", keep)
    monkeypatch.setattr(ad.AnnData, "copy", _refuse_to_copy)
    monkeypatch.setattr("anndata._core.anndata._subset", _refuse_to_copy)
    for layer, of_copy in expected.items():
        scpdex.tl.rank_genes_parallel(part, "label", method=method, layer=layer)
        assert_same_bits(stored, of_copy)
    assert part.is_view


def _refuse_to_copy(*_args: Any) -> None:
    msg = "the matrix was copied"
    raise AssertionError(msg)


def test_view_becomes_an_object_of_its_own():
    """Row 21: as in scanpy, storing the result makes the view an object, and leaves the parent as it was."""
    adata = small(tied(), three())
    view = adata[:40]
    scpdex.tl.rank_genes_parallel(view, "label")
    assert not view.is_view
    assert "rank_genes_groups" in view.uns
    assert "rank_genes_groups" not in adata.uns


def test_view_of_raw():
    """Row 21: raw follows the cells of a view and keeps all its genes."""
    adata = sc.datasets.pbmc68k_reduced()
    view = adata[100:600, :50]
    arguments = {"method": "wilcoxon", "reference": "Dendritic"}
    result = by_scpdex(view, "bulk_labels", **arguments)
    assert result["names"].shape == (adata.raw.n_vars,)
    assert_same_numbers(result, by_scanpy(view, "bulk_labels", **arguments))


@pytest.mark.parametrize(
    "dtype", ["bool", "float16", ">f8", "<f2", "longdouble", "complex64", "object", "datetime64[s]"]
)
def test_dtypes(dtype):
    """Row 22: works, or is a TypeError at the start. (The other dtypes are held against scanpy.)"""
    values = tied().astype(dtype)
    adata = small(np.zeros((60, 12)), three())
    adata.layers["x"] = values
    if dtype in {"longdouble", "complex64", "object", "datetime64[s]"}:
        with pytest.raises(TypeError, match=r"adata\.layers\['x'\] has dtype .* floats of up to 64 bits can be ranked"):
            scpdex.tl.rank_genes_parallel(adata, "label", layer="x")
    else:
        expected = by_scpdex(small(values.astype(np.float64), three()), "label", method="wilcoxon", tie_correct=True)
        assert_same_numbers(by_scpdex(adata, "label", layer="x", method="wilcoxon", tie_correct=True), expected)


def test_integers_beyond_float64():
    """Row 22: integers that float64 cannot tell apart are refused rather than tied."""
    adata = small(np.arange(720).reshape(60, 12) + (1 << 53), three())
    with pytest.raises(ValueError, match="2\\*\\*53"):
        scpdex.tl.rank_genes_parallel(adata, "label")


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_np_matrix():
    """Row 22: np.matrix ranks like the array that it is."""
    adata = small(np.zeros((60, 12)), three())
    adata.layers["x"] = tied()
    expected = by_scpdex(adata, "label", layer="x", method="wilcoxon")
    adata.layers._data["x"] = np.matrix(tied())
    scpdex.tl.rank_genes_parallel(adata, "label", layer="x", method="wilcoxon")
    for field in ("names", "scores", "pvals"):
        np.testing.assert_array_equal(adata.uns["rank_genes_groups"][field], expected[field])


@pytest.mark.parametrize("kind", [sparse.coo_matrix, sparse.lil_matrix, np.ma.masked_array, list])
def test_other_kinds_of_matrix(monkeypatch, kind):
    """Row 22: a TypeError at the start that says what to do."""
    adata = small(tied(), three())
    monkeypatch.setattr(ad.AnnData, "X", kind(tied()))
    with pytest.raises(TypeError, match="convert it to a numpy array or to a scipy CSR or CSC matrix"):
        scpdex.tl.rank_genes_parallel(adata, "label")
