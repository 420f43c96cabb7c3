"""Arguments of the drop-in for pdex 0.1: what it infers, refuses and says, and its data frames."""

import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from pdex_calls import compare
from storages import STORAGES
from stored import in_chunks, on_disk

from scpdex.comparisons.labels import Labels
from scpdex.comparisons.target_design import TargetDesign
from scpdex.compat._pdex_0_1_arguments import log_batch_size


@pytest.mark.parametrize("form", ["memory", "CSR", "disk", "dask"])
@pytest.mark.parametrize(("values", "found"), [([0.0, 3, 1, 2], "counts"), ([0.0, 1.25, 1, 2], "log1p-transformed")])
def test_looks_for_fractions(tmp_path, messages, form, values, found):
    adata = ad.AnnData(np.tile(np.array(values)[:, None], (3, 2)), obs=pd.DataFrame({"label": [*"abab"] * 3}))
    adata.obs_names = [str(i) for i in range(adata.n_obs)]
    if form != "memory":
        adata.X = STORAGES["scipy.sparse.csr_matrix"](adata.X)
    if form == "disk":
        adata = on_disk(adata, tmp_path, "h5ad")
    if form == "dask":
        adata = in_chunks(adata, 5, 2)
    sc.settings.verbosity = 2
    pd.testing.assert_frame_equal(compare(adata), compare(adata, is_log1p=found != "counts"))
    assert f"taken for {found}" in messages()
    # what is given is never overridden
    means = compare(adata, is_log1p=False)["target_mean"]
    assert "taken for" not in messages()
    np.testing.assert_allclose(means, np.mean(values[::2]))


@pytest.mark.parametrize("form", ["dense", "CSR", "CSC", "disk", "dask"])
def test_large_fractions_are_no_logs(tmp_path, messages, form):
    """Row 26: counts per 10,000 that were never logged are taken as they are, wherever the large ones lie."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 1, (60, 8))) + 1
    scaled = counts / counts.sum(axis=1, keepdims=True) * 1e4
    scaled[:55] = np.log1p(scaled[:55])
    adata = ad.AnnData(
        scaled, obs=pd.DataFrame({"label": np.resize([*"ab"], 60)}, index=[f"cell{i}" for i in range(60)])
    )
    forms = {"CSR": "scipy.sparse.csr_matrix", "CSC": "scipy.sparse.csc_matrix", "disk": "scipy.sparse.csr_matrix"}
    if form in forms:
        adata.X = STORAGES[forms[form]](adata.X)
    stored = on_disk(adata, tmp_path, "h5ad") if form == "disk" else adata
    stored = in_chunks(adata, 10, 3) if form == "dask" else stored
    table = compare(stored)
    said = messages()
    assert said.count("\n") == 1
    assert "have fractions, but adata.X holds values up to" in said
    assert "Pass is_log1p=False to confirm this" in said
    pd.testing.assert_frame_equal(table, compare(stored, is_log1p=False))
    assert not messages()
    assert np.isfinite(table["target_mean"]).all()
    # What a view lacks has no effect.
    of_logs = stored[:55]
    pd.testing.assert_frame_equal(compare(of_logs), compare(of_logs, is_log1p=True))
    assert not messages()


@pytest.mark.parametrize("exp_post_agg", [True, False])
def test_overflow_is_told(messages, exp_post_agg):
    """Row 26: is_log1p=True is not overridden, and one message says what that leads to."""
    adata = ad.AnnData(np.full((4, 2), 0.5), obs=pd.DataFrame({"label": [*"abab"]}))
    adata.X[:, 1] = 812.5
    table = compare(adata, is_log1p=True, exp_post_agg=exp_post_agg)
    assert np.isinf(table["target_mean"]).tolist() == [False, True]
    said = messages()
    assert said.count("\n") == 1
    assert "adata.X holds values up to 812.5, too large for log1p-transformed data (at most about 20)" in said
    assert "and 2 of them overflow" in said
    assert "Pass is_log1p=False if they are no logs" in said


WRONG = [
    ({"metric": "welch"}, ValueError, "metric='welch' is not known. Valid: 'wilcoxon', 'anderson', 't-test'"),
    ({"key": "lable"}, KeyError, "groupby_key='lable' names no column of adata.obs. Did you mean 'label'"),
    ({"reference": "c"}, ValueError, "reference: 'c' is not a group of adata.obs.'label'.. .*Valid: 'a', 'b'"),
    ({"groups": ["c"]}, ValueError, r"nothing to compare with reference='b': groups=\['c'\]. Other groups .*: 'a'"),
    ({"groups": ["b"]}, ValueError, "nothing to compare"),
    ({"groups": "a"}, ValueError, r"not a sequence of groups: pass a list such as \['a'\]"),
    ({"use_continuity": False}, TypeError, "tie_correct=False"),
    ({"nan_policy": "omit"}, TypeError, "'nan_policy' is not .* of metric='wilcoxon': 'alternative', 'method'"),
    ({"num_worker": 2}, TypeError, "'num_worker' is not an argument .* Did you mean 'num_workers'"),
    ({"metric": "anderson", "alternative": "less"}, TypeError, "'alternative' is not .* of metric='anderson': none"),
    ({"alternative": "more"}, ValueError, "alternative='more' is not valid .* 'two-sided', 'less', 'greater'"),
    ({"method": "exact"}, ValueError, "method='exact' is not valid"),
    ({"is_log1p": "yes"}, ValueError, "is_log1p='yes'"),
    ({"clip_value": 0}, ValueError, "clip_value=0"),
    ({"clip_value": "20"}, ValueError, "clip_value='20' is not valid"),
    ({"clip_value": np.nan}, ValueError, "clip_value=nan is not valid"),
    ({"clip_value": True}, ValueError, "clip_value=True is not valid"),
    ({"num_workers": 0}, ValueError, "num_workers=0"),
    ({"num_threads": True}, ValueError, "num_threads=True"),
    ({"num_threads": -1}, ValueError, "num_threads=-1 is not valid: pass a whole number from 0 up, or None"),
    ({"low_memory": True, "gene_chunk_size": 0}, ValueError, "gene_chunk_size=0"),
    ({"gene_chunk_size": 0}, ValueError, "gene_chunk_size=0"),
    ({"gene_chunk_size": "many"}, ValueError, "gene_chunk_size='many'"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG, ids=[str(wrong[0]) for wrong in WRONG])
def test_refused(wrong, error, message):
    adata = ad.AnnData(np.eye(4), obs=pd.DataFrame({"label": [*"abab"]}))
    with pytest.raises(error, match=message):
        compare(adata, **wrong)


def test_batch_size_says_once_that_it_has_no_effect(messages):
    """Not at the default verbosity of warnings, since old scripts pass it."""
    adata = ad.AnnData(np.eye(4), obs=pd.DataFrame({"label": [*"abab"]}))
    for verbosity in (1, 2):
        sc.settings.verbosity = verbosity
        log_batch_size.cache_clear()
        compare(adata, batch_size=7)
        assert "batch_size" not in messages()
    sc.settings.verbosity = 3
    log_batch_size.cache_clear()
    expected = compare(adata)
    assert "batch_size" not in messages()
    for _ in range(2):
        pd.testing.assert_frame_equal(compare(adata, batch_size=7), expected)
    assert messages().count("batch_size has no effect") == 1


def test_threads(monkeypatch):
    """Their product; one alone is what it says; neither, or num_threads=0, is all cores."""
    from scpdex.compat.pdex_0_1 import Resources

    seen = []
    of = Resources.of
    monkeypatch.setattr(
        "scpdex.compat.pdex_0_1.Resources.of", lambda **given: seen.append(given["n_jobs"]) or of(**given)
    )
    adata = ad.AnnData(np.eye(4), obs=pd.DataFrame({"label": [*"abab"]}))
    for workers, threads in ((None, None), (2, 3), (None, 4), (5, None), (None, 0), (2, 0)):
        compare(adata, num_workers=workers, num_threads=threads)
    assert seen == [None, 6, 4, 5, None, None]


def test_polars():
    pl = pytest.importorskip("polars")
    adata = ad.AnnData(np.diag([1.0, 2, 0, 3]), obs=pd.DataFrame({"label": [*"abab"]}))
    table = compare(adata, as_polars=True)
    assert table.schema["target"] == pl.String
    assert table["percent_change"].null_count() == 2
    expected = compare(adata)
    assert table["target"].to_list() == expected["target"].tolist()
    for name in expected.columns[3:]:
        np.testing.assert_array_equal(table[name].fill_null(np.nan).to_numpy(), expected[name])


def test_polars_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr("scpdex.results._data_frames.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"as_polars=True needs polars.*scpdex\[polars\]"):
        compare(ad.AnnData(np.eye(4), obs=pd.DataFrame({"label": [*"abab"]})), as_polars=True)


@pytest.mark.slow
def test_progress():
    """A bar where it is asked for, to standard error and not through the log."""
    code = (
        "import anndata, numpy, pandas, scpdex\n"
        "obs = pandas.DataFrame({'target_gene': ['a', 'non-targeting'] * 2})\n"
        "scpdex.parallel_differential_expression(anndata.AnnData(numpy.eye(4), obs=obs))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "gene" in told.stderr
    assert told.stdout == ""


def test_targets_are_looked_up_once_each(monkeypatch):
    """No target is compared with all requested groups: comparisons of positions grow as the targets do."""

    class CountedPosition(int):
        n_comparisons = 0

        def __eq__(self, other: object) -> bool:
            CountedPosition.n_comparisons += 1
            return int(self) == other

        __hash__ = int.__hash__

    find_position = Labels.find_position
    monkeypatch.setattr(Labels, "find_position", lambda *arguments: CountedPosition(find_position(*arguments)))
    targets = [f"gene{i}" for i in range(300)]
    obs = pd.DataFrame({"target": [*targets, "control"]})
    design = TargetDesign.by_appearance(obs, "target", targets[::-1], "control")
    assert design.targets == targets
    assert CountedPosition.n_comparisons < 10 * len(targets)
