"""Calls of score_markers that are refused, before any work."""

from typing import Any

import numpy as np
import pytest
from stored import labelled, values_of

import scpdex

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "groupby": ({"groupby": "grop"}, KeyError, "Did you mean 'group'"),
    "groupby, a type": ({"groupby": 3}, TypeError, "groupby=3"),
    "groups": ({"groups": ["a", "x"]}, ValueError, "groups: 'x' is not a group"),
    "groups, empty": ({"groups": []}, ValueError, "groups is empty"),
    "groups, a string": ({"groups": "a"}, ValueError, r"pass a list such as \['a'\]"),
    "one group": ({"groupby": "one"}, ValueError, "two or more groups are needed .* and it has 1"),
    "one group that is large": ({"min_cells": 80}, ValueError, "min_cells=80 leaves 1"),
    "a small group": (
        {"min_cells": 40, "groups": ["few"], "groupby": "uneven"},
        ValueError,
        "'few', which min_cells=40 leaves out",
    ),
    "min_cells": ({"min_cells": 0}, ValueError, "min_cells=0 is not valid"),
    "min_cells, a type": ({"min_cells": "3"}, ValueError, "min_cells='3' is not valid"),
    "strata": ({"strata": "donr"}, KeyError, "strata='donr'"),
    "strata, the groups": ({"strata": "group"}, ValueError, "strata='group' is groupby too"),
    "strata, one for each group": ({"strata": "same"}, ValueError, "shares a stratum"),
    "layer": ({"layer": "x"}, KeyError, "layer='x'"),
    "use_raw": ({"use_raw": True}, ValueError, "adata.raw"),
    "mask_var": ({"mask_var": "x"}, KeyError, "mask_var"),
    "normalize": ({"normalize": -1}, ValueError, "normalize=-1"),
    "effects": ({"effects": ("auk",)}, ValueError, "effects='auk' is not known. Did you mean 'auc'"),
    "effects, a string": ({"effects": "auc"}, ValueError, "effects='auc' is not a sequence"),
    "effects, empty": ({"effects": ()}, ValueError, "effects is empty"),
    "summaries": ({"summaries": ("med",)}, ValueError, "summaries='med' is not known"),
    "summaries, empty": ({"summaries": []}, ValueError, "summaries is empty"),
    "min_rank_limit": ({"min_rank_limit": 0}, ValueError, "min_rank_limit=0 is not valid"),
    "min_rank_limit, a type": ({"min_rank_limit": 1.5}, ValueError, "min_rank_limit=1.5 is not valid"),
    "min_rank_limit, a bool": ({"min_rank_limit": True}, ValueError, "min_rank_limit=True is not valid"),
    "corr_method": ({"corr_method": "bh"}, ValueError, "corr_method='bh' is not known"),
    "key_added": ({"key_added": None}, TypeError, "key_added=None is not a string"),
    "max_memory": ({"max_memory": "lots"}, ValueError, "max_memory='lots'"),
    "n_jobs": ({"n_jobs": 0}, ValueError, "n_jobs=0 is not valid"),
    "pairs beyond the budget": (
        {"pairwise": True, "pvals": True, "max_memory": "29 kB"},
        ValueError,
        "pairwise=True would take 30 kB for 5 arrays of 5 x 5 groups x 30 genes, more than max_memory=29 kB",
    ),
    "a matrix of the user's": ({"key_added": "mine"}, ValueError, r"would replace adata.varm\['mine_auc_min'\]"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_any_work(monkeypatch, arguments, error, message):
    adata = labelled(np.abs(values_of("float32")))
    adata.obs["one"], adata.obs["same"] = "all", adata.obs["group"].to_numpy()
    adata.obs["uneven"] = np.resize(["a", "b"], 300)
    adata.obs.loc[adata.obs_names[:9], "uneven"] = "few"
    adata.varm["mine_auc_min"] = np.zeros((30, 2))
    monkeypatch.setattr("scpdex.work.open_source", _fail)
    with pytest.raises(error, match=message):
        scpdex.tl.score_markers(adata, **{"groupby": "group", **arguments})
    assert not adata.uns
    assert list(adata.varm) == ["mine_auc_min"]


def _fail(*_: Any, **__: Any) -> None:
    pytest.fail("work has begun")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(value):
    values = np.abs(values_of("float32"))
    values[1, 7] = value
    adata = labelled(values)
    with pytest.raises(ValueError, match="'gene7'"):
        scpdex.tl.score_markers(adata, "group")
    assert not adata.uns
    scpdex.tl.score_markers(adata, "group", mask_var=np.arange(30) != 7)


def test_not_an_anndata():
    with pytest.raises(TypeError, match="adata is a list; pass an AnnData"):
        scpdex.tl.score_markers([], "group")


def test_genes_of_raw_that_var_lacks():
    adata = labelled(np.abs(values_of("float32")))
    adata.raw = adata.copy()
    some = adata[:, :20].copy()
    with pytest.raises(ValueError, match="use_raw=False"):
        scpdex.tl.score_markers(some, "group")
    scpdex.tl.score_markers(some, "group", use_raw=False)
