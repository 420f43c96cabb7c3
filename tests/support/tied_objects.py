"""Tied objects: small matrices that Hypothesis draws, with many ties and tiny groups, and the pairs to compare."""

import anndata as ad
import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
