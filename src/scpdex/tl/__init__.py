"""Tools, named as scanpy's: rank genes for characterizing groups, score markers, and move results between forms."""

from scpdex.tl._convert_results import rank_genes_to_uns, rank_genes_to_varm
from scpdex.tl._markers_to_rank_genes import markers_to_rank_genes
from scpdex.tl._rank_genes_parallel import rank_genes_parallel
from scpdex.tl._score_markers import score_markers

__all__ = [
    "markers_to_rank_genes",
    "rank_genes_parallel",
    "rank_genes_to_uns",
    "rank_genes_to_varm",
    "score_markers",
]
