"""Random small matrices with many ties, negative values and tiny groups: scipy agrees, storages agree to the bit."""

import anndata as ad
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits, by_gene, by_scpdex, plain_rank_sum
from scipy import stats
from storages import STORAGES
from tied_objects import REFERENCES, objects, pairs


@settings(deadline=None, max_examples=150)
@given(objects(), REFERENCES, st.booleans(), st.booleans())
def test_wilcoxon(adata, reference, tie_correct, use_continuity):
    options = {"tie_correct": tie_correct, "use_continuity": use_continuity}
    result = by_scpdex(adata, "label", method="wilcoxon", reference=reference, pts=True, **options)
    for group, (x, y) in pairs(adata, reference).items():
        ours = by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            z, p = plain_rank_sum(x[:, j], y[:, j], **options)
            np.testing.assert_allclose(ours.loc[gene, "scores"], z, rtol=2e-7)
            np.testing.assert_allclose(ours.loc[gene, "pvals"], p, rtol=1e-10)
            if tie_correct and z != 0:
                mwu = stats.mannwhitneyu(x[:, j], y[:, j], use_continuity=use_continuity, method="asymptotic")
                np.testing.assert_allclose(ours.loc[gene, "pvals"], mwu.pvalue, rtol=1e-10)
            assert result["pts"].loc[gene, group] == (x[:, j] != 0).mean()


@settings(deadline=None, max_examples=100)
@given(objects(), REFERENCES)
def test_t_test(adata, reference):
    result = by_scpdex(adata, "label", method="t-test", reference=reference)
    for group, (x, y) in pairs(adata, reference).items():
        ours = by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            a, b = x[:, j], y[:, j]
            if np.ptp(a) == np.ptp(b) == 0:
                expected = (0, 1) if a[0] == b[0] else (np.sign(a[0] - b[0]) * np.inf, 0)
            else:
                expected = stats.ttest_ind(a, b, equal_var=False)
            # a spread near rounding is all error
            if np.ptp(a) + np.ptp(b) > 1e-6 * np.abs([*a, *b]).max() or np.ptp(a) == np.ptp(b) == 0:
                np.testing.assert_allclose(ours.loc[gene, "scores"], expected[0], rtol=2e-7, atol=1e-12)
                np.testing.assert_allclose(ours.loc[gene, "pvals"], expected[1], rtol=1e-9)


@settings(deadline=None, max_examples=100)
@given(
    objects(),
    REFERENCES,
    st.sampled_from(["wilcoxon", "t-test", "t-test_overestim_var", "brunner-munzel"]),
    st.sampled_from(sorted(STORAGES)),
    st.integers(1, 3),
    st.booleans(),
)
def test_storages_agree_to_the_bit(adata, reference, method, storage, n_jobs, mean_in_log_space):
    arguments = {
        "method": method,
        "reference": reference,
        "tie_correct": method != "brunner-munzel",
        "extras": ("auc_se", "auc_low") if method in {"wilcoxon", "brunner-munzel"} else (),
        "min_effect": 0.1 if method in {"t-test", "brunner-munzel"} else None,
        "pts": True,
        "mean_in_log_space": mean_in_log_space,
    }
    other = ad.AnnData(STORAGES[storage](adata.X), obs=adata.obs, var=adata.var)
    assert_same_bits(
        by_scpdex(other, "label", n_jobs=n_jobs, **arguments), by_scpdex(adata, "label", n_jobs=1, **arguments)
    )
