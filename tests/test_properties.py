"""Random small matrices with many ties, negative values and tiny groups: scipy agrees, storages agree to the bit."""

import anndata as ad
import numpy as np
import pandas as pd
from conftest import STORAGES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracles import assert_same_bits, by_gene, by_scpdex, plain_rank_sum
from scipy import stats

VALUES = st.one_of(
    st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0, 0.5]),
    st.sampled_from([-1.5, -1.0, -0.0, 0.0, 1.0, 1.5]),
    st.floats(-100, 100, width=32),
)


@st.composite
def objects(draw: st.DrawFn, least: int = 2) -> ad.AnnData:
    """2 to 4 groups of at least 2 cells or so many, some cells without a label, 1 to 5 genes, float32 or float64."""
    sizes = draw(st.lists(st.integers(least, 9), min_size=2, max_size=4))
    n_unlabelled = draw(st.integers(0, 3))
    n_genes = draw(st.integers(1, 5))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    n_cells = sum(sizes) + n_unlabelled
    values = draw(hnp.arrays(dtype, (n_cells, n_genes), elements=VALUES))
    labels = [label for label, size in zip("abcd", sizes, strict=False) for _ in range(size)]
    labels = draw(st.permutations(labels + [None] * n_unlabelled))
    obs = pd.DataFrame({"label": pd.Categorical(labels)}, index=[str(i) for i in range(n_cells)])
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(n_genes)]))


REFERENCES = st.sampled_from(["rest", "a", "b"])


def pairs(
    adata: ad.AnnData, reference: str, labels: np.ndarray | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values of each group and of what it is compared with."""
    names = adata.obs["label"].cat.categories if labels is None else labels
    labels = adata.obs["label"].to_numpy()
    values = adata.X.astype(np.float64)
    return {
        group: (values[labels == group], values[labels != group if reference == "rest" else labels == reference])
        for group in names
        if group != reference
    }


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
    st.sampled_from(["wilcoxon", "t-test", "t-test_overestim_var"]),
    st.sampled_from(sorted(STORAGES)),
    st.integers(1, 3),
    st.booleans(),
)
def test_storages_agree_to_the_bit(adata, reference, method, storage, n_jobs, mean_in_log_space):
    arguments = {
        "method": method,
        "reference": reference,
        "tie_correct": True,
        "pts": True,
        "mean_in_log_space": mean_in_log_space,
    }
    other = ad.AnnData(STORAGES[storage](adata.X), obs=adata.obs, var=adata.var)
    assert_same_bits(
        by_scpdex(other, "label", n_jobs=n_jobs, **arguments), by_scpdex(adata, "label", n_jobs=1, **arguments)
    )
