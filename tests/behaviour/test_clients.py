"""Calls as scanpy's clients make them: unknown arguments, scanpy's names of methods, its presets and references."""

import re
from inspect import signature
from types import SimpleNamespace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import assert_same_bits, by_scpdex
from stored import labelled, on_disk, values_of

import scpdex
from scpdex.comparisons.spelling import find_misspelt
from scpdex.task import parameter_names

PARAMETERS = [name for name in signature(scpdex.tl.rank_genes_parallel).parameters if name != "kwds"]
MISSPELT = {
    "metod": "method",
    "Method": "method",
    "methods": "method",
    "mehtod": "method",
    "group_by": "groupby",
    "groupBy": "groupby",
    "groupbyy": "groupby",
    "nJobs": "n_jobs",
    "n_job": "n_jobs",
    "pt": "pts",
    "use_rw": "use_raw",
    "useraw": "use_raw",
    "layers": "layer",
    "maxmemory": "max_memory",
    "corr_metod": "corr_method",
    "reference_": "reference",
    "n_gene": "n_genes",
}
# scanpy's clients pass these, and names that nothing has.
IGNORED = ["use_rep", "n_features", "only_positive", "obsm", "verbose", "x", "", "_", "n", "kwds", "tie", "group_key"]


def edits(a: str, b: str) -> int:
    """Optimal string alignment distance, by the book."""
    d = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
            if min(i, j) > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return int(d[-1, -1])


@pytest.fixture
def adata() -> ad.AnnData:
    return labelled(values_of("float32"))


def test_parameters_are_those_of_the_call():
    assert set(parameter_names()) == set(PARAMETERS)


@given(st.text("abcABC_", max_size=6), st.text("abcABC_", max_size=6))
def test_one_edit(name, parameter):
    """Row 29: by the definition of the distance, on few letters so that many are near."""
    plain = [text.replace("_", "").casefold() for text in (name, parameter)]
    assert bool(find_misspelt([name], [parameter])) == (edits(*plain) <= 1)


@given(st.sampled_from(PARAMETERS), st.integers(0, 20), st.sampled_from("abz_Z"), st.sampled_from("+-=~"))
def test_one_edit_of_a_parameter(parameter, i, letter, edit):
    """Row 29: whatever is added, left out, replaced or swapped."""
    i %= len(parameter)
    middle = {"+": letter + parameter[i], "-": "", "=": letter, "~": parameter[i : i + 2][::-1]}[edit]
    name = parameter[:i] + middle + parameter[i + 1 + (edit == "~") :]
    assume(name not in PARAMETERS)
    assert name in find_misspelt([name], PARAMETERS)


@pytest.mark.parametrize("method", ["wilcoxon", "logreg", None])
@pytest.mark.parametrize(("name", "parameter"), MISSPELT.items())
def test_misspelt(adata, name, parameter, method):
    """Row 29: a TypeError that suggests the parameter, for the call and for the plan."""
    with pytest.raises(TypeError, match=f"rank_genes_parallel.* '{name}'.*Did you mean '{parameter}'"):
        scpdex.tl.rank_genes_parallel(adata, "group", method=method, use_rep=None, **{name: None})
    with pytest.raises(TypeError, match=f"plan.* '{name}'.*Did you mean '{parameter}'"):
        scpdex.get.plan(adata, "group", use_rep=None, **{name: None})
    assert not adata.uns


@pytest.mark.parametrize("name", IGNORED)
def test_ignored(adata, messages, name):
    """Row 29: any other name is ignored, and one message names it; so does the plan."""
    expected = by_scpdex(adata, "group")
    assert not messages()
    assert_same_bits(by_scpdex(adata, "group", **{name: True}), expected)
    told = messages()
    assert told.count("WARNING") == 1
    assert f"argument {name!r} is ignored" in told
    assert str(scpdex.get.plan(adata, "group", **{name: True})) == str(scpdex.get.plan(adata, "group"))
    assert messages().count(f"argument {name!r} is ignored") == 1


def test_all_that_are_ignored_are_in_one_message(adata, messages):
    """Row 29: in the order of the call."""
    scpdex.tl.rank_genes_parallel(adata, "group", n_features=None, use_rep="X", only_positive=False)
    told = messages()
    assert told.count("WARNING") == 1
    assert "'n_features', 'use_rep', 'only_positive' are ignored" in told
    assert "Pass rankby_abs=True for only_positive=False" in told


def test_logistic_regression_takes_its_own(adata, messages):
    """Row 29: scikit-learn's arguments reach it, unknown ones are its errors as in scanpy; scanpy drops one itself."""
    expected = by_scpdex(adata, "group", method="logreg", C=0.1, max_iter=200)
    assert not np.array_equal(expected["scores"]["a"], by_scpdex(adata, "group", method="logreg")["scores"]["a"])
    messages()
    got = by_scpdex(adata, "group", method="logreg", C=0.1, max_iter=200, only_positive=True)
    assert_same_bits(got, expected)
    assert messages().count("'only_positive' is ignored") == 1
    with pytest.raises(TypeError, match="use_rep"):
        scpdex.tl.rank_genes_parallel(adata, "group", method="logreg", use_rep="X")


def test_wilcoxon_illico(adata):
    """scanpy 1.13's name of another implementation of the same test."""
    for arguments in ({}, {"reference": "a", "tie_correct": True}, {"use_continuity": True, "extras": ["u"]}):
        alias = by_scpdex(adata, "group", method="wilcoxon_illico", **arguments)
        assert_same_bits(alias, by_scpdex(adata, "group", method="wilcoxon", **arguments))
        assert alias["params"]["method"] == "wilcoxon"
    assert str(scpdex.get.plan(adata, "group", method="wilcoxon_illico")) == str(
        scpdex.get.plan(adata, "group", method="wilcoxon")
    )
    with pytest.raises(ValueError, match="strata"):
        scpdex.tl.rank_genes_parallel(adata, "group", method="t-test", strata="group")


PRESETS = {
    "nothing given": ({}, "pass method='wilcoxon', mean_in_log_space=False to"),
    "None": ({"method": None}, "pass method='wilcoxon', mean_in_log_space=False to"),
    "method": ({"method": "t-test"}, "pass mean_in_log_space=False to"),
    "wilcoxon": ({"method": "wilcoxon"}, "pass mean_in_log_space=False to"),
    "mean": ({"mean_in_log_space": True}, "pass method='wilcoxon' to"),
    "other mean": ({"mean_in_log_space": False}, "pass method='wilcoxon' to"),
    "both": ({"method": "t-test", "mean_in_log_space": True}, None),
    "logreg": ({"method": "logreg"}, None),
}


def second_preset() -> Any:
    """scanpy 1.13's second preset, or what is read of it."""
    if hasattr(sc, "Preset"):
        return sc.Preset.ScanpyV2Preview
    return SimpleNamespace(rank_genes_groups=SimpleNamespace(method="wilcoxon", mask_var=None, mean_in_log_space=False))


@pytest.mark.parametrize(("arguments", "message"), PRESETS.values(), ids=PRESETS.keys())
def test_preset(adata, monkeypatch, messages, arguments, message):
    """scanpy's preset changes nothing; where scanpy would have computed something else, one warning says so."""
    expected = by_scpdex(adata, "group", **arguments)
    assert "preset" not in messages()
    settings = SimpleNamespace(preset=second_preset())
    monkeypatch.setattr("scpdex.messages.ranking_call.settings", settings)
    assert_same_bits(by_scpdex(adata, "group", **arguments), expected)
    told = messages()
    assert told.count("preset") == (message is not None)
    assert message is None or message in told
    assert expected["params"]["mean_in_log_space"] == arguments.get("mean_in_log_space", True)


@pytest.mark.skipif(not hasattr(sc, "Preset"), reason="scanpy before 1.13 has no presets")
def test_first_preset(adata, messages):
    assert sc.settings.preset is sc.Preset.ScanpyV1
    scpdex.tl.rank_genes_parallel(adata, "group")
    assert "preset" not in messages()


@pytest.mark.parametrize("place", ["memory", "view", "h5ad", "lazy"])
def test_references(tmp_path, place):
    """As scanpy 1.13 takes them: of columns of var."""
    acc = pytest.importorskip("anndata.acc").A
    adata = labelled(np.log1p(values_of("int32")).astype(np.float32))
    adata.var["m"] = np.arange(30) % 3 == 0
    adata.var["nullable"] = pd.array(adata.var["m"], dtype="boolean")
    if place == "view":
        adata = adata[:, 3:]
    expected = by_scpdex(adata.copy(), "group", mask_var="m")
    assert len(expected["names"]) == adata.var["m"].sum()
    if place == "h5ad":
        adata = on_disk(adata, tmp_path, "h5ad")
    if place == "lazy":
        pytest.importorskip("xarray")
        adata.write_h5ad(tmp_path / "lazy.h5ad")
        adata = ad.experimental.read_lazy(tmp_path / "lazy.h5ad")
    for name in ("m", "nullable"):
        assert_same_bits(by_scpdex(adata, "group", mask_var=acc.var[name]), expected)
    assert str(scpdex.get.plan(adata, "group", mask_var=acc.var["m"])) == str(
        scpdex.get.plan(adata, "group", mask_var="m")
    )


def test_references_to_all_else_are_refused(adata):
    """By name, before any work; absent columns as their names are."""
    acc = pytest.importorskip("anndata.acc").A
    adata.var["number"] = np.arange(30.0)
    adata.obs["m"] = True
    adata.layers["m"] = np.ones(adata.shape, dtype=bool)
    adata.obsm["m"], adata.varm["m"] = np.ones((300, 2), dtype=bool), np.ones((30, 2), dtype=bool)
    refused = [acc.obs["m"], acc.X["cell0", :], acc.X[:, "gene0"], acc.X[:, :], acc.layers["m"]["cell0", :]]
    refused += [acc.obsm["m"][:, 0], acc.varm["m"][:, 0], acc.var.index, acc.obs.index, acc.varp["m"]["gene0", :]]
    for reference in refused:
        with pytest.raises(ValueError, match=re.escape(f"mask_var={reference!r} is no reference to a column of")):
            scpdex.tl.rank_genes_parallel(adata, "group", mask_var=reference)
    with pytest.raises(KeyError, match=r"mask_var='absent' is not a column of adata\.var\. Valid: 'number'"):
        scpdex.tl.rank_genes_parallel(adata, "group", mask_var=acc.var["absent"])
    for wrong in (acc.var["number"], acc.var[["number"]]):
        with pytest.raises(ValueError, match="mask_var must be boolean"):
            scpdex.tl.rank_genes_parallel(adata, "group", mask_var=wrong)
    adata.raw = adata
    part = adata[:, :10].copy()
    part.var["m"] = True
    with pytest.raises(ValueError, match=r"mask_var has 10 values for 30 genes .*use_raw=False"):
        scpdex.tl.rank_genes_parallel(part, "group", mask_var=acc.var["m"])
