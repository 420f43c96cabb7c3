"""Scanpy's plots of results: what the page for those who come from scanpy says of labels and references."""

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import scpdex

mpl.use("Agg")

# scanpy, seaborn and matplotlib warn one another.
pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"
OF_EXPRESSION = ["dotplot", "matrixplot", "stacked_violin", "heatmap", "tracksplot"]
THAT_TAKE_MISSING_LABELS = ["dotplot", "matrixplot", "stacked_violin"]


def run_block(number: int, **names: Any) -> None:
    """Run one of the code blocks of the section on plots."""
    section = PAGE.read_text(encoding="utf-8").split("## Plots")[1].split("\n## ")[0]
    block = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)[number]
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102


@pytest.fixture
def clusters(pbmc):
    """PBMCs with string categories in cluster, one of which is control, without anything that scanpy has stored."""
    pbmc.uns.clear()
    pbmc.obs["cluster"] = pbmc.obs["bulk_labels"].cat.rename_categories({"Dendritic": "control"})
    yield pbmc
    mpl.pyplot.close("all")


@pytest.mark.parametrize(
    ("labels", "before_ranking", "plots"),
    [
        ("int", False, OF_EXPRESSION),
        ("int", True, ["dotplot"]),
        ("float categories", False, ["dotplot"]),
        ("bool", False, ["dotplot"]),
        ("int, some missing", False, THAT_TAKE_MISSING_LABELS),
    ],
    ids=str,
)
def test_labels_become_what_plots_need(clusters, labels, before_ranking, plots):
    codes = clusters.obs["cluster"].cat.codes.to_numpy()
    made = {
        # 0, 2, 4, ..., 18, of which the order of the spellings is another
        "int": codes.astype(int) * 2,
        "float categories": pd.Categorical(codes / 4),
        "bool": codes < 5,
        "int, some missing": pd.Categorical(np.where(codes == 3, -1, codes), categories=[0, *range(4, 10), 1, 2]),
    }[labels]
    clusters.obs["cluster"] = made
    before = clusters.obs["cluster"].astype("category")
    if before_ranking:
        run_block(0, adata=clusters)
    scpdex.tl.rank_genes_parallel(clusters, "cluster", method="wilcoxon")
    if not before_ranking:
        run_block(0, adata=clusters)
    after = clusters.obs["cluster"]
    assert after.isna().equals(before.isna())
    assert list(after.cat.categories) == list(map(str, before.cat.categories))
    sc.tl.dendrogram(clusters, "cluster")
    for plot in plots:
        getattr(sc.pl, f"rank_genes_groups_{plot}")(clusters, n_genes=2, show=False)


@pytest.mark.parametrize(
    ("by", "groups"), [("scpdex", "all"), ("scpdex", ["CD34+", "CD19+ B"]), ("scanpy", "all")], ids=str
)
def test_values_to_plot_with_a_reference(clusters, by, groups, monkeypatch):
    rank = {"scpdex": scpdex.tl.rank_genes_parallel, "scanpy": sc.tl.rank_genes_groups}[by]
    rank(clusters, "cluster", groups=groups, method="wilcoxon", reference="control")
    drawn = []
    dotplot = sc.pl.rank_genes_groups_dotplot
    monkeypatch.setattr(
        sc.pl, "rank_genes_groups_dotplot", lambda *a, **k: drawn.append(dotplot(*a, **k, return_fig=True))
    )
    if groups == "all":
        # Once scanpy draws these, the page is to be shortened.
        with pytest.raises(KeyError, match=re.escape("['control'] not in index")):
            sc.pl.rank_genes_groups_dotplot(clusters, n_genes=3, values_to_plot="logfoldchanges")
    run_block(1, adata=clusters, sc=sc)
    colors = drawn[0].dot_color_df
    n_groups = 9 if groups == "all" else 2
    assert colors.shape == (n_groups, 3 * n_groups)
    for group in colors.index:
        changes = sc.get.rank_genes_groups_df(clusters, group).set_index("names")["logfoldchanges"]
        np.testing.assert_array_equal(colors.loc[group], changes[colors.columns].fillna(1))
