"""Get: what a call would do, and what it has found, as a table."""

from scpdex.get._plan import plan
from scpdex.get._rank_genes_df import rank_genes_df

__all__ = ["plan", "rank_genes_df"]
