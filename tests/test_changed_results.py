"""Results that came back changed: through R and other converters, from concat, with genes of one name."""

from collections import OrderedDict, UserDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from stored import labelled, values_of

import scpdex
from scpdex.get import rank_genes_df

KEY = "rank_genes_groups"


def ranked(storage: str = "uns", **arguments: Any) -> ad.AnnData:
    adata = labelled(values_of("float32"))
    arguments = {"method": "wilcoxon", "pts": True, "storage": storage} | arguments
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    return adata


def as_frame(records: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(records, index=[str(i + 1) for i in range(len(records))])


def as_factors(records: np.ndarray) -> pd.DataFrame:
    frame = as_frame(records)
    return frame.astype("category") if records.dtype[0].kind == "O" else frame.astype(float)


def as_mapping(records: np.ndarray) -> dict[str, list[Any]]:
    return {name: records[name].tolist() for name in records.dtype.names}


def as_plain_records(records: np.ndarray) -> np.ndarray:
    return records.view(np.ndarray)


def as_bytes(records: np.ndarray) -> np.ndarray:
    if records.dtype[0].kind != "O":
        return records
    return records.astype([(name, "S10") for name in records.dtype.names])


def in_arrays(params: Mapping[str, Any]) -> dict[str, Any]:
    """Values as R has them: all are vectors, and NULL is an empty one."""
    return {name: np.array([] if value is None else [value]) for name, value in params.items()}


def in_lists(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [value] for name, value in params.items() if value is not None}


def changed(
    adata: ad.AnnData, records: Callable[..., Any], params: Callable[..., Any], kind: Callable[..., Any]
) -> None:
    """Change every result in place."""
    for key, entry in list(adata.uns.items()):
        new = {
            name: records(value) if isinstance(value, np.ndarray) and value.dtype.names else value
            for name, value in entry.items()
            if name != "params"
        }
        adata.uns[key] = kind({"params": params(entry["params"])} | new)


RECORDS = [as_frame, as_factors, as_mapping, as_plain_records, as_bytes]
PARAMS = [dict, in_arrays, in_lists, OrderedDict, MappingProxyType]
KINDS = [dict, OrderedDict, UserDict, MappingProxyType]


@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("params", PARAMS)
def test_records_and_parameters(records: Callable[..., Any], params: Callable[..., Any]) -> None:
    """Row 38: tables of all that converters make of a result in scanpy's layout."""
    for kind, arguments in zip(
        KINDS, ({}, {"reference": "b"}, {"n_genes": 5}, {"method": "logreg", "pts": False}), strict=True
    ):
        adata = ranked(**arguments)
        expected = rank_genes_df(adata)
        changed(adata, records, params, kind)
        pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_dtype=False, check_exact=True)
        table = rank_genes_df(adata, ["c", "a"])
        assert table["group"].cat.categories.tolist() == ["c", "a"]
        scpdex.tl.rank_genes_to_varm(adata)
        if "n_genes" not in arguments:
            pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_dtype=False, check_exact=True)
        scpdex.tl.rank_genes_to_uns(adata)
        pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("params", PARAMS)
def test_matrices_and_levels(params: Callable[..., Any]) -> None:
    """Row 38: lists of one name that became text, ranks that became floats, matrices that became data frames."""
    adata = labelled(values_of("float32"))
    adata.obs["level"] = np.where(adata.obs["group"].isin(["a", "b"]), "only", "other")
    adata = adata[adata.obs["level"] == "only"].copy()
    arguments = {"split_by": "level", "reference": "b", "pts": True, "storage": "varm"}
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    expected = rank_genes_df(adata)
    changed(adata, lambda value: value, params, dict)
    adata.uns[KEY] |= {"splits": "only", "groups": "a"}
    adata.uns[f"{KEY}_only"] |= {"groups": "a", "pts_groups": pd.Series(["a", "b"])}
    del adata.uns[f"{KEY}_only"]["fields"]
    ranks = f"{KEY}_only_ranks"
    adata.varm[ranks] = np.where(adata.varm[ranks] < 0, np.nan, adata.varm[ranks])
    adata.varm[f"{KEY}_only_pvals"] = pd.DataFrame(adata.varm[f"{KEY}_only_pvals"], index=adata.var_names)
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)


def test_raw_without_the_parameters() -> None:
    """Row 38: the names of the genes say whether raw was ranked."""
    adata = labelled(values_of("float32"))
    adata.raw = adata.copy()
    adata.raw.var["symbol"] = [f"S{j}" for j in range(adata.n_vars)]
    adata = adata[:, 5:20].copy()
    sc.tl.rank_genes_groups(adata, "group", method="wilcoxon", pts=True)
    expected = rank_genes_df(adata, gene_symbols="symbol", order="gene")
    for use_raw in ("TRUE", np.array([True]), np.array(["True"], dtype=object)):
        adata.uns[KEY]["params"]["use_raw"] = use_raw
        pd.testing.assert_frame_equal(rank_genes_df(adata, gene_symbols="symbol", order="gene"), expected)
    del adata.uns[KEY]["params"]
    pd.testing.assert_frame_equal(rank_genes_df(adata, gene_symbols="symbol", order="gene"), expected)
    with pytest.raises(KeyError, match=r"lacks params\['groupby'\]"):
        rank_genes_df(adata, on_target="group")


@pytest.mark.parametrize("field", ["scores", "logfoldchanges", "pvals", "pvals_adj", "pts", "pts_rest", "params"])
def test_fields_that_vanished(field: str) -> None:
    """Row 38: the others are read; what needs it says so."""
    adata = ranked()
    expected = rank_genes_df(adata).drop(
        columns={"pts": "pct_nz_group", "pts_rest": "pct_nz_reference"}.get(field, field), errors="ignore"
    )
    del adata.uns[KEY][field]
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)
    if field == "pvals_adj":
        with pytest.raises(ValueError, match="filters by pvals_adj"):
            rank_genes_df(adata, pval_cutoff=0.05)


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_without_names(storage: str) -> None:
    """Row 38: the message names the missing field, and does not list this entry among the results."""
    adata = ranked(storage, pts=False)
    needed = "names" if storage == "uns" else "groups"
    del adata.uns[KEY][needed]
    calls = (rank_genes_df, scpdex.tl.rank_genes_to_varm, scpdex.tl.rank_genes_to_uns)
    for call in calls[: 1 if storage == "varm" else 3]:
        with pytest.raises(KeyError, match=rf"the field '{needed}' is missing.*Results: none") as refused:
            call(adata)
        assert "Rank again" in str(refused.value)
    # Ranking again works over what is left.
    scpdex.tl.rank_genes_parallel(adata, "group", storage=storage)
    assert len(rank_genes_df(adata)) == 5 * adata.n_vars
    adata.uns[KEY] = {"params": {}}
    with pytest.raises(KeyError, match="the field 'names' is missing"):
        rank_genes_df(adata)


@pytest.mark.parametrize("names", [np.array([["g", "h"]]), ["g"], "text", None, pd.DataFrame(), 5], ids=repr)
def test_names_that_are_no_records(names: Any) -> None:
    adata = ranked()
    adata.uns[KEY]["names"] = names
    with pytest.raises(KeyError, match=r"\['names'\] is a .* without a column for each group"):
        rank_genes_df(adata)


def test_fields_that_do_not_fit(messages: Callable[[], str]) -> None:
    """Row 38: fields of another result, or that cannot be numbers, are left out, and one message names them."""
    adata = ranked()
    expected = rank_genes_df(adata)[["group", "names", "logfoldchanges", "pct_nz_reference"]]
    entry = adata.uns[KEY]
    entry["scores"] = entry["scores"][:3]
    entry["pvals"] = pd.DataFrame({"x": [1.0] * adata.n_vars})
    entry["pvals_adj"] = as_frame(entry["pvals_adj"]).astype(str) + "?"
    entry["pts"] = entry["pts"].iloc[:, :2]
    messages()
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)
    said = messages()
    assert said.count("WARNING") == 1
    assert "'pts', 'pvals', 'pvals_adj', 'scores' of adata.uns['rank_genes_groups'] do not fit" in said


@pytest.mark.parametrize("how", ["same", "unique", "first", "only"])
def test_concat(how: str) -> None:
    """Row 38: of objects with the same result, with different ones, and of one that has none."""
    adata = ranked()
    other = labelled(values_of("float32", seed=1))
    other.obs["other"] = other.obs["group"]
    results = {"same": ranked(), "none": other, "different": other.copy()}
    sc.tl.rank_genes_groups(results["different"], "other", method="t-test")
    expected = rank_genes_df(adata)
    for name, second in results.items():
        joined = ad.concat([adata, second], uns_merge=how, index_unique="-")
        whole = how == "first" or (name == "same" and how != "only") or (name == "none" and how in {"unique", "only"})
        if whole:
            pd.testing.assert_frame_equal(rank_genes_df(joined), expected, check_exact=True)
            continue
        missing = "the field 'names' is missing" if joined.uns.get(KEY) else "holds no ranked genes"
        with pytest.raises(KeyError, match=missing):
            rank_genes_df(joined)


def test_rows_that_lost_their_names() -> None:
    """Row 38: rows of fractions are in the order of the tested genes, where there are as many as var has."""
    adata = ranked(reference="b")
    expected = rank_genes_df(adata)
    adata.uns[KEY]["pts"] = adata.uns[KEY]["pts"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)
    adata.uns[KEY]["pts"] = adata.uns[KEY]["pts"].iloc[1:]
    assert "pct_nz_group" not in rank_genes_df(adata)


@pytest.mark.parametrize("n_genes", [None, 12])
def test_genes_of_one_name(n_genes: int | None, messages: Callable[[], str]) -> None:
    """Row 20 and 38: fractions and symbols of others are right; those of twins are NaN, which is told once."""
    adata = labelled(values_of("float32"))
    adata.var_names = ["twin", "twin", *adata.var_names[2:]]
    adata.var["symbol"] = [f"S{j}" for j in range(adata.n_vars)]
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", pts=True, n_genes=n_genes)
    unique = adata.copy()
    unique.var_names_make_unique()
    messages()
    for one in (adata, unique):
        table = rank_genes_df(one, gene_symbols="symbol")
        said = messages()
        is_twin = table["names"] == "twin"
        assert is_twin.any()
        assert said.count("WARNING") == 1
        assert "several genes are called 'twin'" in said
        assert "storage='varm'" in said
        assert "adata.var_names_make_unique()" in said
        assert table.loc[is_twin, ["symbol", "pct_nz_group", "pct_nz_reference"]].isna().all(axis=None)
        shares = pd.DataFrame(
            {g: (adata.X[adata.obs["group"] == g] != 0).mean(axis=0) for g in "abcde"}, index=adata.var["symbol"]
        )
        rest = table[~is_twin]
        expected = [shares.loc[symbol, g] for symbol, g in zip(rest["symbol"], rest["group"], strict=True)]
        np.testing.assert_array_equal(rest["pct_nz_group"], expected)
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", pts=True, n_genes=n_genes, storage="varm")
    assert rank_genes_df(adata, gene_symbols="symbol").notna().all(axis=None)
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", n_genes=n_genes)
    messages()
    rank_genes_df(adata)
    assert messages() == ""


@pytest.mark.parametrize("repeated", [[0, 0], [0, 0, 2, 3], [1, 1, 0, 0]])
def test_genes_that_repeat(repeated: list[int]) -> None:
    """Row 38: matrices in varm are cut with the genes, and a rank may be there twice while another is not."""
    adata = ranked("varm", pts=False)
    table = rank_genes_df(adata, "a")
    columns = [adata.var_names.get_loc(name) for name in table["names"].iloc[repeated]]
    some = adata[:, columns].copy()
    found = rank_genes_df(some, "a")
    expected = table.iloc[sorted(repeated)]
    np.testing.assert_array_equal(found["names"], expected["names"])
    np.testing.assert_array_equal(found["scores"], expected["scores"])


def test_records_beside_matrices() -> None:
    """Row 38: concat merges an entry with records and one with matrices field by field; records are read."""
    first, second = ranked("uns", pts=False), ranked("varm", pts=False)
    expected = rank_genes_df(first)
    merged = ad.concat([first, second], uns_merge="first", index_unique="-")
    assert rank_genes_df(merged)[["group", "names", "scores"]].equals(expected[["group", "names", "scores"]])


def test_parameters_that_vanished_of_matrices() -> None:
    """Row 38: the matrices are found by the fields, and are replaced by the next call."""
    adata = ranked("varm", pts=False)
    expected = rank_genes_df(adata)
    del adata.uns[KEY]["params"]
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected)
    del adata.uns[KEY]["fields"]
    adata.uns[KEY]["params"] = {"storage": "varm"}
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected)
    scpdex.tl.rank_genes_parallel(adata, "group", storage="uns")
    assert not [name for name in adata.varm if name.startswith(KEY)]


def test_a_matrix_of_another_width() -> None:
    """Row 38: it is named."""
    adata = ranked("varm", pts=False)
    adata.varm[f"{KEY}_scores"] = adata.varm[f"{KEY}_scores"][:, :2]
    with pytest.raises(KeyError, match=r"names 5 groups, and adata\.varm\['rank_genes_groups_scores'\] has the shape"):
        rank_genes_df(adata)


@pytest.mark.parametrize("missing", [pd.NA, np.nan, None, "NA"])
def test_missing_parameters(missing: Any) -> None:
    """Row 38: a missing value is as if it were not there."""
    adata = ranked("uns", pts=False)
    expected = rank_genes_df(adata)
    adata.uns[KEY]["params"] |= {"use_raw": missing, "reference": missing}
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected)


def test_row_names_as_a_column() -> None:
    """Row 38: data frames whose index became a column have no group of that name."""
    adata = ranked("uns", pts=False)
    expected = rank_genes_df(adata)
    entry = adata.uns[KEY]
    for field in ("names", "scores", "logfoldchanges", "pvals", "pvals_adj"):
        entry[field] = pd.DataFrame.from_records(entry[field]).reset_index()
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_dtype=False)


def test_levels_that_lost_their_parameters() -> None:
    """Row 38: ranking again is what the message says, and it works."""
    adata = ranked("uns", pts=False)
    adata.obs["level"] = pd.Categorical(np.resize(["x", "y"], adata.n_obs))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", min_cells=2)
    expected = rank_genes_df(adata)
    del adata.uns[f"{KEY}_x"]["params"]
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", min_cells=2)
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected)
