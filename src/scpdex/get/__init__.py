"""Get: the plan of a call, and stored results as long tables."""

from scpdex.get._plan import plan
from scpdex.get._rank_genes_df import rank_genes_df
from scpdex.get._score_markers_df import score_markers_df

__all__ = ["plan", "rank_genes_df", "score_markers_df"]
