"""Wrong arguments are refused before any work, each by a message that names the bad value and the valid ones."""

from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scpdex
from scpdex.task import RESULT_PARAMETERS, Arguments

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "groupby": ({"groupby": "bulk_label"}, KeyError, r"'bulk_label' names no column.*Did you mean 'bulk_labels'\?"),
    "group": ({"groups": ["CD34", "CD19+ B"]}, ValueError, r"groups: 'CD34' is not a group.*Did you mean 'CD34\+'\?"),
    "groups, one string": ({"groups": "CD34+"}, ValueError, r"groups='CD34\+' is not a sequence.*\['CD34\+'\]"),
    "groups, a number": ({"groups": 3}, ValueError, "groups=3 is not a sequence"),
    "groups, none": ({"groups": []}, ValueError, r"groups is empty: name groups of 'bulk_labels' \('CD4\+"),
    "groups, the reference alone": (
        {"groups": ["CD34+"], "reference": "CD34+"},
        ValueError,
        "leaves nothing to compare with reference='CD34\\+'",
    ),
    "reference": (
        {"reference": "dendritic"},
        ValueError,
        r"'dendritic'.*Did you mean 'Dendritic'\?.*'rest'",
    ),
    "reference, misspelt rest": ({"reference": "Rest"}, ValueError, r"Did you mean 'rest'\?"),
    "method": (
        {"method": "wilcox"},
        ValueError,
        r"method='wilcox' is not known. Did you mean 'wilcoxon'",
    ),
    "corr_method": ({"corr_method": "fdr"}, ValueError, "corr_method='fdr'.*'benjamini-hochberg', 'bonferroni'"),
    "layer": ({"layer": "count", "use_raw": False}, KeyError, "layer='count' is not in adata.layers. Valid: 'counts'"),
    "layer and raw": ({"layer": "counts"}, ValueError, r"Cannot specify `layer` .*use_raw=True.*pass use_raw=False"),
    "mask_var": ({"mask_var": "hvg"}, KeyError, "mask_var='hvg' is not a column of adata.var. Valid: .*'n_counts'"),
    "mask_var, not boolean": ({"mask_var": "n_counts"}, ValueError, "mask_var must be boolean .* dtype float32"),
    "mask_var, too short": ({"mask_var": np.array([True])}, ValueError, "mask_var has 1 values for 765 genes"),
    "mask_var, no gene": ({"mask_var": np.zeros(765, dtype=bool)}, ValueError, "nothing to rank: 700 cells x 0 genes"),
    "n_genes": ({"n_genes": 0}, ValueError, "n_genes=0 is not valid: pass a number of genes from 1 up"),
    "n_genes, a fraction": ({"n_genes": 0.5}, ValueError, "n_genes=0.5 is not valid"),
    "n_jobs": ({"n_jobs": 0}, ValueError, "n_jobs=0 is not valid: pass a number of threads from 1 up, or None or -1"),
    "n_jobs, negative": ({"n_jobs": -2}, ValueError, "n_jobs=-2 is not valid"),
    "n_jobs, a bool": ({"n_jobs": True}, ValueError, "n_jobs=True is not valid"),
    "mask_var, in another order": (
        {"mask_var": pd.Series(True, index=[f"other{j}" for j in range(765)])},
        ValueError,
        r"index is not the names of the genes.*reindex\(adata.var_names\)",
    ),
    "use_continuity": ({"use_continuity": True}, ValueError, "use_continuity=True needs method='wilcoxon'"),
    "groupby, not a name": (
        {"groupby": 3},
        TypeError,
        "groupby=3 is not the name of a column of adata.obs: pass a string",
    ),
    "key_added, not a name": ({"key_added": 3}, TypeError, "key_added=3 is not a string: pass a name"),
    "groupby, not labels": ({"groupby": "percent_mito"}, ValueError, r"Are these labels\? There are \d+ for 700 cells"),
    "unknown": (
        {"tie_corect": True},
        TypeError,
        "unexpected keyword argument 'tie_corect'. Did you mean 'tie_correct'",
    ),
    "unknown, two": (
        {"tie_corect": True, "n_job": 1},
        TypeError,
        r"keyword arguments 'tie_corect', 'n_job'. Did you mean 'tie_correct', 'n_jobs'\?",
    ),
    "unknown, for scikit-learn too": ({"method": "logreg", "group_s": []}, TypeError, "Did you mean 'groups'"),
    "unknown to scikit-learn": ({"method": "logreg", "penality": "l1"}, TypeError, "penality"),
    "logreg, one group": ({"method": "logreg", "groups": ["CD34+"]}, ValueError, "logistic regression on a single"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_before_any_work(pbmc, monkeypatch, arguments, error, message):
    pbmc.layers["counts"] = pbmc.X.copy()
    pbmc.uns["rank_genes_groups"] = "as before"
    monkeypatch.setattr("scpdex.work.open_source", _fail)
    monkeypatch.setattr("sklearn.linear_model.LogisticRegression.fit", _fail)
    with pytest.raises(error, match=message):
        scpdex.tl.rank_genes_parallel(pbmc, **{"groupby": "bulk_labels", **arguments})
    assert pbmc.uns["rank_genes_groups"] == "as before"


def _fail(*_: Any, **__: Any) -> None:
    pytest.fail("work has begun")


def test_signatures_agree():
    """The call and its plan take the same arguments: names, order, kinds, defaults and types, and so does the task."""
    call = [p for p in signature(scpdex.tl.rank_genes_parallel).parameters.values() if p.name not in RESULT_PARAMETERS]
    assert list(signature(scpdex.get.plan).parameters.values()) == call
    assert [(field.name, field.type) for field in fields(Arguments)] == [(p.name, p.annotation) for p in call[1:-1]]


def test_the_plan_takes_the_arguments_of_the_call(pbmc, messages):
    """Those that say where the result is stored change nothing, whatever they are."""
    arguments = {"method": "wilcoxon", "max_memory": "1GB"}
    expected = str(scpdex.get.plan(pbmc, "bulk_labels", **arguments))
    messages()
    for stored in ({"key_added": "x", "copy": True, "storage": "varm"}, {"key_added": 3}):
        assert str(scpdex.get.plan(pbmc, "bulk_labels", **arguments, **stored)) == expected
    assert not messages()


def test_no_raw(pbmc):
    adata = ad.AnnData(pbmc.X, obs=pbmc.obs)
    with pytest.raises(ValueError, match=r"`use_raw=True`, but `adata.raw` is empty"):
        scpdex.tl.rank_genes_parallel(adata, "bulk_labels", use_raw=True)
    with pytest.raises(KeyError, match="Valid: none exist"):
        scpdex.tl.rank_genes_parallel(adata, "bulk_labels", layer="counts")


def test_no_matrix(pbmc):
    with pytest.raises(ValueError, match=r"adata\.X is None"):
        scpdex.tl.rank_genes_parallel(ad.AnnData(obs=pbmc.obs), "bulk_labels")


def test_not_an_anndata(pbmc):
    with pytest.raises(TypeError, match="adata is a ndarray; pass an AnnData"):
        scpdex.tl.rank_genes_parallel(pbmc.X, "bulk_labels")


def test_a_group_named_rest(pbmc, messages):
    pbmc.obs["label"] = np.where(np.arange(700) % 3, "rest", "a")
    scpdex.tl.rank_genes_parallel(pbmc, "label")
    assert messages().count("not with the group that is itself named 'rest'") == 1


def test_no_label(pbmc):
    pbmc.obs["nothing"] = pd.Series(np.nan, index=pbmc.obs_names)
    with pytest.raises(ValueError, match="groupby='nothing' labels no cell"):
        scpdex.tl.rank_genes_parallel(pbmc, "nothing")


def test_two_columns_of_one_name(pbmc):
    pbmc.obs["other"] = pbmc.obs["bulk_labels"]
    pbmc.obs.columns = [*pbmc.obs.columns[:-1], "bulk_labels"]
    with pytest.raises(KeyError, match="names 2 columns"):
        scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels")


def test_mask_of_x_on_a_longer_raw(pbmc):
    """A mask of X's genes does not fit raw's: the message names the way out."""
    part = pbmc[:, :100].copy()
    with pytest.raises(ValueError, match=r"mask_var has 100 values for 765 genes .*use_raw=False"):
        scpdex.tl.rank_genes_parallel(part, "bulk_labels", mask_var=np.ones(100, dtype=bool))


@pytest.mark.parametrize("convert", [list, pd.Series, lambda x: pd.array(x, dtype="boolean")])
def test_kinds_of_mask(pbmc, convert: Callable[[Any], Any]):
    mask = np.arange(pbmc.n_vars) % 7 == 0
    scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", mask_var=convert(mask))
    assert set(pbmc.uns["rank_genes_groups"]["names"]["CD34+"]) == set(pbmc.raw.var_names[mask])


def test_a_group_named_twice_is_ranked_once(pbmc):
    scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", groups=["CD34+", "CD19+ B", "CD34+"])
    assert pbmc.uns["rank_genes_groups"]["names"].dtype.names == ("CD34+", "CD19+ B")


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_one_group_has_no_rest(pbmc, messages, method):
    """With nothing to compare with, scanpy's numbers: score 0, p 1, no fold change."""
    pbmc.obs["all"] = "the same"
    scpdex.tl.rank_genes_parallel(pbmc, "all", method=method, pts=True)
    result = pbmc.uns["rank_genes_groups"]
    assert (result["scores"]["the same"] == 0).all()
    assert (result["pvals"]["the same"] == 1).all()
    assert np.isnan(result["logfoldchanges"]["the same"]).all()
    told = messages()
    assert told.count("group 'the same' holds every cell, and there is no rest") == 1
    assert told.count("\n") == 1
