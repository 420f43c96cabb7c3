"""Results that came back changed, through R and other converters."""

from collections import OrderedDict, UserDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from oracles import KEY
from ranked import ranked
from stored import labelled, values_of

import scpdex
from scpdex.get import rank_genes_df


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
    assert (
        "fields 'pts', 'pvals', 'pvals_adj', 'scores' are left out: in adata.uns['rank_genes_groups'] they do not fit"
        in said
    )


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
    with pytest.raises(KeyError, match=r"adata\.varm\['rank_genes_groups_scores'\] has the shape .* names 5 groups"):
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
