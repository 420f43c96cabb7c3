"""Arguments of the drop-in for pdex 0.3: what it infers, refuses and says, and its data frames."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from storages import STORAGES
from stored import in_chunks, on_disk

import scpdex

STRINGS, NUMBERS = ["target", "feature"], ["target_membership", "ref_membership"]


def screen(values: np.ndarray | None = None, labels: str = "abab", **columns: list[object]) -> ad.AnnData:
    obs = pd.DataFrame({"label": [*labels], **columns}, index=[f"cell{i}" for i in range(len(labels))])
    values = np.arange(4.0 * len(labels)).reshape(-1, 4) % 7 if values is None else values
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=[f"g{j}" for j in range(values.shape[1])]))


def compare(adata: ad.AnnData, **arguments: object) -> pd.DataFrame:
    arguments = {"groupby": "label", "reference": "b", "as_pandas": True} | arguments
    if arguments.get("mode") == "all":
        del arguments["reference"]
    return scpdex.pdex(adata, **arguments)


@pytest.mark.parametrize("form", ["dense", "CSR", "CSC", "CSR on disk", "CSC on disk", "dense on disk", "dask"])
@pytest.mark.parametrize(("highest", "is_log1p"), [(19.99, True), (20.0, False)])
def test_looks_at_the_first_500_cells(tmp_path, messages, form, highest, is_log1p):
    """Of the object, labelled or not; later cells do not count, and neither does NaN in genes that are not compared."""
    values = np.ones((700, 3))
    values[499, 1], values[500, 1] = highest, 100
    adata = screen(values, "ab" * 350)
    adata.obs.loc["cell499", "label"] = np.nan
    kind, *place = form.split(" ", 1)
    if kind in {"CSR", "CSC"}:
        adata.X = STORAGES[f"scipy.sparse.{kind.lower()}_matrix"](values)
    if place:
        adata = on_disk(adata, tmp_path, "h5ad")
    if kind == "dask":
        adata = in_chunks(adata, 300, 2)
    table = compare(adata)
    said = messages()
    assert f"as with is_log1p={is_log1p}: the highest value of its first 500 cells is {highest:g}" in said
    assert "Pass is_log1p" in said
    pd.testing.assert_frame_equal(table, compare(adata, is_log1p=is_log1p))
    pd.testing.assert_frame_equal(compare(adata[::-1]), compare(adata[::-1], is_log1p=False))


def test_says_nothing_where_all_is_given(messages):
    compare(screen(), is_log1p=True)
    assert not messages()


def test_no_values(messages):
    """An empty sparse matrix is below 20."""
    adata = screen(np.zeros((4, 4)))
    adata.X = STORAGES["scipy.sparse.csr_matrix"](adata.X)
    table = compare(adata)
    assert "is_log1p=True" in messages()
    assert (table[["p_value", "fdr"]] == 1).all(axis=None)
    assert (table[["log2_fold_change", "percent_change"]] == 0).all(axis=None)


WRONG = [
    ({"mode": "rest"}, "mode='rest' is not known. Valid: 'ref', 'all', 'on_target'"),
    (
        {"groupby": "lable"},
        "groupby='lable' is not a column of adata.obs. Did you mean 'label'.* Valid: 'label', 'gene'",
    ),
    ({"groupby": ["label"]}, r"groupby=\['label'\] is not a column of adata.obs.* Valid: 'label', 'gene'"),
    ({"reference": None}, "reference=None is not valid with mode='ref'"),
    ({"mode": "on_target", "gene_col": "gene", "reference": None}, "reference=None is not valid"),
    ({"reference": "c"}, r"reference='c' labels no cell of adata.obs\['label'\]. Valid: 'a', 'b'"),
    ({"reference": ""}, "reference='' labels no cell"),
    ({"mode": "on_target"}, "needs gene_col.* Valid: 'label', 'gene'"),
    ({"mode": "on_target", "gene_col": "genes"}, "gene_col='genes' is not a column of adata.obs. Did you mean 'gene'"),
    ({"mode": "on_target", "gene_col": "gene"}, r"groups 'a' have several genes in adata.obs\['gene'\]"),
    ({"epsilon": -1e-9}, "epsilon=-1e-09 is not valid"),
    ({"epsilon": np.nan}, "epsilon=nan is not valid"),
    ({"epsilon": "1"}, "epsilon='1' is not valid"),
    ({"cpm_filter": "5"}, "cpm_filter='5' is not valid"),
    ({"cpm_filter": np.nan}, "cpm_filter=nan is not valid"),
    ({"is_log1p": "yes"}, "is_log1p='yes' is not valid"),
    ({"threads": -1}, "threads=-1 is not valid"),
    ({"threads": 1.5}, "threads=1.5 is not valid"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[str(wrong[0]) for wrong in WRONG])
def test_refused(wrong, message):
    adata = screen(gene=["g1", None, "g2", None])
    with pytest.raises(ValueError, match=message):
        compare(adata, **({"is_log1p": True} | wrong))


def test_columns_of_one_name():
    adata = screen(gene=["g1", None, "g1", None])
    adata.obs = adata.obs.rename(columns={"gene": "label"})
    with pytest.raises(ValueError, match=r"groupby='label' names 2 columns of adata\.obs"):
        compare(adata, is_log1p=True)


def test_infinite_counts(messages):
    """No warning but the one that says so, and no row has a share of them."""
    adata = screen(np.full((4, 4), 800.0))
    assert compare(adata, is_log1p=True, cpm_filter=5).empty
    assert "means and fold changes mean nothing" in messages()


def test_nothing_to_compare():
    adata = screen(labels="bbbb")
    with pytest.raises(ValueError, match="nothing to compare with reference='b'"):
        compare(adata, is_log1p=True)
    with pytest.raises(ValueError, match=r"mode='all' compares each group with the others.* has 1: 'b'"):
        compare(adata, is_log1p=True, mode="all")
    with pytest.raises(TypeError, match="pass an AnnData"):
        scpdex.pdex([adata], "label")


@pytest.mark.parametrize("labels", [[0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0], [True, False, True, False]], ids=str)
def test_missing_reference_of_labels_that_are_no_strings(labels):
    adata = screen()
    adata.obs["label"] = labels
    with pytest.raises(ValueError, match=r"reference='non-targeting' labels no cell.* Valid: "):
        scpdex.pdex(adata, "label", is_log1p=True)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"mode": "ref", "gene_col": "gene", "color": 1}, "'gene_col', 'color' have no effect.*'reference'"),
        ({"mode": "all", "reference": "b"}, "'reference' has no effect.*none"),
        ({"mode": "on_target", "gene_col": "gene", "color": 1}, "'color' has no effect.*'reference', 'gene_col'"),
    ],
    ids=str,
)
def test_arguments_without_effect(arguments, names):
    adata = screen(gene=["g1", None, "g1", None])
    keywords = {"reference": "b"} | arguments
    with pytest.warns(UserWarning, match=names) as warned:
        scpdex.pdex(adata, "label", is_log1p=True, as_pandas=True, **keywords)
    assert [warning.filename for warning in warned] == [__file__]


def test_genes_that_are_absent():
    """One warning names them; without any, the table has no row, and its columns as ever."""
    adata = screen(labels="abcabc", gene=["g1", None, "lost", "g1", None, "lost"])
    with pytest.warns(UserWarning, match=r"1 group is not in the table.*'c \(lost\)'") as warned:
        table = compare(adata, is_log1p=True, mode="on_target", gene_col="gene")
    assert [warning.filename for warning in warned] == [__file__]
    assert table[["target", "feature"]].to_numpy().tolist() == [["a", "g1"]]
    adata.obs["gene"] = pd.Series([None] * 6, index=adata.obs_names, dtype=object)
    empty = compare(adata, is_log1p=True, mode="on_target", gene_col="gene")
    assert empty.empty
    assert empty.dtypes.equals(table.dtypes)


def test_labels_that_are_genes():
    adata = screen(labels=["g0", "b", "g2", "b"])
    table = compare(adata, is_log1p=True, mode="on_target", gene_col="label")
    assert table["feature"].tolist() == ["g0", "g2"]


def test_only_compared_genes_must_be_finite():
    values = np.arange(16.0).reshape(4, 4) % 5
    values[:, 3] = np.nan
    adata = screen(values, gene=["g1", None, "g1", None])
    on_target = {"mode": "on_target", "gene_col": "gene", "is_log1p": True}
    assert np.isfinite(compare(adata, **on_target)["p_value"]).all()
    for arguments in ({"is_log1p": True}, {**on_target, "cpm_filter": 1.0}):
        with pytest.raises(ValueError, match=r"adata\.X holds 4 NaN or infinite values .* gene 'g3'"):
            compare(adata, **arguments)


@pytest.mark.parametrize("form", ["dense", "CSR", "disk", "dask"])
def test_filter_of_negative_values(tmp_path, form):
    values = np.arange(16.0).reshape(4, 4) % 5
    values[2, 3] = -0.5
    adata = screen(values)
    if form in {"CSR", "disk"}:
        adata.X = STORAGES["scipy.sparse.csr_matrix"](values)
    adata = on_disk(adata, tmp_path, "h5ad") if form == "disk" else adata
    adata = in_chunks(adata, 2, 3) if form == "dask" else adata
    with pytest.warns(UserWarning, match=r"adata\.X holds negative values, such as -0\.5") as warned:
        compare(adata, is_log1p=True, cpm_filter=1.0)
    assert [warning.filename for warning in warned] == [__file__]


def test_negative_sparse_values_are_ranked():
    values = np.array([[-1.0], [0], [-2], [3]])
    expected = compare(screen(values), is_log1p=True)
    for storage in STORAGES.values():
        pd.testing.assert_frame_equal(compare(screen(storage(values)), is_log1p=True), expected)
    assert expected["statistic"].tolist() == [0]


def test_polars():
    """By default; strings, Int64 and Float64, of float32 too."""
    pl = pytest.importorskip("polars")
    adata = screen()
    adata.X = adata.X.astype(np.float32)
    table = scpdex.pdex(adata, "label", reference="b", is_log1p=True)
    expected = compare(adata, is_log1p=True)
    types = dict.fromkeys(expected.columns, pl.Float64)
    assert table.schema == types | dict.fromkeys(STRINGS, pl.String) | dict.fromkeys(NUMBERS, pl.Int64)
    for name in expected.columns:
        assert table[name].to_list() == expected[name].tolist()
    adata.obs["label"] = [0, 1, 0, 1]
    assert scpdex.pdex(adata, "label", reference=1, is_log1p=True).schema["target"] == pl.Int64
    pd.testing.assert_frame_equal(
        compare(adata, reference="1", is_log1p=True), compare(adata, reference=1, is_log1p=True)
    )


def test_polars_is_named_where_it_is_missing(monkeypatch):
    """Before any work; pandas needs none."""
    monkeypatch.setattr("scpdex.results._data_frames.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"polars.*scpdex\[polars\].*as_pandas=True"):
        scpdex.pdex(screen(), "nothing")
    assert len(compare(screen(), is_log1p=True)) == 4


def test_object_is_not_changed():
    adata = screen(gene=["g1", None, "g1", None])
    before = adata.copy()
    for arguments in ({}, {"mode": "all"}, {"mode": "on_target", "gene_col": "gene"}):
        compare(adata, **arguments)
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    np.testing.assert_array_equal(adata.X, before.X)
    assert not adata.uns


def test_threads(monkeypatch):
    """All cores, or as many as there are at most."""
    from scpdex.compat._pdex_0_3_arguments import limit_threads

    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    assert [limit_threads(n) for n in (0, 1, 4, 9)] == [None, 1, 4, 4]
