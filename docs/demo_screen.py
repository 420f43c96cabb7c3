"""The main job on a CRISPR screen that lies in this repository: rank each knock-out against the control."""

from pathlib import Path

import pandas as pd
import scanpy as sc
from demo import greatest_difference, seconds

import scpdex

SCREEN = Path(__file__).parents[1] / "tests" / "data" / "papalexi2021_thp1.h5ad"
HOW = {"reference": "non-targeting", "method": "wilcoxon", "tie_correct": True}


# scanpy takes about a second for each.
COMPARED = ["CD86", "IFNGR2", "JAK2", "STAT1"]


def main() -> None:
    adata = sc.read_h5ad(SCREEN)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    n_targets = adata.obs["gene"].nunique() - 1
    print(f"{adata.n_obs:,} cells, {adata.n_vars} genes, Wilcoxon of {n_targets} knock-outs against the control")
    taken = seconds(lambda: scpdex.tl.rank_genes_parallel(adata, "gene", **HOW))
    print(f"first call: {taken:.2f} s (compiles kernels that are not cached yet)")

    few = adata[adata.obs["gene"].isin([*COMPARED, HOW["reference"]])].copy()
    by_scanpy = few.copy()
    ours = seconds(lambda: scpdex.tl.rank_genes_parallel(few, "gene", **HOW))
    scanpys = seconds(lambda: sc.tl.rank_genes_groups(by_scanpy, "gene", **HOW))
    print(f"\n{', '.join(COMPARED)} alone: scpdex {ours:.2f} s, scanpy {scanpys:.2f} s")
    difference = greatest_difference(few, by_scanpy)
    print(f"Greatest relative difference from scanpy in any score, p-value or fold change: {difference:.1e}")
    if not difference < 1e-6:
        msg = "scpdex and scanpy disagree"
        raise SystemExit(msg)

    hits = scpdex.get.rank_genes_df(adata, pval_cutoff=0.05)["group"].value_counts()
    print("\nKnock-outs with most genes of adjusted p < 0.05:\n")
    print(hits.head().to_string(header=False))
    targets = scpdex.get.rank_genes_df(adata, on_target="gene").dropna(subset="scores")
    print("\nKnock-outs whose own target was measured:\n")
    with pd.option_context("display.float_format", "{:.2g}".format):
        print(targets[["group", "scores", "logfoldchanges", "pvals_adj"]].to_string(index=False))


if __name__ == "__main__":
    main()
