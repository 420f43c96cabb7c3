"""cell-eval with pdex and with the drop-in in its place, on two halves of a real screen: `nox -s clients`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import cell_eval._evaluator as evaluator
import numpy as np
import pdex
import polars as pl
import pytest
from papalexi import read_papalexi

import scpdex

pytestmark = pytest.mark.filterwarnings("ignore")

MEAN_COLUMNS = {"target_mean", "ref_mean", "log2_fold_change", "percent_change"}
PACKAGES: dict[str, Callable[..., Any]] = {"pdex": pdex.pdex, "scpdex": scpdex.pdex}


def halves(dtype: str) -> tuple[ad.AnnData, ad.AnnData]:
    """The cells of a screen at random in one half or the other: one is real, the other as if it were predicted."""
    adata = read_papalexi()
    adata.X = adata.X.astype(dtype)
    adata.obs["target"] = adata.obs["gene"].astype(str)
    is_real = np.random.default_rng(0).random(adata.n_obs) < 0.5
    return adata[is_real].copy(), adata[~is_real].copy()


def evaluate(patch: pytest.MonkeyPatch, package: str, folder: Path, dtype: str, **arguments: Any) -> Any:
    """The evaluator, which has written both tables of differential expression."""
    patch.setattr(evaluator, "pdex", PACKAGES[package])
    real, predicted = halves(dtype)
    return evaluator.MetricsEvaluator(
        adata_pred=predicted,
        adata_real=real,
        control_pert="non-targeting",
        num_threads=2,
        outdir=str(folder),
        **arguments,
    )


@pytest.mark.parametrize("pdex_kwargs", [{}, {"epsilon": 1e-9, "cpm_filter": 5.0}], ids=str)
def test_scores_are_identical(monkeypatch, tmp_path, pdex_kwargs):
    """Every score of every perturbation, and the ceiling that the data set; of float32, as screens are stored.

    Of float64, cell-eval's own sums differ in their last bits from one run to the next.
    """
    written = {}
    for package in PACKAGES:
        evaluation = evaluate(monkeypatch, package, tmp_path / package, "float32", pdex_kwargs=dict(pdex_kwargs))
        evaluation.compute()
        evaluation.compute_ceiling()
        written[package] = {
            name: (tmp_path / package / name).read_bytes()
            for name in ("results.csv", "agg_results.csv", "ceiling_results.csv", "agg_ceiling_results.csv")
        }
    assert written["scpdex"] == written["pdex"]
    scores = pl.read_csv(written["scpdex"]["results.csv"])
    assert scores.height == 25
    assert {"de_spearman_sig", "pr_auc", "overlap_at_50", "de_direction_match"} <= set(scores.columns)


# pdex's means of float32 are float32.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-5)])
def test_tables_agree(monkeypatch, tmp_path, dtype, tolerance):
    for package in PACKAGES:
        evaluate(monkeypatch, package, tmp_path / package, dtype)
    for name in ("real_de.csv", "pred_de.csv"):
        expected, ours = (pl.read_csv(tmp_path / package / name) for package in PACKAGES)
        assert ours.schema == expected.schema
        for column in expected.columns:
            if expected[column].dtype.is_float():
                limit = tolerance if column in MEAN_COLUMNS else 1e-9
                np.testing.assert_allclose(ours[column], expected[column], rtol=limit, atol=limit, err_msg=column)
            else:
                assert ours[column].equals(expected[column])
