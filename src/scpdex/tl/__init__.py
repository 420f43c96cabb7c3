"""Tools: functions that compute and store their results in an AnnData."""

from scpdex.tl._rank_genes_parallel import rank_genes_parallel

__all__ = ["rank_genes_parallel"]
