"""Target genes of pdex 0.3's on-target mode: the one gene that each group is aimed at."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.spelling import quote_names
from scpdex.plan.matrix_info import count_noun

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons.target_design import TargetDesign


def find_target_genes(
    design: TargetDesign, obs: pd.DataFrame, gene_col: str, var_names: pd.Index[Any]
) -> NDArray[np.intp]:
    """Find the position in ``var`` of each target's gene, -1 where it has none.

    Of genes of one name it is the last, as in pdex. A warning names the groups whose gene is not in ``var``.

    Raises
    ------
    ValueError
        A group has several genes.
    """
    pairs = pd.DataFrame({"code": design.design.codes, "gene": obs[gene_col].astype(object).to_numpy()})
    is_target = pairs["code"].between(0, len(design.targets) - 1)
    pairs = pairs[is_target & pairs["gene"].notna()].drop_duplicates()
    names = design.design.groups
    several = pairs.loc[pairs["code"].duplicated(), "code"].unique()
    if several.size:
        msg = (
            f"groups {quote_names([names[code] for code in several])} have several genes in adata.obs[{gene_col!r}]: "
            "give each group one."
        )
        raise ValueError(msg)
    positions = {name: i for i, name in enumerate(var_names)}
    genes = np.full(len(design.targets), -1, dtype=np.intp)
    genes[pairs["code"]] = [positions.get(gene, -1) for gene in pairs["gene"]]
    absent = pairs[genes[pairs["code"]] < 0]
    if len(absent):
        pairs_of_names = [f"{names[code]} ({gene})" for code, gene in zip(absent["code"], absent["gene"], strict=True)]
        warnings.warn(
            f"{count_noun(len(absent), 'group')} {'is' if len(absent) == 1 else 'are'} not in the table, whose gene in "
            f"adata.obs[{gene_col!r}] is no name of adata.var_names: {quote_names(pairs_of_names)}.",
            UserWarning,
            stacklevel=3,
        )
    return genes
